"""`glp-export gate`: does an artifact keep what its budget says?

`command` reads the flags, `jobs` says what is checked in which order, `session` holds the open
artifact, `reference` the unpruned model that is rebuilt beside it. What a run leaves for all that
is written by `glp_export.workflows.stages.gate_files`; the statistics are in `glp_export.bench`.
"""
