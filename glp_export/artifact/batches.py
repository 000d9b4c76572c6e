"""Rows of an encoded data set as padded batches of NumPy arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from glp_export.core.errors import DataError
from glp_export.tasks.arrow_columns import Cells, numbers
from glp_export.tasks.predictions import batch_order

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

MODEL_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
"""What a tokenizer makes for an encoder, in the order of BERT's forward."""


def lengths_of(encoded: Dataset) -> np.ndarray[Any, Any]:
    """Number of tokens of every row, `(n,) int64`.

    Raises:
        DataError: there are no rows.
    """
    import numpy as np

    if len(encoded) == 0:
        raise DataError("There are no rows to run.", fix="Give at least one example.")
    if "length" in encoded.column_names:
        return numbers(encoded, "length").astype(np.int64, copy=False)
    return np.asarray([len(ids) for ids in Cells(encoded, "input_ids")], dtype=np.int64)


def by_length(encoded: Dataset, batch_size: int) -> list[np.ndarray[Any, Any]]:
    """Row numbers in batches of like length, the longest first.

    Longest first, so that memory that does not suffice shows in the first batch.
    """
    return batch_order(lengths_of(encoded), batch_size)


def read_rows(encoded: Dataset, rows: Sequence[int]) -> list[dict[str, list[int]]]:
    """The model inputs of some rows, without labels and other columns."""
    present = [name for name in MODEL_INPUTS if name in encoded.column_names]
    columns = encoded[[int(row) for row in rows]]
    return [{name: columns[name][index] for name in present} for index in range(len(rows))]


def pad(
    rows: Sequence[Mapping[str, Sequence[int]]],
    tokenizer: PreTrainedTokenizerBase,
    *,
    length: int | None = None,
) -> dict[str, np.ndarray[Any, Any]]:
    """Rows padded together by the tokenizer: arrays `(batch, length) int64`.

    Args:
        rows: one mapping of token lists a row.
        tokenizer: it knows the padding token and its side.
        length: length to pad to; by default that of the longest row.
    """
    import numpy as np
    from transformers import DataCollatorWithPadding

    # The collator, since tokenizer.pad() itself warns that it is slow each time it is new.
    collate = DataCollatorWithPadding(
        tokenizer,
        padding="longest" if length is None else "max_length",
        max_length=length,
        return_tensors="np",
    )
    padded = collate([dict(row) for row in rows])
    return {name: np.asarray(values, dtype=np.int64) for name, values in padded.items()}


def pad_rows(
    encoded: Dataset, rows: Sequence[int] | np.ndarray[Any, Any], tokenizer: PreTrainedTokenizerBase
) -> dict[str, np.ndarray[Any, Any]]:
    """Some rows of a data set, padded together to the longest of them."""
    return pad(read_rows(encoded, list(rows)), tokenizer)
