"""Losses and features that kinds of task are learned by, on PyTorch's tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def own_loss(outputs: Any, batch: Mapping[str, Any]) -> Any:
    """The loss that the model's head computes itself."""
    return outputs.loss


def soft_cross_entropy(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Kullback–Leibler divergence of softened distributions, times temperature² (Hinton, sec. 2).

    Args:
        student: logits (…, labels).
        teacher: logits (…, labels).
        temperature: the softening.

    Returns:
        (…,).
    """
    import torch.nn.functional as functional

    divergences = functional.kl_div(
        functional.log_softmax(student / temperature, dim=-1),
        functional.log_softmax(teacher / temperature, dim=-1),
        log_target=True,
        reduction="none",
    )
    return divergences.sum(dim=-1) * temperature**2


def squared_error(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared difference (batch,), for scores that are no distribution."""
    return ((student - teacher) ** 2).mean(dim=-1)


def imitate_logits(
    outputs: Any, teacher: Tensor, batch: Mapping[str, Any], temperature: float
) -> Tensor:
    """Mean divergence from the teacher's distribution over labels."""
    return soft_cross_entropy(outputs.logits, teacher, temperature).mean()


def imitate_scores(
    outputs: Any, teacher: Tensor, batch: Mapping[str, Any], temperature: float
) -> Tensor:
    """Mean squared difference from the teacher's scores; takes no temperature."""
    return squared_error(outputs.logits, teacher).mean()


def imitate_chances(
    outputs: Any, teacher: Tensor, batch: Mapping[str, Any], temperature: float
) -> Tensor:
    """Mean divergence from the teacher's chance of every label, each a choice of two."""
    import torch

    student, wanted = (
        torch.stack([torch.zeros_like(one), one], dim=-1) for one in (outputs.logits, teacher)
    )
    return soft_cross_entropy(student, wanted, temperature).mean()


def sentence_features(hidden_states: Tensor, batch: Mapping[str, Any]) -> Tensor:
    """What a head of whole texts can know: the first token and the mean, (batch, 2 x width)."""
    import torch

    mask = batch["attention_mask"].unsqueeze(-1).to(hidden_states.dtype)
    mean = (hidden_states * mask).sum(dim=1) / mask.sum(dim=1)
    return torch.cat([hidden_states[:, 0], mean], dim=-1)
