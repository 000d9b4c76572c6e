"""What is to be chosen for the depths that a run asks for, and the plan of each of them.

The order of removal is nested, so one search that goes to the shallowest serves every depth.
"""

from __future__ import annotations

from collections.abc import Sequence

from glp_export.compress.compressors.layers.strategies import STRATEGIES, Problem
from glp_export.compress.plan import Plan
from glp_export.core.errors import UsageError


def problem_of(
    removable: tuple[int, ...], num_layers: int, depths: Sequence[int], cuts: int, seeds: int = 1
) -> Problem:
    """What a strategy is asked.

    Whole orders are compared where one depth is, of several at the middle one, and with half of
    the layers that may go where targets leave the depth open: an order that is judged by its last
    layers alone would be a poor one before.

    Args:
        removable: layers that may go, bottom first.
        num_layers: of the unpruned model.
        depths: layers of each model, deepest first; () where targets or a plan say it.
        cuts: how many layers go at most.
        seeds: trainings that a decision between finalists rests on.
    """
    judged = num_layers - depths[len(depths) // 2] if depths else max(1, len(removable) // 2)
    return Problem(removable, cuts, seeds, judged)


def plans_at(plan: Plan, depths: Sequence[int]) -> list[Plan]:
    """The plan of each depth, all cut from one order; the plan itself for no depth.

    Raises:
        UsageError: the order is too short for a depth, or it is no order.
    """
    require_nested(plan.strategy, depths, "--plan")
    return [plan.cut(plan.num_layers - depth) for depth in depths] or [plan]


def require_nested(strategy: str, depths: Sequence[int], flag: str) -> None:
    """Check that a strategy serves so many depths.

    Raises:
        UsageError: it finds the layers of one depth only.
    """
    known = STRATEGIES.get(strategy)  # a plan may come from elsewhere
    if known and not known.nested and len(set(depths)) > 1:
        raise UsageError(
            f"the {strategy} search finds the layers of one depth, and no order of removal",
            where=flag,
            fix="give one --depth, or choose --search fast-greedy",
        )
