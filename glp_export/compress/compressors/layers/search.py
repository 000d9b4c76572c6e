"""The search: a strategy, a place where its candidates are scored, and the plan they end in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glp_export.compress.compressors.layers.layer_file import read_layer_file
from glp_export.compress.compressors.layers.published import PREFIX, published_plan
from glp_export.compress.compressors.layers.strategies import STRATEGIES, Choice, Problem
from glp_export.compress.plan import Candidate, Cost, Plan, Step
from glp_export.compress.search.evaluator import TrialEvaluator
from glp_export.compress.steps import Part
from glp_export.core.errors import UsageError
from glp_export.core.shape import ModelShape

NOTHING = Cost()


def search(
    strategy: str,
    problem: Problem,
    evaluator: TrialEvaluator,
    facts: dict[str, Any],
    teacher: Cost = NOTHING,
) -> Plan:
    """Choose the layers to remove.

    Args:
        strategy: a key of `STRATEGIES`.
        problem: the layers that may go, and how many shall.
        evaluator: runs the trials that the strategy asks for.
        facts: the plan's fields that no search changes (base model, task, versions, …).
        teacher: what the model that candidates inherit from has cost.
    """
    choices = STRATEGIES[strategy].choose(problem, evaluator)
    steps = tuple(_step(choice, len(evaluator.context.select)) for choice in choices)
    return Plan.of_layers(
        tuple(layer for choice in choices for layer in choice.removed),
        **facts,
        strategy=strategy,
        seed=evaluator.context.inputs.settings.seed,
        settings=evaluator.context.inputs.settings.facts(),
        steps=steps if any(step.candidates for step in steps) else (),
        cost=_cost(evaluator, facts["num_layers"], teacher),
    )


def read_plan(name: str, num_layers: int, facts: dict[str, Any]) -> Plan:
    """Read the plan that `--plan` names, for the model that `facts` name.

    It is a plan.json, an artifact with one, the authors' layer file, or `paper:MODEL/TASK`.

    Raises:
        DataError: it cannot be read.
        UsageError: it was made for a model with another number of layers, other sizes or, where it
            keeps a part of them, other tokens.
    """
    plan = stored_plan(name)
    if plan is None:
        order = read_layer_file(Path(name))
        if max(order) >= num_layers or len(order) >= num_layers:
            raise _other_depth(name, max(max(order), len(order)) + 1, num_layers)
        return Plan.of_layers(order, **facts, strategy="layer-file", source=Path(name).name)
    if plan.num_layers != num_layers:
        raise _other_depth(name, plan.num_layers, num_layers)
    base = facts.get("base_shape")
    if plan.base_shape is not None and base is not None and not _alike(plan.base_shape, base):
        raise UsageError(
            f"the plan is for a model of {plan.base_shape.label()}, this one has {base.label()} "
            "of other sizes",
            where=f"--plan {name}",
            fix="give a plan that was searched for this model",
        )
    if base is not None and plan.kept_tokens and plan.base_vocabulary != base.vocabulary:
        raise UsageError(
            f"the plan keeps some of {plan.base_vocabulary} tokens, and this model has "
            f"{base.vocabulary}: ids are those of other tokens",
            where=f"--plan {name}",
            fix="give a plan that was searched for a model with this tokenizer",
        )
    return plan.model_copy(update={**facts, "source": plan.source or name})


def stored_plan(name: str) -> Plan | None:
    """The plan that `--plan` names as it was written, for whichever model; None for a layer file.

    Raises:
        DataError: it cannot be read.
        UsageError: there is no such published plan.
    """
    if name.startswith(PREFIX):
        return published_plan(name)
    if Path(name).suffix == ".json":
        return Plan.load(Path(name))
    return Plan.load(Path(name) / "glp" / "plan.json") if Path(name).is_dir() else None


def _alike(one: ModelShape, other: ModelShape) -> bool:
    """Whether a plan's edits of layers fit another model; the vocabulary has no part in it."""
    return (one.layers, one.hidden_size) == (other.layers, other.hidden_size)


def _other_depth(name: str, expected: int, num_layers: int) -> UsageError:
    return UsageError(
        f"the plan is for a model of {expected} layers or more, this one has {num_layers}",
        where=f"--plan {name}",
        fix="give a plan that was searched for this model",
    )


def _step(choice: Choice, rows: int) -> Step:
    return Step(
        removed=choice.removed,
        score=choice.winner.score if choice.winner else None,
        sample_size=rows,
        candidates=tuple(choice.candidates),
        lead=choice.lead,
        probability=choice.probability,
    )


def _cost(evaluator: TrialEvaluator, num_layers: int, teacher: Cost) -> Cost:
    context, asked = evaluator.context, evaluator.asked.values()

    def trained(candidate: Candidate) -> int:
        return context.whole if candidate.examples is None else candidate.examples

    return teacher + Cost.of_part(
        Part.TRIALS,
        sum(one.seconds for one in asked),
        trainings=sum(trained(candidate) > 0 for candidate in asked),
        sample_layers=sum((num_layers - len(one.removed)) * trained(one) for one in asked),
        scored_sample_layers=sum(
            (num_layers - len(one.removed)) * evaluator.scored for one in asked
        ),
    )
