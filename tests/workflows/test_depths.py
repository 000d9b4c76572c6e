from __future__ import annotations

from typing import Any

import pytest

from glp_export.compress.compressors.layers.depths import plans_at, problem_of
from glp_export.config.run_config import RunConfig
from glp_export.core.errors import UsageError
from glp_export.encoder import LayerStack
from glp_export.workflows.depths import most_cuts, sweep_depths, wanted_depths
from tests.report.helpers import make_plan


def stack(layers: int, pinned: tuple[int, ...] = ()) -> LayerStack:
    return LayerStack("encoder.layer", "num_hidden_layers", layers, pinned)


def wanted(layers: int, pinned: tuple[int, ...] = (), **settings: Any) -> tuple[int, ...]:
    return wanted_depths(RunConfig(**settings), stack(layers, pinned))


@pytest.mark.parametrize(
    ("layers", "depths"),
    [
        (24, (22, 20, 18, 16, 14, 12, 10, 8, 6)),
        (12, (10, 8, 6, 4)),
        (6, (4, 2)),
        (4, (2,)),
        (3, (1,)),
        (2, (1,)),
    ],
)
def test_a_sweep_goes_down_by_two_to_a_quarter(layers: int, depths: tuple[int, ...]) -> None:
    assert sweep_depths(stack(layers)) == depths
    assert wanted(layers, sweep=True) == depths


def test_a_sweep_keeps_the_layers_that_must_stay() -> None:
    assert wanted(6, pinned=(0, 1, 2), sweep=True) == (4,)


def test_several_depths_are_sorted_and_taken_once() -> None:
    assert wanted(12, depths="4 8,6 8") == (8, 6, 4)


def test_one_depth_in_each_way_of_saying_it() -> None:
    assert wanted(12, depth=5) == wanted(12, prune=7) == wanted(12, depths=[5]) == (5,)
    assert wanted(12) == (6,)
    assert wanted(12, plan="plan.json") == ()


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"depths": "3,4"}, "--depths 4"),
        ({"depths": "12"}, "--depths 12"),
        ({"depth": 4}, "--depth 4"),
        ({"prune": 40}, "--prune 40"),
    ],
)
def test_an_impossible_depth_is_told_with_the_range(settings: dict[str, Any], where: str) -> None:
    with pytest.raises(UsageError, match="a model of 4 layers cannot be pruned to") as caught:
        wanted(4, **settings)
    assert caught.value.where == where
    assert "remove 1 to 3, which keeps 3 to 1" in str(caught.value)


def test_a_search_without_an_order_serves_one_depth_only() -> None:
    assert wanted(6, search="optimal", depths="4") == (4,)
    with pytest.raises(UsageError, match="no order of removal"):
        wanted(6, search="optimal", depths="4,3")
    with pytest.raises(UsageError, match="no order of removal"):
        plans_at(make_plan(strategy="optimal", steps=()), (5, 4))


def test_every_depths_plan_is_the_beginning_of_one_order() -> None:
    whole = make_plan()
    assert [plan.order for plan in plans_at(whole, (5, 4, 3))] == [(5,), (5, 3), (5, 3, 1)]
    assert plans_at(whole, ()) == [whole]
    with pytest.raises(UsageError, match="3 layers, 4 were asked for"):
        plans_at(whole, (4, 2))


@pytest.mark.parametrize(
    ("settings", "cuts"),
    [
        ({"depth": 4}, 8),
        ({"depths": "10,8,6,4"}, 6),
        ({"sweep": True}, 6),
        ({"max_drop": 0.01}, 6),
    ],
)
def test_orders_of_removal_are_judged_where_most_depends_on_them(
    settings: dict[str, Any], cuts: int
) -> None:
    config, layers = RunConfig(**settings), stack(12)
    depths, most = wanted_depths(config, layers), most_cuts(config, layers)
    assert problem_of(layers.removable, 12, depths, most).judged == cuts
