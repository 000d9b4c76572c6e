"""The batches on which a file is held against PyTorch: real rows, and shapes that break exports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glp_export.artifact.batches import lengths_of, pad, pad_rows, read_rows

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

Row = dict[str, list[int]]

LONGEST_PROBE = 1024
"""Tokens of the longest batch that is compared: attention computed step by step needs memory with
the square of them, and a model for 8192 has no table of positions that could end in between."""


@dataclass(frozen=True)
class Case:
    """One padded batch.

    Attributes:
        name: of the probe, or "rows" for a batch of the sample.
        rows: numbers of its rows in the data set; a probe may hold others besides.
        batch: arrays `(batch, length) int64`.
    """

    name: str
    rows: tuple[int, ...]
    batch: dict[str, np.ndarray[Any, Any]]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and tokens."""
        rows, tokens = self.batch["input_ids"].shape
        return int(rows), int(tokens)


def sample_cases(
    encoded: Dataset, tokenizer: PreTrainedTokenizerBase, *, samples: int, batch_size: int
) -> list[Case]:
    """Rows spread evenly over the data set, each batch the shortest of them with the longest.

    Padding is where masks go wrong, so there is as much of it as the data allows.

    Raises:
        DataError: there are no rows.
    """
    import numpy as np

    lengths = lengths_of(encoded)
    spread = np.linspace(0, len(lengths) - 1, min(samples, len(lengths))).round().astype(np.int64)
    rising = spread[np.argsort(lengths[spread], kind="stable")]
    dealt = np.empty_like(rising)
    dealt[0::2] = rising[: len(rising[0::2])]
    dealt[1::2] = rising[len(rising[0::2]) :][::-1]
    return [
        _case("rows", encoded, dealt[start : start + batch_size].tolist(), tokenizer)
        for start in range(0, len(dealt), batch_size)
    ]


def probe_cases(
    encoded: Dataset, tokenizer: PreTrainedTokenizerBase, *, max_length: int
) -> list[Case]:
    """Batch 1 and 3, the shortest row alone, an odd length, and the maximum length.

    The maximum is a row of `max_length` real tokens, made by repeating the inside of the longest
    one, together with the shortest row under as much padding as there can be.

    Raises:
        DataError: there are no rows.
    """
    lengths = lengths_of(encoded)
    shortest, longest = int(lengths.argmin()), int(lengths.argmax())
    pair = read_rows(encoded, [longest, shortest])
    # Not the row's own length, which the batch of three may have had already.
    odd = min(int(lengths[longest]) // 2 * 2 + 1, max_length - (max_length + 1) % 2)
    three = [shortest, longest, len(lengths) // 2]
    stretched = [stretch(pair[0], max_length), pair[1]]
    return [
        _case("batch 1", encoded, [longest], tokenizer),
        _case("batch 3", encoded, three, tokenizer),
        _case("shortest", encoded, [shortest], tokenizer),
        Case("odd", (), pad([cut(row, odd) for row in pair], tokenizer, length=odd)),
        Case("maximum", (), pad(stretched, tokenizer, length=max_length)),
    ]


def cut(row: Row, length: int) -> Row:
    """A row shortened to `length` tokens, its last token kept."""
    if len(row["input_ids"]) <= length:
        return row
    return {name: [*values[: length - 1], values[-1]] for name, values in row.items()}


def stretch(row: Row, length: int) -> Row:
    """A row of exactly `length` tokens: its inside repeated between its first and last token."""
    have = len(row["input_ids"])
    if have >= length:
        return cut(row, length)
    inside = range(1, have - 1) if have > 2 else range(have)
    order = [0, *(inside[index % len(inside)] for index in range(length - 2)), have - 1]
    return {name: [values[index] for index in order] for name, values in row.items()}


def _case(
    name: str, encoded: Dataset, rows: Sequence[int], tokenizer: PreTrainedTokenizerBase
) -> Case:
    return Case(name, tuple(rows), pad_rows(encoded, rows, tokenizer))
