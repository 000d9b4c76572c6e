"""Texts to token ids, once for all models that share a tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from glp_export.core.errors import DataError, UsageError
from glp_export.tasks.arrow_columns import numbers
from glp_export.tasks.kinds import KINDS
from glp_export.tasks.task import Task

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


def encode(
    dataset: Dataset, task: Task, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> Dataset:
    """Tokenise one split: truncated, not padded, its rows in their order.

    Args:
        dataset: columns ``text``[, ``text_pair``] and ``label``.
        task: picks how examples become inputs and labels become targets.
        tokenizer: the model's own; a kind may set it up for its input.
        max_length: longest input in tokens; the tokenizer's own limit holds as well.

    Returns:
        Columns ``input_ids``, ``attention_mask``[, ``token_type_ids``], the kind's `targets`,
        ``length`` (tokens of the row) and whatever the kind reads its truth from. Of most kinds
        ``labels`` (int64 ids or float32 numbers), and a row for each of the data set.

    Raises:
        DataError: an empty text, and a tokenizer that adds nothing to it.
        UsageError: a limit that leaves no room for text beside the special tokens.
    """
    limit = min(max_length, tokenizer.model_max_length)
    pair = len(task.text_columns) == 2
    special = tokenizer.num_special_tokens_to_add(pair=pair)
    if limit <= special:
        raise UsageError(
            f"{limit} tokens leave no room for text beside {special} special ones.",
            where=f"--max-length {max_length}",
            fix="name a larger number; 128 is usual",
        )
    KINDS[task.kind].prepare(tokenizer)
    with quiet_datasets():
        encoded = dataset.map(
            _encode,
            batched=True,
            with_indices=True,
            fn_kwargs={"kind": task.kind, "tokenizer": tokenizer, "max_length": limit},
            remove_columns=dataset.column_names,
        )
    if special == 0 and not numbers(encoded, "length").all():
        raise DataError(
            "An empty text becomes no token at all: this tokenizer adds none of its own.",
            where=f"task '{task.name}'",
            fix="remove the rows without text, or use a tokenizer that adds special tokens",
        )
    return encoded


def _encode(
    batch: Mapping[str, Any],
    rows: list[int],
    kind: str,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
) -> dict[str, Any]:
    return KINDS[kind].encode({**batch, "row": rows}, tokenizer, max_length)


@contextmanager
def quiet_datasets() -> Iterator[None]:
    """Hide the progress bars of `datasets`, unless HF_DATASETS_DISABLE_PROGRESS_BARS=0 asks."""
    import datasets

    hide = not (
        datasets.are_progress_bars_disabled()
        or datasets.config.HF_DATASETS_DISABLE_PROGRESS_BARS is False
    )
    if hide:
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        if hide:
            datasets.enable_progress_bars()
