"""The search: a strategy, a place where its candidates are scored, and the plan they end in."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.errors import UsageError
from glp_export.search.layer_file import read_layer_file
from glp_export.search.plan import Candidate, Cost, Plan, Step
from glp_export.search.published import PREFIX, published_plan
from glp_export.search.strategies import STRATEGIES, Choice, Problem

if TYPE_CHECKING:
    from glp_export.search.candidates import FineTunedCandidates


def search(
    strategy: str, problem: Problem, candidates: FineTunedCandidates, facts: dict[str, Any]
) -> Plan:
    """Choose the layers to remove.

    Args:
        strategy: a key of `STRATEGIES`.
        problem: the layers that may go, and how many shall.
        candidates: scores what the strategy asks for.
        facts: the plan's fields that no search changes (base model, task, versions, …).
    """
    choices = STRATEGIES[strategy].choose(problem, candidates)
    steps = tuple(_step(choice, candidates) for choice in choices)
    return Plan(
        **facts,
        strategy=strategy,
        seed=candidates.settings.seed,
        settings=asdict(candidates.settings),
        order=tuple(layer for choice in choices for layer in choice.removed),
        steps=steps if any(step.candidates for step in steps) else (),
        cost=_cost(steps, candidates, facts["num_layers"]),
    )


def read_plan(name: str, num_layers: int, facts: dict[str, Any]) -> Plan:
    """Read the plan that `--plan` names, to be carried out on the model that `facts` name.

    It is a plan.json, an artifact with one, the authors' layer file, or `paper:MODEL/TASK`.

    Raises:
        DataError: it cannot be read.
        UsageError: it was made for a model with another number of layers.
    """
    if name.startswith(PREFIX):
        plan = published_plan(name)
    elif Path(name).suffix == ".json":
        plan = Plan.load(Path(name))
    elif Path(name).is_dir():
        plan = Plan.load(Path(name) / "glp" / "plan.json")
    else:
        order = read_layer_file(Path(name))
        if max(order) >= num_layers or len(order) >= num_layers:
            raise _other_depth(name, max(max(order), len(order)) + 1, num_layers)
        return Plan(**facts, order=order, strategy="layer-file", source=Path(name).name)
    if plan.num_layers != num_layers:
        raise _other_depth(name, plan.num_layers, num_layers)
    return plan.model_copy(update={**facts, "source": plan.source or name})


def _other_depth(name: str, expected: int, num_layers: int) -> UsageError:
    return UsageError(
        f"the plan is for a model of {expected} layers or more, this one has {num_layers}",
        where=f"--plan {name}",
        fix="give a plan that was searched for this model",
    )


def _step(choice: Choice, candidates: FineTunedCandidates) -> Step:
    tried = tuple(_known(candidates, removed) for removed in choice.scores)
    after = [candidate for candidate in tried if set(choice.removed) <= set(candidate.removed)]
    return Step(
        removed=choice.removed,
        score=max((candidate.score for candidate in after), default=float("nan")),
        sample_size=len(candidates.select),
        candidates=tried,
    )


def _known(candidates: FineTunedCandidates, removed: tuple[int, ...]) -> Candidate:
    candidate = candidates.journal.get(removed)
    assert candidate is not None, f"{removed} was chosen among but never scored"
    return candidate


def _cost(steps: tuple[Step, ...], candidates: FineTunedCandidates, num_layers: int) -> Cost:
    tried = [candidate for step in steps for candidate in step.candidates]
    samples = round(len(candidates.fit) * candidates.settings.epochs)
    return Cost(
        trainings=len(tried),
        sample_layers=sum((num_layers - len(c.removed)) * samples for c in tried),
        seconds=round(sum(candidate.seconds for candidate in tried), 1),
    )
