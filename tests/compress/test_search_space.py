from __future__ import annotations

import pytest

from glp_export.compress.criteria import ErrorCurve, Kind, Ranking, Sublayer
from glp_export.compress.latency_table import LatencyTable
from glp_export.compress.search_space import (
    kept_units,
    make_space,
    removed_layers,
    selected_shape,
)
from glp_export.compress.selection import Selection, select, selection_ms
from glp_export.core.errors import UsageError
from glp_export.core.shape import ModelShape
from tests.compress.test_latency_table import BASE, HEADS, NEURONS, table_of


def curve(layer: int, kind: Kind, units: int) -> ErrorCurve:
    """The units go from the last to the first, each at the same cost."""
    errors = tuple(float(units - kept) for kept in range(units + 1))
    return ErrorCurve(Sublayer(layer, kind), tuple(reversed(range(units))), errors)


@pytest.fixture(scope="module")
def table() -> LatencyTable:
    return table_of(first_token=True)


@pytest.fixture(scope="module")
def ranking() -> Ranking:
    return Ranking(
        tuple(
            curve(layer, kind, units)
            for layer in range(6)
            for kind, units in (("attention", HEADS), ("feed-forward", NEURONS))
        )
    )


def test_a_choice_takes_what_the_table_predicts(table: LatencyTable, ranking: Ranking) -> None:
    space = make_space(ranking, table, neuron_step=64)
    assert space.unpruned_ms == pytest.approx(table.predict(BASE))
    budgets = [table.predict(BASE) / speedup for speedup in (1.5, 2, 3, 4)]
    for chosen, budget in zip(select(space, budgets), budgets, strict=True):
        shape = selected_shape(chosen, BASE)
        assert table.predict(shape) == pytest.approx(selection_ms(space, chosen.layers))
        assert table.predict(shape) <= budget * (1 + 1e-9)
        assert kept_units(chosen, ranking).shape(shape_without(chosen)) == shape


def shape_without(chosen: Selection) -> ModelShape:
    gone = removed_layers(chosen)
    layers = tuple(layer for number, layer in enumerate(BASE.layers) if number not in gone)
    return BASE.model_copy(update={"layers": layers})


def test_sensitivities_say_what_goes(table: LatencyTable, ranking: Ranking) -> None:
    costly = {Sublayer(0, "attention"): 100.0, Sublayer(0, "feed-forward"): 100.0}
    whole = dict.fromkeys(range(6), 3.0) | {5: 0.001}
    space = make_space(ranking, table, sensitivity=costly, whole_layers=whole)
    (chosen,) = select(space, [table.predict(BASE) / 2])
    assert chosen.layers[0] == (HEADS, NEURONS)
    assert chosen.layers[5] is None
    (kept,) = select(
        make_space(ranking, table, whole_layers=whole, pinned=(5,)), [table.predict(BASE) / 2]
    )
    assert kept.layers[5] is not None


def test_units_that_stay_are_the_last_to_go(ranking: Ranking) -> None:
    kept = kept_units(Selection(((2, 3), None, (0, 1)), 0.0, 0.0), ranking)
    assert [(layer.heads, layer.neurons) for layer in kept.layers] == [
        ((0, 1), (0, 1, 2)),
        ((), (0,)),
    ]
    with pytest.raises(UsageError):
        ranking.curves[0].kept(HEADS + 1)


def test_a_table_of_another_depth(table: LatencyTable, ranking: Ranking) -> None:
    with pytest.raises(UsageError):
        make_space(Ranking(ranking.curves[:6]), table)
