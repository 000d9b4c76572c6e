"""What the contenders are fed: a grid of fixed shapes, and batches of the task's own lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from glp_export.core.batch_size import require_batch
from glp_export.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from glp_export.bench.contenders import Contender, Feeds


@dataclass(frozen=True)
class Shape:
    """A batch size and a length in tokens; `name` is `8x128`, or `8xtask` for real lengths."""

    batch_size: int
    sequence_length: int
    name: str


@dataclass(frozen=True)
class Workload:
    """The batches of one shape, each `(batch, length) int64`; every timed call takes the next.

    Attributes:
        shape: what they are called.
        batches: for every contender, in this order.
        own_batches: for a contender (`distilled`, say, or the id of a plan) with another tokenizer:
            the same texts, as that one cuts them. As many as `batches`.
    """

    shape: Shape
    batches: tuple[Feeds, ...]
    own_batches: Mapping[str, tuple[Feeds, ...]] = field(default_factory=dict)

    def batches_of(self, contender: str, plan_id: str = "") -> tuple[Feeds, ...]:
        """The batches that a contender is fed."""
        return self.own_batches.get(plan_id, self.own_batches.get(contender, self.batches))


def shape_grid(
    contenders: Sequence[Contender],
    batch_sizes: Sequence[int],
    sequence_lengths: Sequence[int],
    *,
    seed: int = 0,
) -> list[Workload]:
    """One workload for every batch size and length: random tokens, none of them padding.

    The ids stay inside every contender's vocabulary, and away from every padding id, which some
    families count positions by.

    Raises:
        UsageError: a length passes what one of the contenders can read, or a number is below 1.
    """
    _check(contenders, batch_sizes, sequence_lengths)
    vocabulary = min(contender.vocab_size for contender in contenders)
    padding = {contender.pad_token_id for contender in contenders}
    ids = np.array([token for token in range(vocabulary) if token not in padding], dtype=np.int64)
    generator = np.random.default_rng(seed)
    return [
        Workload(
            Shape(batch_size, length, f"{batch_size}x{length}"),
            (_full(generator.choice(ids, size=(batch_size, length))),),
        )
        for batch_size in batch_sizes
        for length in sequence_lengths
    ]


def task_workloads(
    encoded: Any,
    tokenizer: Any,
    batch_sizes: Sequence[int],
    *,
    batches: int = 32,
    own: Mapping[str, tuple[Any, Any]] | None = None,
) -> list[Workload]:
    """Workloads of the task's own lengths: real rows in random order, padded batch by batch.

    The shape's length is the mean padded length over the batches, rounded. With fewer rows than
    the batches need, rows are used again.

    Args:
        encoded: a data set with columns `input_ids`, `attention_mask` and perhaps
            `token_type_ids`, not padded.
        tokenizer: pads them.
        batch_sizes: one workload each.
        batches: how many batches a workload holds at most.
        own: for a contender with another tokenizer, its encoding of the same rows and that
            tokenizer.

    Raises:
        DataError: there are no rows, or another encoding has another number of them.
    """
    if len(encoded) == 0:
        raise DataError("there are no rows to take lengths from")
    for contender, (others, _) in (own or {}).items():
        if len(others) != len(encoded):
            raise DataError(f"{contender} has {len(others)} rows, the others {len(encoded)}")
    order = np.random.default_rng(0).permutation(len(encoded))
    return [
        _task_workload(encoded, tokenizer, _groups(order, batch_size, batches), own or {})
        for batch_size in batch_sizes
    ]


def _task_workload(
    encoded: Any,
    tokenizer: Any,
    groups: list[list[int]],
    own: Mapping[str, tuple[Any, Any]],
) -> Workload:
    padded = tuple(_padded(encoded, tokenizer, rows) for rows in groups)
    length = round(float(np.mean([feeds["input_ids"].shape[1] for feeds in padded])))
    own_batches = {
        contender: tuple(_padded(others, its_tokenizer, rows) for rows in groups)
        for contender, (others, its_tokenizer) in own.items()
    }
    size = len(groups[0])
    return Workload(Shape(size, length, f"{size}xtask"), padded, own_batches)


def _groups(order: Any, batch_size: int, batches: int) -> list[list[int]]:
    """Row numbers batch by batch: each row once before any comes again."""
    count = max(1, min(batches, len(order) // batch_size))
    rows = np.resize(order, count * batch_size)
    return [[int(row) for row in group] for group in rows.reshape(count, batch_size)]


def _padded(encoded: Any, tokenizer: Any, rows: list[int]) -> Feeds:
    from glp_export.artifact.batches import pad_rows

    return _feeds(pad_rows(encoded, rows, tokenizer))


def _full(input_ids: Any) -> Feeds:
    return _feeds({"input_ids": input_ids, "attention_mask": np.ones_like(input_ids)})


def _feeds(arrays: dict[str, Any]) -> Feeds:
    """Contiguous int64 inputs; segment ids are there for the graphs that ask for them."""
    arrays.setdefault("token_type_ids", np.zeros_like(arrays["input_ids"]))
    return {name: np.ascontiguousarray(array, dtype=np.int64) for name, array in arrays.items()}


def _check(
    contenders: Sequence[Contender], batch_sizes: Sequence[int], sequence_lengths: Sequence[int]
) -> None:
    for flag, numbers in (("--batch-sizes", batch_sizes), ("--seq-lens", sequence_lengths)):
        if not numbers or min(numbers) < 1:
            raise UsageError("sizes and lengths start at 1", where=flag)
    require_batch(max(batch_sizes), max(sequence_lengths), "--batch-sizes")
    shortest = min(contenders, key=lambda contender: contender.max_length)
    if max(sequence_lengths) > shortest.max_length:
        raise UsageError(
            f"{shortest.label} reads at most {shortest.max_length} tokens, "
            f"not {max(sequence_lengths)}",
            where="--seq-lens",
            fix=f"ask for lengths up to {shortest.max_length}",
        )
