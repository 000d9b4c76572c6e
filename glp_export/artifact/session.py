"""Batched prediction with ONNX Runtime sessions that run where they were asked to run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from glp_export.artifact.batches import by_length, pad_rows
from glp_export.errors import ModelError
from glp_export.serve.session import open_session, provider_name

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from onnxruntime import InferenceSession
    from transformers import PreTrainedTokenizerBase

__all__ = ["feeds_for", "open_session", "predict_onnx", "provider_name", "run_batch"]


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


def run_batch(
    session: InferenceSession, batch: Mapping[str, np.ndarray[Any, Any]]
) -> np.ndarray[Any, Any]:
    """Logits `(batch, num_labels)` float32 of one padded batch."""
    import numpy as np

    names = [node.name for node in session.get_outputs()]
    name = "logits" if "logits" in names else names[0]
    logits = session.run([name], feeds_for(session, batch))[0]
    return np.asarray(logits, dtype=np.float32)


def predict_onnx(
    session: InferenceSession,
    encoded: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    *,
    batch_size: int = 32,
) -> np.ndarray[Any, Any]:
    """Logits `(n, num_labels)` float32 of encoded rows, in the order of the rows.

    Rows of like length share a batch, so little is computed on padding.

    Raises:
        DataError: there are no rows.
        ModelError: the graph needs an input that the rows cannot give.
    """
    import numpy as np

    order = by_length(encoded, batch_size)
    logits = [run_batch(session, pad_rows(encoded, rows, tokenizer)) for rows in order]
    gathered = np.concatenate(logits)
    restored = np.empty_like(gathered)
    restored[np.concatenate(order)] = gathered
    return restored
