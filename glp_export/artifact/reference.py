"""The PyTorch model that an ONNX file is held against."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.core.errors import ModelError, UsageError
from glp_export.core.quiet import quiet
from glp_export.encoder.families import auto_class_for
from glp_export.encoder.structure import compacted
from glp_export.encoder.threads import torch_threads
from glp_export.encoder.training import kind_of
from glp_export.encoder.transformers_compat import quiet_weights

if TYPE_CHECKING:
    import numpy as np

Batch = Mapping[str, "np.ndarray[Any, Any]"]


class Reference:
    """A checkpoint as PyTorch computes it: fp32, eval, on the CPU.

    Attributes:
        inputs: the names that the model's forward takes.
        kind: of its task, which knows how its answers are read.
    """

    def __init__(self, checkpoint: Path, auto_class: str, *, threads: int) -> None:
        """Load a checkpoint.

        Args:
            checkpoint: directory with config.json and safetensors weights.
            auto_class: class of transformers, "AutoModelForSequenceClassification".
            threads: PyTorch threads while it computes.

        Raises:
            ModelError: it cannot be loaded, or weights are missing from it.
        """
        self._model = load_fp32(checkpoint, auto_class)
        self._threads = threads
        self._positions = getattr(self._model.config, "max_position_embeddings", None) or math.inf
        self.inputs = tuple(inspect.signature(self._model.forward).parameters)
        self.kind = kind_of(self._model)

    def predictions(self, batch: Batch) -> np.ndarray[Any, Any]:
        """Answers float32 to one padded batch: `(batch, width)` or `(batch, tokens, width)`.

        Raises:
            ModelError: one is NaN or infinite, so there is nothing to compare with.
            UsageError: the batch is longer than the model's positions.
        """
        import numpy as np
        import torch

        if batch["input_ids"].shape[1] > self._positions:
            raise self._too_long(batch)
        tensors = {
            name: torch.from_numpy(values) for name, values in batch.items() if name in self.inputs
        }
        with torch.inference_mode(), torch_threads(self._threads):
            try:
                output = self._model(**tensors)
            except IndexError as error:  # RoBERTa, which takes two tokens fewer than it says
                raise self._too_long(batch) from error
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


def load_fp32(checkpoint: Path, auto_class: str, **options: Any) -> Any:
    """Load a checkpoint in fp32, eval, on the CPU; `options` are those of `from_pretrained`.

    Raises:
        ModelError: it cannot be loaded, or weights are missing from it.
    """
    import torch
    import transformers

    try:
        with quiet(), quiet_weights():
            config = transformers.AutoConfig.from_pretrained(str(checkpoint), local_files_only=True)
            loader: Callable[..., Any]
            loader = getattr(transformers, auto_class_for(auto_class, config)).from_pretrained
            model, info = loader(
                str(checkpoint),
                dtype=torch.float32,
                local_files_only=True,
                use_safetensors=True,
                output_loading_info=True,
                **options,
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"The checkpoint cannot be loaded as {auto_class}: {error}", where=str(checkpoint)
        ) from error
    if missing := ", ".join(sorted(info["missing_keys"])):
        raise ModelError(
            f"The checkpoint lacks {missing}: they would be random.",
            where=str(checkpoint),
            fix="Train the model on the task and save it, head included.",
        )
    return compacted(model.eval(), checkpoint)
