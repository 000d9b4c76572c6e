"""Texts, each with its embedding."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import UsageError
from glp_export.serve.kinds.base import Opened, ServedKind
from glp_export.serve.pooling import FIRST, MEAN, POOLINGS, unit
from glp_export.serve.rows import as_rows

_WINDOW = 256
"""Texts whose tokens' states are in memory together."""


def _kind(pooling: str) -> ServedKind:
    pool = POOLINGS[pooling]

    def answer(model: Opened, texts: Any, text_pairs: Any) -> NDArray[np.float32]:
        if text_pairs is not None:
            raise UsageError("an embedding is of one text at a time", where="text_pairs")
        rows = as_rows(texts, None)
        if not rows:
            return np.empty((0, model.width), dtype=np.float32)
        vectors = []
        for start in range(0, len(rows), _WINDOW):
            encoded = model.encoder.encode(rows[start : start + _WINDOW])
            for (states,) in model.of_tokens(encoded):
                there = np.ones((1, len(states)), dtype=np.int64)
                vectors.append(pool(states[None], there)[0])
        return unit(np.stack(vectors))

    return ServedKind(head="Model", outputs=("last_hidden_state",), answer=answer)


MEAN_VECTORS, FIRST_VECTORS = _kind(MEAN), _kind(FIRST)
