"""A model's answers: read from its outputs batch by batch, and gathered in the order of the rows.

See `TaskKind` for what answers are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


def batch_order(
    lengths: NDArray[np.int64], batch_size: int, *, apart: bool = False
) -> list[NDArray[np.int64]]:
    """Row numbers in batches of like length, the longest first: each fits where the last one was.

    Args:
        lengths: (rows,) in tokens.
        batch_size: rows of a batch at most.
        apart: rows of several lengths, as `glp_export.load` answers them where padding beside a
            row changes its answer.
    """
    order = np.argsort(-lengths, kind="stable")
    alike = [order]
    if apart:
        alike = np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1)
    return [
        rows[start : start + batch_size]
        for rows in alike
        for start in range(0, len(rows), batch_size)
    ]


def gather(parts: Sequence[NDArray[Any]], order: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """Answers of batches as one array; tokens are padded with zeros to the longest row.

    Args:
        parts: of every batch, ``(batch, width)`` or ``(batch, tokens, width)``.
        order: the row numbers of every batch.
    """
    if parts[0].ndim > 2:
        longest = max(part.shape[1] for part in parts)
        parts = [_lengthened(part, longest) for part in parts]
    gathered = np.concatenate(parts)
    restored = np.empty_like(gathered)
    restored[np.concatenate(order)] = gathered
    return restored


def attended(predictions: NDArray[Any], batch: Arrays) -> NDArray[Any]:
    """Answers ``(n, width)`` without those of padding: of rows, or of the tokens that are there."""
    if predictions.ndim == 2:
        return predictions
    counts = np.asarray(batch["attention_mask"]).sum(axis=1)
    return np.asarray(predictions[np.arange(predictions.shape[1]) < counts[:, None]])


def joined(arrays: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """The outputs of one call as one array: one of them as it is, several on a last axis."""
    joint = arrays[0] if len(arrays) == 1 else np.stack(arrays, axis=-1)
    return np.asarray(joint, dtype=np.float32)


def _lengthened(part: NDArray[Any], length: int) -> NDArray[Any]:
    widths = [(0, 0), (0, length - part.shape[1]), *[(0, 0)] * (part.ndim - 2)]
    return np.pad(part, widths)
