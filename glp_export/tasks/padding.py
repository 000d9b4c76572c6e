"""Whether a row is answered otherwise where padding stands beside it.

Attention leaves padding out by its mask. Convolutions over tokens (ConvBERT), landmarks of
attention (Nyströmformer) and a summary of the last token do not, in transformers either, and
padding on the left moves the tokens of a model that counts positions from the first column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.tolerance import Tolerance

Ask = Callable[[int, int], tuple[Mapping[str, NDArray[Any]], NDArray[np.bool_]]]
"""From a row's number and a length to pad it to: outputs with a leading axis of one, and where the
row's own tokens are, (length,)."""

_ROWS = 4
_PADDING = 8
"""Tokens; a row of as many as fit is enough to see a difference of another kind than rounding."""

_TOLERANCE = Tolerance(1e-4, 1e-2)
"""Far above rounding, which is 1e-6, and far below what padding changes, which is 0.1 and more of a
trained model and 0.01 of one whose head is new."""


def padding_matters(
    ask: Ask, lengths: NDArray[np.int64], *, longest: int | None = None, scaled: bool = False
) -> bool:
    """Ask for a few of the shortest rows alone and with padding.

    Args:
        ask: what answers.
        lengths: (rows,) in tokens.
        longest: input in tokens; None for the longest of the rows, beside which none is padded
            further.
        scaled: whether the answers are numbers of any size, as a regression's.
    """
    longest = longest or int(lengths.max(initial=0))
    first = np.argsort(lengths, kind="stable")[:_ROWS]
    pairs: list[tuple[NDArray[Any], NDArray[Any]]] = []
    for row in (int(row) for row in first if lengths[row] < longest):
        alone, _ = ask(row, int(lengths[row]))
        padded, there = ask(row, min(int(lengths[row]) + _PADDING, longest))
        pairs += [(_of_text(padded[name], own, there), own) for name, own in alone.items()]
    if not pairs:
        return False
    tolerance = _TOLERANCE
    if scaled:
        tolerance = tolerance.around(np.concatenate([own for _, own in pairs]), "fp32")
    close = [(one == other) | (abs(one - other) <= tolerance.bound(other)) for one, other in pairs]
    return not all(each.all() for each in close)


def _of_text(padded: NDArray[Any], alone: NDArray[Any], there: NDArray[np.bool_]) -> NDArray[Any]:
    """Without what is said of padding; as many labels as tokens are no answers to tokens."""
    return padded if padded.shape == alone.shape else padded[:, there]
