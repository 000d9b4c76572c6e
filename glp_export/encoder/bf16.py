"""Training steps in bf16: PyTorch's autocast, with weights, losses and predictions in float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from glp_export.encoder.batches import forward

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from glp_export.encoder.train_settings import TrainSettings


def in_bf16(trainer_class: Any, settings: TrainSettings) -> Any:
    """A Trainer whose steps autocast to bf16, if the settings say so.

    Trainer's own flag would wrap the model, and what it predicts for dev between two updates were
    in bf16 too.
    """
    import torch

    if not settings.bf16:
        return trainer_class

    class InBf16(trainer_class):
        def compute_loss_context_manager(self) -> Any:
            return torch.autocast(settings.device, torch.bfloat16)

    return InBf16


def fails_in_bf16(model: PreTrainedModel) -> str | None:
    """Why a model computes nothing in bf16, as it says itself; None if it does.

    Code that is written for float32 alone fails: a mask of float32's least number has no place
    among bf16's.
    """
    import torch

    row = torch.full((1, 4), 1, device=model.device)
    batch = {"input_ids": row, "attention_mask": torch.ones_like(row)}
    try:
        with torch.inference_mode(), torch.autocast(model.device.type, torch.bfloat16):
            forward(model.eval(), batch)
    except (RuntimeError, TypeError, ValueError) as error:
        return str(error)
    return None
