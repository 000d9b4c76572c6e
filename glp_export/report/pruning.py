"""What the search compared and what it took: steps, candidates and the final round."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from statistics import fmean
from typing import TYPE_CHECKING

from glp_export.compress.steps import Part
from glp_export.core import numbers
from glp_export.report.tables import Quoted, Table, known
from glp_export.report.words import metric_name

if TYPE_CHECKING:
    from glp_export.compress.plan import Candidate, Plan, Step

FINAL_ROUND = "final-round"
"""The kind of a step that compares whole models, not single layers."""

_LOSS = "{:.4f}".format
_ENOUGH = 3
"""Single layers that a step has to have tried, where so many were left."""


@dataclass(frozen=True)
class Tried:
    """A layer that a step could have taken.

    Attributes:
        score: the metric on dev without it.
        behind: how far it is behind the step's best, in what chose: of the loss the share by which
            it is larger, of a score the difference.
    """

    score: float
    behind: float


@dataclass(frozen=True)
class Compared:
    """One step.

    Attributes:
        number: from 1.
        removed: the layers that were removed in it.
        earlier: those that were removed before it.
        tried: by layer; empty where none was compared with another one.
        by_loss: whether losses chose, not scores.
    """

    number: int
    removed: tuple[int, ...]
    earlier: frozenset[int]
    tried: dict[int, Tried]
    by_loss: bool


def stack(plan: Plan) -> list[int | None]:
    """The step in which each layer was removed, from the input on; None for one that stays."""
    steps = {
        layer: number for number, step in enumerate(layer_steps(plan), 1) for layer in step.removed
    } or {layer: number for number, layer in enumerate(plan.order, 1)}
    return [steps.get(number) for number in range(plan.num_layers)]


def layer_steps(plan: Plan) -> tuple[Step, ...]:
    """The steps that each took a layer, or several."""
    return tuple(step for step in plan.steps if step.kind != FINAL_ROUND)


def compared(plan: Plan) -> list[Compared]:
    """The steps with the single layers that each compared."""
    found, earlier = [], frozenset[int]()
    for number, step in enumerate(layer_steps(plan), 1):
        repeats = _repeats(step, earlier)
        if len(repeats) < min(_ENOUGH, plan.num_layers - len(earlier)):
            repeats = {}
        scores = {layer: fmean(one.score for one in own) for layer, own in repeats.items()}
        losses = {
            layer: fmean(one.loss for one in own if one.loss is not None)
            for layer, own in repeats.items()
            if all(one.loss is not None for one in own)
        }
        by_loss = len(losses) == len(scores) > 0
        best = min(losses.values()) if by_loss else max(scores.values(), default=0.0)
        tried = {
            layer: Tried(score, _behind(losses[layer], best) if by_loss else best - score)
            for layer, score in scores.items()
        }
        found.append(Compared(number, step.removed, earlier, tried, by_loss))
        earlier |= set(step.removed)
    return found


def _repeats(step: Step, earlier: frozenset[int]) -> dict[int, list[Candidate]]:
    """The single layers that were tried in a step, all by the training that most of them had.

    Whole orders that are compared may happen to differ in one layer; a few of them do not compare
    the layers that were left.
    """
    sizes: dict[int | None, dict[int, list[Candidate]]] = {}
    for one in step.candidates:
        more = set(one.removed) - earlier
        if earlier <= set(one.removed) and len(more) == 1:
            sizes.setdefault(one.examples, {}).setdefault(more.pop(), []).append(one)
    most = max(sizes, key=lambda n: (sum(map(len, sizes[n].values())), -(n or 0)), default=None)
    return dict(sorted(sizes.get(most, {}).items()))


def _behind(loss: float, least: float) -> float:
    return loss / least - 1 if least > 0 else loss


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
    named = {}
    for candidate in sorted(longest.values(), key=_merit, reverse=True):
        lacks = set(candidate.removed)
        named[layers_name(lacks - earlier if earlier <= lacks else lacks)] = candidate
    return named


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
    number, taken = plan.cost.trainings, plan.cost.parts
    trainings = f"{number} training{'s' * (number != 1)}" if number else "no training"
    words = trainings + (f", {numbers.duration(plan.cost.seconds)}" if plan.cost.seconds else "")
    parts = [f"{part} {numbers.duration(taken[part])}" for part in Part if taken.get(part)]
    return f"{words} ({', '.join(parts)})" if len(parts) > 1 else words


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
                f"{metric_name(plan.metric)} without it": known(step.score, numbers.metric),
                "next best": f"{numbers.metric(second.score)} (layer{'s' * ('+' in name)} {name})"
                if second
                else None,
                "lead (loss)": known(step.lead, _LOSS),
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
                "trained on": known(candidate.examples, str),
                metric: numbers.metric(candidate.score),
                "loss": known(candidate.loss, _LOSS),
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
                "loss": known(one.loss, _LOSS),
                metric_name(plan.metric): numbers.metric(one.score),
                "trained on": known(one.examples, str),
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


def _inputs(candidate: Candidate) -> float:
    return inf if candidate.examples is None else candidate.examples


def _merit(candidate: Candidate) -> tuple[float, float, tuple[int, ...]]:
    if candidate.loss is None:
        return 0.0, round(candidate.score, 3), candidate.removed
    return _inputs(candidate), -candidate.loss, candidate.removed
