"""What the search compared and what it took: steps, candidates and the final round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from glp_export.core import numbers
from glp_export.report.tables import Quoted, Table
from glp_export.report.warnings import metric_name

if TYPE_CHECKING:
    from glp_export.compress.plan import Candidate, Plan, Step

FINAL_ROUND = "final-round"
"""The kind of a step that compares whole models, not single layers."""

_ENOUGH = 3
"""Single layers that a step has to have tried, where so many were left."""


@dataclass(frozen=True)
class Layer:
    """One layer of the base model.

    Attributes:
        number: from 0 at the input.
        step: in which it was removed, from 1; None for one that stays.
    """

    number: int
    step: int | None


@dataclass(frozen=True)
class Tried:
    """A layer that a step could have taken.

    Attributes:
        score: the metric on dev without it.
        loss: on dev, where losses were compared.
        behind: how far it is behind the step's best, in what chose: of the loss the share by which
            it is larger, of a score the difference.
    """

    score: float
    loss: float | None
    behind: float


@dataclass(frozen=True)
class Compared:
    """One step.

    Attributes:
        number: from 1.
        removed: the layers that were removed in it.
        earlier: those that were removed before it.
        tried: by layer; empty where none was compared with another one.
    """

    number: int
    removed: tuple[int, ...]
    earlier: frozenset[int]
    tried: dict[int, Tried]


def stack(plan: Plan) -> list[Layer]:
    """All layers from the input on."""
    steps = {
        layer: number for number, step in enumerate(layer_steps(plan), 1) for layer in step.removed
    } or {layer: number for number, layer in enumerate(plan.order, 1)}
    return [Layer(number, steps.get(number)) for number in range(plan.num_layers)]


def layer_steps(plan: Plan) -> tuple[Step, ...]:
    """The steps that each took a layer, or several."""
    return tuple(step for step in plan.steps if step.kind != FINAL_ROUND)


def compared(plan: Plan) -> list[Compared]:
    """The steps with the single layers that each compared."""
    found, earlier = [], frozenset[int]()
    for number, step in enumerate(layer_steps(plan), 1):
        found.append(
            Compared(
                number, step.removed, earlier, _tried(step, earlier, plan.num_layers - len(earlier))
            )
        )
        earlier |= set(step.removed)
    return found


def chosen_by_loss(plan: Plan) -> bool:
    """Whether losses chose, not scores."""
    return any(one.loss is not None for step in compared(plan) for one in step.tried.values())


def candidate_names(plan: Plan, number: int) -> dict[str, Candidate]:
    """The candidates of a step, best first, by the layers they lack beyond the steps before.

    One of a comparison of whole orders that keeps a layer of those steps is named by all that it
    lacks. Of one that was trained more than once the training on most examples counts. The loss
    ranks where there is one, the score otherwise.
    """
    steps = layer_steps(plan)
    earlier = {layer for step in steps[:number] for layer in step.removed}
    longest: dict[tuple[int, ...], Candidate] = {}
    for candidate in steps[number].candidates:
        known = longest.get(candidate.removed)
        if known is None or _inputs(candidate) > _inputs(known):
            longest[candidate.removed] = candidate
    ranked = sorted(longest.values(), key=_merit, reverse=True)
    return {
        layers_name(_beyond(set(candidate.removed), earlier)): candidate for candidate in ranked
    }


def layers_name(layers: set[int]) -> str:
    """`3`, or `3+5` for several."""
    return "+".join(map(str, sorted(layers)))


def _probability(step: Step) -> str | None:
    """That the winner is the best: `0.87`; None for a choice by score."""
    if step.probability is None:
        return None
    return f"{min(step.probability, 0.99):.2f}"  # never rounded up to a certainty


def cost_words(plan: Plan) -> str:
    """What the search spent, in words."""
    if not plan.cost.trainings:
        return "no training"
    words = f"{plan.cost.trainings} trainings"
    return words + (f", {numbers.duration(plan.cost.seconds)}" if plan.cost.seconds else "")


def steps_table(plan: Plan) -> Table:
    """What was removed in each step, what came second, and how probably it is the best."""
    rows = []
    for number, step in enumerate(layer_steps(plan)):
        chosen = layers_name(set(step.removed))
        others = (item for item in candidate_names(plan, number).items() if item[0] != chosen)
        name, second = next(others, ("", None))
        rows.append(
            {
                "step": str(number + 1),
                "layer removed": chosen,
                f"{metric_name(plan.metric)} without it": None
                if step.score is None
                else numbers.metric(step.score),
                "next best": second
                and f"{numbers.metric(second.score)} (layer{'s' * ('+' in name)} {name})",
                "lead (loss)": _loss(step.lead),
                "probability that it is the best": _probability(step),
                "examples": str(step.sample_size),
            }
        )
    return Table.of(
        "Each step of the search. Lead: by how much the loss of the layer removed was "
        "smaller than the next one's. Probability: that it is, on other examples of this kind.",
        rows,
    )


def candidates_table(plan: Plan) -> Table:
    """Every candidate of every step, as it was tried."""
    metric = metric_name(plan.metric)
    return Table.of(
        "Every candidate: the layers that it lacks, how many examples it was trained on "
        f"(– is the whole training), its {metric} and loss on dev.",
        (
            {
                "step": str(number),
                "without layers": ", ".join(map(str, candidate.removed)),
                "trained on": candidate.examples and str(candidate.examples),
                metric: numbers.metric(candidate.score),
                "loss": _loss(candidate.loss),
                "": "removed" if set(step.removed) <= set(candidate.removed) else "",
            }
            for number, step in enumerate(layer_steps(plan), 1)
            for candidate in step.candidates
        ),
        words=("without layers", ""),
    )


def finalists_table(plan: Plan) -> Table:
    """The final round: whole models after a short training each, the best first."""
    finals = [step for step in plan.steps if step.kind == FINAL_ROUND]
    return Table.of(
        "The final round: models of about equal latency after the same short training. "
        f"The smallest loss on {finals[-1].sample_size if finals else 0} examples of dev is taken; "
        "the probability is that it is smaller than the next one's on other examples.",
        (
            {
                "candidate": Quoted(one.label or layers_name(set(one.removed)) or numbers.MISSING),
                "loss": _loss(one.loss),
                metric_name(plan.metric): numbers.metric(one.score),
                "trained on": one.examples and str(one.examples),
                "result": f"taken, probability {_probability(step) or numbers.MISSING}"
                if place == 0
                else "",
            }
            for step in finals
            for place, one in enumerate(step.candidates)
        ),
        words=("result",),
        strong=(0,),
    )


def _loss(value: float | None) -> str | None:
    return None if value is None else f"{value:.4f}"


def _beyond(removed: set[int], earlier: set[int]) -> set[int]:
    return removed - earlier if earlier <= removed else removed


def _inputs(candidate: Candidate) -> float:
    return inf if candidate.examples is None else candidate.examples


def _merit(candidate: Candidate) -> tuple[float, float, tuple[int, ...]]:
    by_loss = 0.0 if candidate.loss is None else -candidate.loss
    inputs = 0.0 if candidate.loss is None else _inputs(candidate)
    score = round(candidate.score, 3) if candidate.loss is None else by_loss
    return inputs, score, candidate.removed


def _tried(step: Step, earlier: frozenset[int], left: int) -> dict[int, Tried]:
    """The single layers that were tried in a step, all by the training that most of them had.

    Whole orders that are compared may happen to differ in one layer; a few of them do not compare
    the layers that were left.
    """
    single = [one for one in step.candidates if _layer(one, earlier) is not None]
    if not single:
        return {}
    sizes = Counter(one.examples for one in single)
    inputs = max(sizes, key=lambda each: (sizes[each], -(each or 0)))
    by_layer: dict[int, list[Candidate]] = {}
    for one in single:
        layer = _layer(one, earlier)
        if one.examples == inputs and layer is not None:
            by_layer.setdefault(layer, []).append(one)
    if len(by_layer) < min(_ENOUGH, left):
        return {}
    means = {layer: _means(repeats) for layer, repeats in sorted(by_layer.items())}
    by_loss = all(loss is not None for _, loss in means.values())
    least = min((loss for _, loss in means.values() if loss is not None), default=0.0)
    most = max(score for score, _ in means.values())
    return {
        layer: Tried(score, loss, _behind(score, most, loss if by_loss else None, least))
        for layer, (score, loss) in means.items()
    }


def _layer(candidate: Candidate, earlier: frozenset[int]) -> int | None:
    """The one layer that a candidate lacks beyond those that went before, if it is one."""
    more = set(candidate.removed) - earlier
    return more.pop() if earlier <= set(candidate.removed) and len(more) == 1 else None


def _means(repeats: Sequence[Candidate]) -> tuple[float, float | None]:
    """Score and loss over the seeds."""
    losses = [one.loss for one in repeats if one.loss is not None]
    score = sum(one.score for one in repeats) / len(repeats)
    return score, sum(losses) / len(losses) if len(losses) == len(repeats) else None


def _behind(score: float, most: float, loss: float | None, least: float) -> float:
    if loss is None:
        return most - score
    return loss / least - 1 if least > 0 else loss
