"""The stages of the job: each takes what the one before it left and calls the rooms below.

In the order of the pipeline: `unpruned` and `depth` (what speed allows), `search` (with its
`evaluator` and `compression`), `training`, `export`, `precision`, `benchmark`, `writing`.
"""
