"""An opened ONNX graph, and how many rows it is given at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import ModelError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_INPUTS = ("input_ids", "attention_mask", "token_type_ids")


class Graph:
    """A session with the names and types of its inputs, looked up once."""

    def __init__(self, session: InferenceSession, outputs: Sequence[str] = ("logits",)) -> None:
        self._session = session
        self._types = {
            node.name: np.int32 if "int32" in node.type else np.int64
            for node in session.get_inputs()
        }
        unknown = sorted(self._types.keys() - set(_INPUTS))
        if unknown:
            raise ModelError(
                f"the graph needs inputs that no tokenizer makes: {', '.join(unknown)}",
                fix=f"export it with inputs among {', '.join(_INPUTS)}",
            )
        there = [node.name for node in session.get_outputs()]
        if missing := [name for name in outputs if name not in there]:
            raise ModelError(
                f"the graph has no output {', '.join(missing)}, only {', '.join(there)}",
                fix="export it again for the task that it is used for",
            )
        self._outputs = list(outputs)

    def run(self, batch: Mapping[str, NDArray[np.int64]]) -> NDArray[np.float32]:
        """The first output float32 of a padded batch. Threads may share it."""
        return self.run_all(batch)[0]

    def run_all(self, batch: Mapping[str, NDArray[np.int64]]) -> list[NDArray[np.float32]]:
        """Every output that was asked for, float32, of a padded batch."""
        feeds = {name: batch[name].astype(type_, copy=False) for name, type_ in self._types.items()}
        arrays = self._session.run(self._outputs, feeds)
        return [np.asarray(array, dtype=np.float32) for array in arrays]


def batches_of(
    lengths: Sequence[int], batch_tokens: int, *, padded: bool = True
) -> list[NDArray[Any]]:
    """Row numbers in batches of like length, the longest first.

    A batch holds `batch_tokens` tokens at most, padding included, and one row at least. Longest
    first, so that memory that does not suffice shows at once.

    Args:
        lengths: of the rows, in tokens.
        batch_tokens: that a batch holds.
        padded: whether rows of several lengths may stand in one batch.
    """
    sizes = np.asarray(lengths, dtype=np.int64)
    order = np.argsort(-sizes, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(sizes[order])) + 1, len(order))
    batches = []
    start = 0
    while start < len(order):
        rows = max(1, batch_tokens // max(1, lengths[order[start]]))
        stop = start + rows
        if not padded:
            stop = min(stop, int(ends[np.searchsorted(ends, start, side="right")]))
        batches.append(order[start:stop])
        start = stop
    return batches
