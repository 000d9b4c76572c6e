"""How far a model's answers move when something of it goes: the coefficients of a choice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glp_export.compress.criteria.base import Batch, Ranking, Sublayer
from glp_export.compress.criteria.moments import run
from glp_export.compress.pruned_model import InPlace
from glp_export.compress.selection import Selection

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

Divergence = Callable[[Any, Any, Batch], "Tensor"]
"""From a pruned model's outputs, the unpruned one's and their batch to a scalar, mean over rows."""


@dataclass(frozen=True)
class Sensitivities:
    """What the answers move by when one thing alone goes.

    Attributes:
        sublayers: all heads or neurons of a sublayer, its constant output kept.
        layers: a layer with its norms.
    """

    sublayers: Mapping[Sublayer, float]
    layers: Mapping[int, float]


def measure_sensitivities(
    model: PreTrainedModel,
    ranking: Ranking,
    batches: Sequence[Batch],
    divergence: Divergence,
    *,
    removable: Sequence[int],
) -> Sensitivities:
    """Take every sublayer and every removable layer away, one at a time.

    Layers below the one that changes give what they gave before, so on average half a model runs.

    Args:
        model: unpruned, in eval mode; left as it is.
        ranking: of its units.
        batches: texts for choosing.
        divergence: between answers.
        removable: layers that may go whole.
    """
    whole = _everything(ranking)
    changes: dict[Sublayer | int, Selection] = {}
    for curve in ranking.curves:
        changes[curve.sublayer] = _without(whole, curve.sublayer)
    for number in removable:
        layers = list(whole.layers)
        layers[number] = None
        changes[number] = Selection(tuple(layers), 0.0, 0.0)
    found = dict(
        zip(
            changes,
            divergences(model, ranking, list(changes.values()), batches, divergence),
            strict=True,
        )
    )
    return Sensitivities(
        {key: value for key, value in found.items() if isinstance(key, Sublayer)},
        {key: value for key, value in found.items() if isinstance(key, int)},
    )


def divergences(
    model: PreTrainedModel,
    ranking: Ranking,
    selections: Sequence[Selection],
    batches: Sequence[Batch],
    divergence: Divergence,
    answers: Sequence[Any] | None = None,
) -> list[float]:
    """How far each choice's answers are from the unpruned model's, mean over the rows.

    With its `answers` to every batch, where they are known, the unpruned model does not run; else
    layers below the first that changes give what it gave.
    """
    import torch

    totals = [0.0] * len(selections)
    changes = [InPlace.of(model, selection, ranking) for selection in selections]
    untouched = [_unchanged(selection, _everything(ranking)) for selection in selections]
    rows = 0
    for number, batch in enumerate(batches):
        count = len(batch["input_ids"])
        rows += count
        with torch.inference_mode(), _recorded(model) as outputs:
            wanted = run(model, batch) if answers is None else answers[number]
        for place, change in enumerate(changes):
            with (
                change.applied(model),
                _replayed(model, outputs[: untouched[place]]),
                torch.inference_mode(),
            ):
                totals[place] += count * float(divergence(run(model, batch), wanted, batch))
    return [total / rows for total in totals]


def _everything(ranking: Ranking) -> Selection:
    depth = 1 + max(curve.sublayer.layer for curve in ranking.curves)
    units = {curve.sublayer: curve.units for curve in ranking.curves}
    layers = tuple(
        (units[Sublayer(number, "attention")], units[Sublayer(number, "feed-forward")])
        for number in range(depth)
    )
    return Selection(layers, 0.0, 0.0)


def _without(whole: Selection, sublayer: Sublayer) -> Selection:
    layers = list(whole.layers)
    heads, neurons = layers[sublayer.layer] or (0, 0)
    layers[sublayer.layer] = (0, neurons) if sublayer.kind == "attention" else (heads, 0)
    return Selection(tuple(layers), 0.0, 0.0)


def _unchanged(selection: Selection, whole: Selection) -> int:
    """Layers at the bottom that lose nothing."""
    pairs = zip(selection.layers, whole.layers, strict=True)
    return next((n for n, (own, full) in enumerate(pairs) if own != full), len(whole.layers))


@contextmanager
def _recorded(model: PreTrainedModel) -> Iterator[list[Any]]:
    """What each layer gives while it lasts, bottom first."""
    from glp_export.encoder.sublayers import layers_of

    outputs: list[Any] = []
    handles = [
        layer.register_forward_hook(lambda module, inputs, output: outputs.append(output))
        for layer in layers_of(model)
    ]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _replayed(model: PreTrainedModel, outputs: Sequence[Any]) -> Iterator[None]:
    """While it lasts, the lowest layers give what was recorded and compute nothing."""
    from glp_export.encoder.sublayers import layers_of

    replaced = []
    for layer, output in zip(layers_of(model), outputs, strict=False):
        layer.__dict__["forward"] = lambda *args, given=output, **kwargs: given
        replaced.append(layer)
    try:
        yield
    finally:
        for layer in replaced:
            del layer.__dict__["forward"]
