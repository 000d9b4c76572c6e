"""Whether a graph answers a row otherwise where padding stands beside it.

Attention leaves padding out by its mask. Convolutions over tokens (ConvBERT), landmarks
of attention (Nyströmformer) and a summary of the last token do not, in transformers either.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glp_export.artifact.batches import lengths_of, pad, read_rows
from glp_export.artifact.session import open_session, run_outputs
from glp_export.artifact.tolerance import Tolerance
from glp_export.core.machine import CPU

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

_ROWS = 4
_PADDING = 8
"""Tokens; a row of as many as fit is enough to see a difference of another kind than rounding."""

_TOLERANCE = Tolerance(1e-3, 1e-2)
"""Far above rounding, which is 1e-6, and far below what padding changes, which is 0.1 and more."""


def padding_matters(
    path: Path,
    rows: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    *,
    longest: int | None = None,
    provider: str = CPU,
    threads: int = 1,
    scaled: bool = False,
) -> bool:
    """Run a few of the shortest rows alone and with padding.

    Args:
        path: of the ONNX file.
        rows: encoded.
        tokenizer: that pads.
        longest: input in tokens; None for the longest of the rows.
        provider: execution provider of ONNX Runtime.
        threads: intra-op threads.
        scaled: whether the answers are numbers of any size, as a regression's.
    """
    lengths = lengths_of(rows)
    longest = longest or int(lengths.max())
    first = np.argsort(lengths, kind="stable")[:_ROWS]
    short = [int(row) for row in first if lengths[row] < longest]
    if not short:
        return False
    session = open_session(path, provider=provider, threads=threads)
    pairs: list[tuple[Any, Any]] = []
    for row in short:
        (alone,) = read_rows(rows, [row])
        padded = pad([alone], tokenizer, length=min(int(lengths[row]) + _PADDING, longest))
        there = padded["attention_mask"][0].astype(bool)
        wanted = run_outputs(session, pad([alone], tokenizer))
        found = run_outputs(session, padded)
        pairs += [(_of_text(found[name], values, there), values) for name, values in wanted.items()]
    tolerance = _TOLERANCE
    if scaled:
        tolerance = tolerance.around(np.concatenate([values for _, values in pairs]), "fp32")
    close = [(one == other) | (abs(one - other) <= tolerance.bound(other)) for one, other in pairs]
    return not all(each.all() for each in close)


def _of_text(padded: Any, alone: Any, there: Any) -> Any:
    """Without what a graph says of padding; as many labels as tokens are no answers to tokens."""
    return padded if np.shape(padded) == np.shape(alone) else np.asarray(padded)[:, there]
