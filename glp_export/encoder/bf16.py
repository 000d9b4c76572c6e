"""Training in bf16: PyTorch's autocast, with weights and losses in float32."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any

from glp_export.encoder.batches import forward

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from glp_export.encoder.train_settings import TrainSettings


def autocast(settings: TrainSettings) -> AbstractContextManager[Any]:
    """Where models compute in bf16, if the settings say so."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    stack = ExitStack()
    if settings.bf16:
        stack.enter_context(torch.autocast(settings.device, torch.bfloat16))
    if settings.bf16 and settings.device == "cpu":
        # The gradient of the fused kernel takes ten times as long in bf16 as in float32.
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
    return stack


def with_autocast(trainer_class: Any, settings: TrainSettings) -> Any:
    """A Trainer whose updates are computed so.

    Trainer's own flag wraps the model, which would compute in bf16 wherever it is used until the
    training ends.
    """

    class Autocast(trainer_class):
        def compute_loss_context_manager(self) -> Any:
            return autocast(settings)

    return Autocast


def fails_in_bf16(model: PreTrainedModel) -> str | None:
    """Why a model computes nothing in bf16, as it says itself; None if it does.

    Code that is written for float32 alone fails: a mask of float32's least number has no place
    among bf16's.
    """
    import torch

    rows = torch.full((2, 4), 1, device=model.device)
    seen = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]], device=model.device)  # some mask nothing else
    batch = {"input_ids": rows, "attention_mask": seen}
    try:
        with torch.inference_mode(), torch.autocast(model.device.type, torch.bfloat16):
            forward(model.eval(), batch)
    except (RuntimeError, TypeError, ValueError) as error:
        return str(error)
    return None
