"""Quantisation-aware training (QAT): a model is trained while its matmuls round as in int8."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from glp_export.encoder.distillation import distill
from glp_export.encoder.recovery import TrainingInputs
from glp_export.encoder.watched_training import Progress
from glp_export.precision.int8.weights import steps_here

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel


def quantisation_aware(
    model: PreTrainedModel,
    inputs: TrainingInputs,
    *,
    keep_float: Callable[[str], bool] = lambda name: False,
    steps: int | None = None,
    progress: Progress | None = None,
) -> PreTrainedModel:
    """Distil a model in place while its matmuls compute as in int8; return it plain again.

    Gradients pass the rounding as if it were not there (Bengio et al. 2013; Jacob et al. 2018).
    With the fp32 model's own answers as `inputs.teacher_logits`, what is learned is to give them
    in int8.

    Args:
        model: with a head; fp32.
        inputs: examples, answers to imitate, and how; its learning rate should be a small one,
            since the model is where it should be.
        keep_float: whether the nn.Linear of that dotted name keeps its precision.
        steps: of weights, to either side of zero; None for as many as files made here have.
        progress: called with steps done and in all.

    Returns:
        `model`, in eval mode: the same modules and weight names as before.

    Raises:
        ValueError: there are no answers to imitate.
    """
    if inputs.teacher_logits is None:
        raise ValueError("quantisation-aware training imitates: it needs the teacher's logits")
    with quantised_matmuls(model, keep_float, steps):
        return distill(
            model,
            inputs.teacher_logits,
            inputs.examples,
            inputs.tokenizer,
            inputs.settings,
            inputs.distillation,
            progress,
        )


@contextmanager
def quantised_matmuls(
    model: PreTrainedModel,
    keep_float: Callable[[str], bool] = lambda name: False,
    steps: int | None = None,
) -> Iterator[None]:
    """Let a model's nn.Linear modules compute as ONNX Runtime's dynamic int8 would.

    Weights are rounded to symmetric s8 with a scale for each output channel, inputs to u8 with one
    scale and zero point for the whole batch (ONNX DynamicQuantizeLinear).

    Args:
        model: its matmuls change while the context lasts.
        keep_float: whether the nn.Linear of that dotted name keeps its precision.
        steps: of weights, to either side of zero; None for as many as files made here have.
    """
    from torch.nn import Linear

    changed = [
        module
        for name, module in model.named_modules()
        if isinstance(module, Linear) and not keep_float(name)
    ]
    for module in changed:
        # On the instance: hooks, parametrisations or wrappers would change the weights' names.
        module.forward = _as_int8(module, steps)  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        for module in changed:
            del module.forward


def _as_int8(module: nn.Linear, steps: int | None) -> Callable[[Tensor], Tensor]:
    from torch.nn import functional

    def forward(input: Tensor) -> Tensor:
        return functional.linear(
            round_inputs(input), round_weight(module.weight, steps), module.bias
        )

    return forward


def round_weight(weight: Tensor, steps: int | None = None) -> Tensor:
    """Round a weight (out, in) to s8 and back, symmetric, a scale for each row.

    Args:
        weight: (out, in).
        steps: to either side of zero; None for as many as files made here have.
    """
    import torch

    steps = steps or steps_here()
    largest = weight.detach().abs().amax(dim=1).clamp_min(torch.finfo(weight.dtype).tiny * steps)
    zeros = torch.zeros_like(largest, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, largest / steps, zeros, 0, -steps, steps)


def round_inputs(inputs: Tensor) -> Tensor:
    """Round a tensor to u8 and back, one scale and zero point for all of it, 0 in its range."""
    import torch

    low, high = torch.aminmax(inputs.detach())
    low, high = low.clamp_max(0), high.clamp_min(0)
    scale = ((high - low) / 255).clamp_min(torch.finfo(inputs.dtype).tiny * 255)
    zero = torch.round(-low / scale).to(torch.int32)
    return torch.fake_quantize_per_tensor_affine(inputs, scale, zero, 0, 255)
