"""The model that keeps what was selected: compact to train on, or in place for a while to score."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glp_export.compress.criteria.base import OutputProjection, Ranking, Refit, Sublayer
from glp_export.compress.criteria.projections import find_projections
from glp_export.compress.search_space import kept_units, removed_layers
from glp_export.compress.selection import Selection

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from glp_export.compress.compressors.base import Calibrator
    from glp_export.compress.plan import Plan
    from glp_export.core.shape import Kept


def build_pruned(model: PreTrainedModel, selection: Selection, ranking: Ranking) -> PreTrainedModel:
    """The compact model where recovery begins; `model` stays as it is.

    Args:
        model: unpruned, as it was ranked.
        selection: what stays.
        ranking: which units those are, and their refitted weights if the criterion has any.

    Raises:
        ModelError: see `remove_layers` and `compact`.
        UsageError: nothing would stay.
    """
    import torch

    from glp_export.encoder.compaction import compact
    from glp_export.encoder.layer_stack import remove_layers

    with torch.no_grad(), _refitted(find_projections(model), refits_of(selection, ranking)):
        gone = removed_layers(selection)
        shallower = remove_layers(model, gone) if gone else model
        # A shallower model is built anew, in training mode.
        return compact(shallower, kept_units(selection, ranking)).train(model.training)


def refits_of(selection: Selection, ranking: Ranking) -> dict[Sublayer, Refit]:
    """The refitted weights of every sublayer that loses something and stays."""
    refits: dict[Sublayer, Refit] = {}
    if ranking.refit is None:
        return refits
    for number, counts in enumerate(selection.layers):
        if counts is None:
            continue
        for sublayer, count in (
            (Sublayer(number, "attention"), counts[0]),
            (Sublayer(number, "feed-forward"), counts[1]),
        ):
            curve = ranking.curve(sublayer)
            if count < curve.units:
                refits[sublayer] = ranking.refit(sublayer, curve.kept(count))
    return refits


def refit_kept(
    plan: Plan, model: PreTrainedModel, kept: Kept, calibrator: Calibrator
) -> PreTrainedModel:
    """The compact model of a plan, its output projections refitted on calibration texts.

    Raises:
        DataError: there are no calibration texts.
        UsageError: the plan is for another model.
    """
    import torch

    from glp_export.compress.criteria.moments import collect_moments
    from glp_export.compress.criteria.obs import problem_of, refit

    projections = find_projections(model)
    moments = collect_moments(model.eval(), projections, calibrator.batches)
    refits = {}
    for projection in projections:
        number, kind = projection.sublayer
        if number in plan.order:
            continue
        layer = kept.layers[plan.kept.index(number)]
        units = layer.heads if kind == "attention" else layer.neurons
        if len(units) < projection.units:
            problem, _ = problem_of(projection, moments)
            refits[projection.sublayer] = refit(problem, units)
    with torch.no_grad(), _refitted(projections, refits):
        return plan.apply(model)


@dataclass(frozen=True)
class InPlace:
    """What turns the unpruned model into a pruned one for a while.

    Attributes:
        refits: weights of the sublayers that lose something.
        removed: layers that go whole.
    """

    refits: Mapping[Sublayer, Refit]
    removed: tuple[int, ...]

    @classmethod
    def of(cls, model: PreTrainedModel, selection: Selection, ranking: Ranking) -> InPlace:
        """For a choice; with the weights as they are if the criterion refits none."""
        refits = refits_of(selection, ranking)
        if ranking.refit is None:
            refits = _cut(find_projections(model), selection, ranking)
        return cls(refits, removed_layers(selection))

    @contextmanager
    def applied(self, model: PreTrainedModel) -> Iterator[None]:
        """While it lasts, the model computes as the pruned one would, at its full size."""
        with _refitted(find_projections(model), self.refits), _skipped(model, self.removed):
            yield


def _cut(
    projections: Sequence[OutputProjection], selection: Selection, ranking: Ranking
) -> dict[Sublayer, Refit]:
    """The weights as they are, of the units that are kept where some go."""
    refits = {}
    for projection in projections:
        counts = selection.layers[projection.sublayer.layer]
        if counts is None:
            continue
        count = counts[projection.sublayer.kind != "attention"]
        if count < projection.units:
            kept = ranking.curve(projection.sublayer).kept(count)
            refits[projection.sublayer] = plain_refit(projection, kept)
    return refits


def plain_refit(projection: OutputProjection, kept: tuple[int, ...]) -> Refit:
    """A projection's own weights of some units."""
    weight = projection.module.weight.detach()
    columns = _columns(kept, projection.width)
    bias = projection.module.bias
    return Refit(kept, weight[:, columns], None if bias is None else bias.detach())


def _columns(kept: Sequence[int], width: int) -> list[int]:
    return [unit * width + offset for unit in kept for offset in range(width)]


@contextmanager
def _refitted(
    projections: Sequence[OutputProjection], refits: Mapping[Sublayer, Refit]
) -> Iterator[None]:
    """While it lasts, projections have their refitted weights, and zeros for the other units."""
    before: list[tuple[Any, Tensor]] = []
    try:
        for projection in projections:
            refit = refits.get(projection.sublayer)
            if refit is None:
                continue
            module = projection.module
            weight = module.weight.detach().clone().zero_()
            weight[:, _columns(refit.kept, projection.width)] = refit.weight.to(weight)
            before.append((module.weight, module.weight.data))
            module.weight.data = weight
            if refit.bias is not None:
                before.append((module.bias, module.bias.data))
                module.bias.data = refit.bias.to(weight)
        yield
    finally:
        for parameter, data in before:
            parameter.data = data


@contextmanager
def _skipped(model: PreTrainedModel, removed: Sequence[int]) -> Iterator[None]:
    """While it lasts, some layers hand on what they are given."""
    from glp_export.encoder.sublayers import layers_of

    def hand_on(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        return (inputs[0], *output[1:]) if isinstance(output, tuple) else inputs[0]

    layers = layers_of(model)
    handles = [layers[number].register_forward_hook(hand_on) for number in removed]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
