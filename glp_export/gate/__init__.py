"""`glp-export gate`: does an artifact keep what its budget says?

`command` reads the flags, `jobs` says what is checked in which order, `session` holds the open
artifact, `reference` the unpruned model that is rebuilt beside it, `files` writes what a run leaves
for all that. The statistics are in `glp_export.bench`.
"""
