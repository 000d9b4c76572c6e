"""Batched prediction with ONNX Runtime sessions that run where they were asked to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from glp_export.artifact.batches import lengths_of, pad_rows
from glp_export.core.errors import ModelError
from glp_export.serve.session import open_session, provider_name
from glp_export.tasks.kinds import Batch, Outputs, read_logits
from glp_export.tasks.predictions import batch_order, gather

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from onnxruntime import InferenceSession
    from transformers import PreTrainedTokenizerBase

__all__ = [
    "feeds_for",
    "open_session",
    "predict_onnx",
    "provider_name",
    "run_batch",
    "run_outputs",
]

Read = Callable[[Outputs, Batch], "np.ndarray[Any, Any]"]


def feeds_for(
    session: InferenceSession, batch: Mapping[str, np.ndarray[Any, Any]]
) -> dict[str, np.ndarray[Any, Any]]:
    """The inputs that the graph has, out of a padded batch, in the integer type that it expects.

    A graph with `token_type_ids` fed from rows without them gets zeros, as PyTorch does it.

    Raises:
        ModelError: the graph needs an input that the tokenizer does not make.
    """
    import numpy as np

    feeds = {}
    for node in session.get_inputs():
        values = batch.get(node.name)
        if values is None and node.name == "token_type_ids":
            values = np.zeros_like(batch["input_ids"])
        if values is None:
            raise ModelError(
                f"The graph needs the input {node.name!r}, which the tokenizer does not make.",
                fix=f"Its inputs must be among {', '.join(batch)}.",
            )
        feeds[node.name] = values.astype(np.int32 if "int32" in node.type else np.int64)
    return feeds


def run_outputs(
    session: InferenceSession, batch: Mapping[str, np.ndarray[Any, Any]]
) -> dict[str, np.ndarray[Any, Any]]:
    """What the graph gives for a padded batch, by the names of its outputs."""
    names = [node.name for node in session.get_outputs()]
    return dict(zip(names, session.run(names, feeds_for(session, batch)), strict=True))


def run_batch(
    session: InferenceSession,
    batch: Mapping[str, np.ndarray[Any, Any]],
    *,
    read: Read = read_logits,
) -> np.ndarray[Any, Any]:
    """Answers float32 to one padded batch: `(batch, width)` or `(batch, tokens, width)`.

    Args:
        session: of the graph.
        batch: arrays `(batch, length) int64`.
        read: makes answers of the graph's outputs, see `TaskKind.read`.
    """
    import numpy as np

    return np.asarray(read(run_outputs(session, batch), batch), dtype=np.float32)


def predict_onnx(
    session: InferenceSession,
    encoded: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    *,
    batch_size: int = 32,
    read: Read = read_logits,
    apart: bool = False,
) -> np.ndarray[Any, Any]:
    """Answers float32 to encoded rows, in the order of the rows.

    Rows of like length share a batch, so little is computed on padding.

    Args:
        session: of the graph.
        encoded: rows, not padded.
        tokenizer: pads them.
        batch_size: rows padded together.
        read: makes answers of the graph's outputs, see `TaskKind.read`.
        apart: rows of several lengths, where padding changes what the model answers.

    Raises:
        DataError: there are no rows.
        ModelError: the graph needs an input that the rows cannot give.
    """
    order = batch_order(lengths_of(encoded), batch_size, apart=apart)
    parts = [run_batch(session, pad_rows(encoded, rows, tokenizer), read=read) for rows in order]
    return gather(parts, order)
