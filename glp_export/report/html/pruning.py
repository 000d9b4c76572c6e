"""What was removed: the layer stack, the steps of the search, and what each step compared."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from glp_export.core import numbers
from glp_export.report.card_tables import step_rows
from glp_export.report.html.tables import Table, columns
from glp_export.report.warnings import metric_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from glp_export.compress.plan import Candidate, Plan, Step


_ENOUGH = 3
"""Single layers that a step has to have tried, where so many were left."""


@dataclass(frozen=True)
class Layer:
    """One layer of the base model.

    Attributes:
        number: from 0 at the input.
        step: in which it went, from 1; None for one that stays.
    """

    number: int
    step: int | None


@dataclass(frozen=True)
class Tried:
    """A layer that a step could have taken.

    Attributes:
        score: the metric on `select` without it.
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
        removed: the layers that went in it.
        gone: those that had gone before.
        tried: by layer; empty where none was compared with another one.
    """

    number: int
    removed: tuple[int, ...]
    gone: frozenset[int]
    tried: dict[int, Tried]


def stack(plan: Plan) -> list[Layer]:
    """All layers from the input on."""
    steps = {
        layer: number for number, step in enumerate(plan.steps, 1) for layer in step.removed
    } or {layer: number for number, layer in enumerate(plan.order, 1)}
    return [Layer(number, steps.get(number)) for number in range(plan.num_layers)]


def compared(plan: Plan) -> list[Compared]:
    """The steps with the single layers that each compared."""
    found, gone = [], frozenset[int]()
    for number, step in enumerate(plan.steps, 1):
        found.append(
            Compared(number, step.removed, gone, _tried(step, gone, plan.num_layers - len(gone)))
        )
        gone |= set(step.removed)
    return found


def chosen_by_loss(plan: Plan) -> bool:
    """Whether losses chose, not scores."""
    return any(one.loss is not None for step in compared(plan) for one in step.tried.values())


def steps_table(plan: Plan) -> Table | None:
    """What went in each step, what came second, and how sure that is."""
    if not plan.steps:
        return None
    metric = metric_name(plan.metric)
    rows = []
    for number, (row, step) in enumerate(zip(step_rows(plan), plan.steps, strict=True), 1):
        rows.append(
            (
                str(number),
                row["layers"],
                row["score"],
                row["runner_up"],
                numbers.MISSING if step.lead is None else f"{step.lead:.4f}",
                _bar(step.probability),
                row["samples"],
            )
        )
    return Table(
        caption="Each step of the search. Lead: by how much the loss of the layer that went was "
        "smaller than the next one's. Sure: the chance that it is, on other examples of this kind.",
        columns=columns(
            *("step", "layer that went", f"{metric} without it", "next best (layer)"),
            *("lead (loss)", "sure (%)", "examples"),
        ),
        rows=tuple(rows),
    )


def _bar(probability: float | None) -> str:
    """A probability as a bar and a number; a certainty that was rounded up is not shown as one."""
    if probability is None:
        return numbers.MISSING
    share = f"{100 * min(probability, 0.999):.1f}"
    bar = Markup('<span class="bar" style="--share: {}%" aria-hidden="true"></span>')
    return bar.format(share) + f"{share} %"


def candidates_table(plan: Plan) -> Table | None:
    """Every candidate of every step, as it was tried."""
    rows = [
        (
            str(number),
            ", ".join(map(str, candidate.removed)),
            numbers.MISSING if candidate.examples is None else str(candidate.examples),
            numbers.metric(candidate.score),
            numbers.MISSING if candidate.loss is None else f"{candidate.loss:.4f}",
            "went" if set(step.removed) <= set(candidate.removed) else "",
        )
        for number, step in enumerate(plan.steps, 1)
        for candidate in step.candidates
    ]
    if not rows:
        return None
    return Table(
        caption="Every candidate: the layers that it lacks, how many examples it was taught from "
        f"(– is the whole training), its {metric_name(plan.metric)} and loss on select.",
        columns=columns(
            *("step", "without layers", "taught from", metric_name(plan.metric), "loss", ""),
            words=("without layers", ""),
        ),
        rows=tuple(rows),
    )


def _tried(step: Step, gone: frozenset[int], left: int) -> dict[int, Tried]:
    """The single layers that were tried in a step, all by the lesson that most of them had.

    Whole orders of a play-off may happen to differ in one layer; a few of them are no comparison
    of the layers that were left.
    """
    single = [one for one in step.candidates if _layer(one, gone) is not None]
    if not single:
        return {}
    lessons = Counter(one.examples for one in single)
    inputs = max(lessons, key=lambda each: (lessons[each], -(each or 0)))
    by_layer: dict[int, list[Candidate]] = {}
    for one in single:
        layer = _layer(one, gone)
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


def _layer(candidate: Candidate, gone: frozenset[int]) -> int | None:
    """The one layer that a candidate lacks beyond those that went before, if it is one."""
    more = set(candidate.removed) - gone
    return more.pop() if gone <= set(candidate.removed) and len(more) == 1 else None


def _means(repeats: Sequence[Candidate]) -> tuple[float, float | None]:
    """Score and loss over the seeds."""
    losses = [one.loss for one in repeats if one.loss is not None]
    score = sum(one.score for one in repeats) / len(repeats)
    return score, sum(losses) / len(losses) if len(losses) == len(repeats) else None


def _behind(score: float, most: float, loss: float | None, least: float) -> float:
    if loss is None:
        return most - score
    return loss / least - 1 if least > 0 else loss
