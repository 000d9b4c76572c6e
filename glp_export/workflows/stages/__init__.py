"""The stages of the job: each takes what the one before it left and calls the rooms below.

In the order of the pipeline: `depth` (what speed allows), `search` (with its `laboratory`),
`training`, `export`, `precision` (`int8`, `half`), `measuring`, `writing`.
"""
