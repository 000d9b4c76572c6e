"""The PyTorch model that an ONNX file is held against."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from glp_export.artifact.modules import as_module, exportable
from glp_export.core.errors import ModelError, UsageError
from glp_export.encoder.batches import kind_of
from glp_export.encoder.positions import rows_of
from glp_export.encoder.threads import torch_threads

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedModel

    from glp_export.artifact.modules import Source

_REMEMBERED = 2**26
"""Bytes of answers that are kept: several files are held against the same batches."""

Batch = Mapping[str, "np.ndarray[Any, Any]"]


class Reference:
    """A module, or that of a checkpoint, as PyTorch computes it: fp32, eval, on the CPU.

    A batch that was answered before is not computed again.

    Attributes:
        inputs: the names that the model's forward takes.
        kind: of its task, which knows how its answers are read.
    """

    def __init__(self, source: Source, auto_class: str, *, threads: int) -> None:
        """Take a module, or load a checkpoint.

        Args:
            source: a module with its head, or a directory with config.json and safetensors weights.
            auto_class: class of transformers that loads the checkpoint.
            threads: PyTorch threads while it computes.

        Raises:
            ModelError: it cannot be loaded, or weights are missing from it.
        """
        self._source, self._auto_class = source, auto_class
        self._model: PreTrainedModel | None = as_module(source, auto_class)
        self._threads = threads
        self._positions = rows_of(self._model.config)
        self.inputs = tuple(inspect.signature(self._model.forward).parameters)
        self.kind = kind_of(self._model)
        self._answers: dict[bytes, np.ndarray[Any, Any]] = {}
        self._room = _REMEMBERED

    @property
    def module(self) -> PreTrainedModel:
        """The module; after `release` that of the checkpoint, loaded again."""
        if self._model is None:
            self._model = as_module(self._source, self._auto_class)
        return self._model

    def release(self) -> None:
        """Let go of the module and keep the answers, until a batch comes that has none."""
        self._model = None

    def predictions(self, batch: Batch) -> np.ndarray[Any, Any]:
        """Answers float32 to one padded batch: `(batch, width)` or `(batch, tokens, width)`.

        Raises:
            ModelError: one is NaN or infinite, so there is nothing to compare with.
            UsageError: the batch is longer than the model's positions.
        """
        key = _key(batch)
        if key not in self._answers:
            found = self._computed(batch)
            if found.nbytes > self._room:
                return found
            self._room -= found.nbytes
            self._answers[key] = found
        return self._answers[key]

    def _computed(self, batch: Batch) -> np.ndarray[Any, Any]:
        import numpy as np
        import torch

        if batch["input_ids"].shape[1] > self._positions:
            raise self._too_long(batch)
        tensors = {
            name: torch.from_numpy(values) for name, values in batch.items() if name in self.inputs
        }
        with exportable(self.module) as model, torch.inference_mode(), torch_threads(self._threads):
            try:
                output = model(**tensors)
            except IndexError as error:  # RoBERTa, which takes two tokens fewer than it says
                raise self._too_long(batch) from error
            except (TypeError, ValueError, AttributeError) as error:
                raise ModelError(
                    f"the PyTorch model cannot be run: {error!s:.200}",
                    where=model.config.name_or_path or type(model).__name__,
                    fix="its config.json may not fit it: copy it again, or make it again",
                ) from error
        arrays = {name: output[name].float().numpy() for name in self.kind.outputs}
        predictions = self.kind.read(arrays, batch)
        if not np.isfinite(predictions).all():
            raise ModelError(
                "The PyTorch model itself computes NaN or infinite logits.",
                fix="Its training diverged: lower the learning rate, and train in fp32 or bf16.",
            )
        return np.asarray(predictions)

    def _too_long(self, batch: Batch) -> UsageError:
        return UsageError(
            f"The model has no positions for {batch['input_ids'].shape[1]} tokens.",
            where="--max-length",
            fix=f"Lower it to what the model was made for, at most {self._positions}.",
        )


def _key(batch: Batch) -> bytes:
    """What tells two batches apart: names, shapes and numbers."""
    digest = hashlib.sha256()
    for name, values in sorted(batch.items()):
        digest.update(f"{name} {values.shape} {values.dtype}".encode())
        digest.update(values.tobytes())
    return digest.digest()
