"""Padded batches for tiny encoders."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.tiny import WORDS

SPECIAL = 5


def batch(*lengths: int, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Rows of random words with so many tokens, padded to the longest of them."""
    generator = np.random.default_rng(seed)
    shape = (len(lengths), max(lengths))
    ids = generator.integers(SPECIAL, SPECIAL + len(WORDS), shape)
    mask = (np.arange(shape[1])[None] < np.asarray(lengths)[:, None]).astype(np.int64)
    return {
        "input_ids": (ids * mask).astype(np.int64),  # 0 is the padding token
        "attention_mask": mask,
        "token_type_ids": np.zeros(shape, dtype=np.int64),
    }


def rows(count: int, seed: int = 0) -> list[dict[str, np.ndarray[Any, Any]]]:
    """Rows of 4 to 16 tokens in padded batches of four."""
    lengths = np.random.default_rng(seed).integers(4, 17, count)
    return [
        batch(*lengths[start : start + 4], seed=seed + start + 1) for start in range(0, count, 4)
    ]
