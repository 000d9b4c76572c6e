"""The layers compressor: an order of removal by a strategy, as long as the budget lets it be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from glp_export.compress.budget import Budget
from glp_export.compress.compressors.base import Calibrator, CompressionEvaluator, Found
from glp_export.compress.compressors.layers.accuracy import keep_within_drop
from glp_export.compress.compressors.layers.depths import plans_at, problem_of
from glp_export.compress.compressors.layers.options import LayerOptions
from glp_export.compress.compressors.layers.search import search
from glp_export.compress.compressors.layers.strategies import STRATEGIES, Problem
from glp_export.compress.plan import Cost, Plan
from glp_export.compress.search_cost import SearchCost
from glp_export.core.errors import LatencyError, UsageError
from glp_export.core.numbers import layers_in_words

if TYPE_CHECKING:
    from pydantic import BaseModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from glp_export.compress.search.evaluator import TrialEvaluator
    from glp_export.core.progress import Meter
    from glp_export.core.shape import ModelShape


@dataclass(frozen=True)
class LayerCompressor:
    """The row of the layers compressor."""

    name: str = "layers"
    summary: str = "whole layers, by the strategies of --search"
    options: type[BaseModel] = LayerOptions

    def require(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """Check that it is known where the layers are, and that one can go.

        Raises:
            ModelError: it is not.
        """
        from glp_export.encoder import require_removable

        require_removable(model)

    def cost(
        self, options: LayerOptions, budget: Budget, base: ModelShape, removable: Sequence[int]
    ) -> SearchCost:
        """What the strategy may spend; nothing where it is a rule."""
        problem = _problem(options, budget, base.depth, removable)
        return replace(
            STRATEGIES[options.search].search_cost(problem),
            strategy=options.search,
            flag="--search",
            stages=1 + bool(budget.times),
        )

    def search(
        self, options: LayerOptions, budget: Budget, evaluator: CompressionEvaluator
    ) -> list[Found]:
        """One order of removal, and of it the plan of each depth.

        With a budget of time the deepest model that keeps it is found first: without an accuracy
        to keep, that many layers stay, for the deepest model is the most accurate one.

        Raises:
            AccuracyError: no depth is accurate enough.
            LatencyError: not even the shallowest is fast or small enough.
            UsageError: several speeds, or the journal belongs to other settings.
        """
        _require_one_speed(budget)
        num_layers: int = evaluator.facts["num_layers"]
        problem = _problem(options, budget, num_layers, evaluator.removable)
        deepest = evaluator.fast_enough_depth() if budget.times else None
        if budget.megabytes is not None and not budget.depths:
            small = _small_enough(budget.megabytes, evaluator)
            deepest = small if deepest is None else min(small, deepest)
        if deepest is not None and budget.max_drop is None:
            problem = replace(problem, cuts=num_layers - deepest, judged=None)
        plan = _choose(options.search, problem, evaluator)
        return found_by(plan, budget, evaluator, deepest)

    def start(self, plan: Plan, model: PreTrainedModel, calibrator: Calibrator) -> PreTrainedModel:
        """The model without the plan's layers; the others keep their weights."""
        return plan.apply(model)


def found_by(
    plan: Plan, budget: Budget, evaluator: CompressionEvaluator, deepest: int | None = None
) -> list[Found]:
    """What one order of removal leads to: a plan of each depth, as short as the accuracy lets it.

    Args:
        plan: that was chosen, or named.
        budget: its depths and its accuracy count.
        evaluator: trains the depths that an accuracy is looked for in.
        deepest: the most layers that may stay; None: one goes at least.

    Raises:
        AccuracyError: no depth is accurate enough.
        UsageError: several speeds, or the plan does not serve the depths.
    """
    _require_one_speed(budget)
    plan, drop = keep_within_drop(plan, budget, evaluator, deepest)
    return [Found(one, drop=drop) for one in plans_at(plan, budget.depths)]


def _small_enough(most: float, evaluator: CompressionEvaluator) -> int:
    """The deepest model, at least one layer shallower, whose artifact has room in `most` MB.

    Layers of one model are alike in bytes, so it does not matter which ones go.

    Raises:
        LatencyError: not even the shallowest has.
    """
    total: int = evaluator.facts["num_layers"]
    from_the_top = tuple(evaluator.removable[::-1])
    most_cuts = min(len(from_the_top), total - 1)

    def taken(cuts: int) -> float:
        facts = dict(evaluator.facts)
        return evaluator.least_megabytes(
            Plan.of_layers(from_the_top[:cuts], **facts, strategy="top")
        )

    with evaluator.progress.stage("find a depth that is small enough") as meter:
        largest, least = taken(1), taken(most_cuts)
        meter.advance(f"{layers_in_words(total - most_cuts)}: {least:.2f} MB")
    if least > most:
        raise LatencyError(
            f"{layers_in_words(total - most_cuts)}, the fewest there can be: {least:.2f} MB",
            where=f"--size-budget {most:g}MB",
            fix="add --precision int8 or vocabulary (--compress layers,vocabulary), or ask for "
            "more",
        )
    per_layer = (largest - least) / max(1, most_cuts - 1)
    more = math.ceil((largest - most) / per_layer) if largest > most else 0
    return total - min(1 + more, most_cuts)


def _problem(
    options: LayerOptions, budget: Budget, num_layers: int, removable: Sequence[int]
) -> Problem:
    return problem_of(tuple(removable), num_layers, budget.depths, budget.cuts, options.seeds)


def _choose(name: str, problem: Problem, evaluator: CompressionEvaluator) -> Plan:
    """Search an order of removal."""
    strategy = STRATEGIES[name]
    search_cost = strategy.search_cost(problem)
    # Where labels teach nothing, or are the teacher's own, candidates of every strategy imitate.
    imitated = not evaluator.labels_teach and bool(search_cost.groups)
    trained = strategy.needs_teacher or imitated
    cost = evaluator.teacher_cost if trained else Cost()
    with (
        evaluator.progress.stage(f"search ({name})") as meter,
        evaluator.open_trials("distill" if trained else "finetune") as trials,
    ):
        trials.meter = meter
        _begin(meter, trials, search_cost)
        return search(name, problem, trials, dict(evaluator.facts), cost)


def _begin(meter: Meter, trials: TrialEvaluator, search_cost: SearchCost) -> None:
    """Tell the meter what is to come: candidates cost less the more layers are gone."""
    if search_cost.trials:
        cost = sum(
            group.trials * trials.work(group.removed, group.examples)
            for group in search_cost.groups
        )
        meter.begin(search_cost.trials, cost=cost, at_most=not search_cost.certain)


def _require_one_speed(budget: Budget) -> None:
    if sum(time.speedup is not None for time in budget.times) > 1:
        raise UsageError(
            "several speeds are made by structure, several depths by layers",
            where="--target-speedup",
            fix="add --compress structure, or use --depths",
        )


LAYERS = LayerCompressor()
