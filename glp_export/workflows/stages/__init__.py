"""The stages of the job: each takes what the one before it left and calls the rooms below.

In the order of the pipeline: `depth` (what speed allows), `search` (with its `evaluator`),
`training`, `export`, `precision` (`int8`, `half`), `measuring`, `writing`.
"""
