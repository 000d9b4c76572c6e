from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from glp_export.compress.mutation import Mutation, improve, weighted
from glp_export.compress.selection import (
    LayerLevels,
    Levels,
    SearchSpace,
    Selection,
    fastest_ms,
    select,
    selection_ms,
)
from glp_export.core.errors import LatencyError, UsageError


def levels(generator: np.random.Generator, counts: tuple[int, ...]) -> Levels:
    """Errors that fall and times that rise with the count."""
    times = np.sort(generator.random(len(counts)))
    return Levels(
        counts,
        tuple([*np.sort(generator.random(len(counts) - 1))[::-1].tolist(), 0.0]),
        tuple(times.tolist()),
        tuple((times * 0.3).tolist()),
    )


def space(seed: int, layers: int = 3, pinned: tuple[int, ...] = ()) -> SearchSpace:
    generator = np.random.default_rng(seed)
    return SearchSpace(
        tuple(
            LayerLevels(
                levels(generator, (0, 1, 2)),
                levels(generator, (0, 32, 64)),
                None if number in pinned else float(generator.random() * 2),
            )
            for number in range(layers)
        ),
        base_ms=0.4,
    )


def brute_force(where: SearchSpace, budget: float) -> tuple[float, float] | None:
    """Least error, and its least time, by trying everything."""
    options = []
    for layer in where.layers:
        own: list[tuple[int, int] | None] = [
            (h, n) for h in layer.attention.counts for n in layer.feed_forward.counts if h or n
        ]
        options.append(own + [None] * (layer.gone is not None))
    best = None
    for choice in product(*options):
        if not any(kept and kept[0] for kept in choice):
            continue
        error = 0.0
        for layer, kept in zip(where.layers, choice, strict=True):
            if kept is None:
                error += layer.gone or 0.0
            else:
                error += layer.attention.errors[layer.attention.counts.index(kept[0])]
                error += layer.feed_forward.errors[layer.feed_forward.counts.index(kept[1])]
        found = (error, selection_ms(where, choice))
        if found[1] <= budget * (1 + 1e-9) and (best is None or found < best):
            best = found
    return best


@pytest.mark.parametrize("pinned", [(), (0,), (2,)])
@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_better_than_what_is_chosen(seed: int, pinned: tuple[int, ...]) -> None:
    where = space(seed, pinned=pinned)
    budgets = [share * where.unpruned_ms for share in (0.6, 0.8, 1.0, 1.2)]
    # As many cells as make two ways in one cell unlikely.
    for budget, found in zip(budgets, select(where, budgets, cells=200_000), strict=True):
        best = brute_force(where, budget)
        assert best is not None
        assert found.error == pytest.approx(best[0])
        assert found.milliseconds == pytest.approx(selection_ms(where, found.layers))
        assert found.milliseconds <= budget * (1 + 1e-9)  # sums in another order


def test_few_cells_keep_the_budget_and_come_close() -> None:
    for seed in range(10):
        where = space(seed)
        budget = 0.7 * where.unpruned_ms
        (found,) = select(where, [budget])
        best = brute_force(where, budget)
        assert best is not None
        assert selection_ms(where, found.layers) <= budget
        assert found.error <= best[0] + 0.05


def test_everything_stays_where_the_budget_allows_it() -> None:
    where = space(0)
    (found,) = select(where, [where.unpruned_ms])
    assert found == Selection(((2, 64),) * 3, 0.0, pytest.approx(where.unpruned_ms))


def test_a_layer_without_heads_and_neurons_goes_whole() -> None:
    where = space(1)
    for share in np.linspace(0.4, 1, 13):
        try:
            (found,) = select(where, [share * where.unpruned_ms])
        except LatencyError:
            continue
        assert (0, 0) not in found.layers
        assert any(kept and kept[0] for kept in found.layers)


def test_a_budget_out_of_reach_names_the_best() -> None:
    where = space(2)
    least = fastest_ms(where)
    with pytest.raises(LatencyError, match=f"{least:.4g}") as caught:
        select(where, [where.unpruned_ms, 0.3])
    assert caught.value.exit_code == 5
    assert brute_force(where, least * 0.999) is None
    (found,) = select(where, [least], cells=2)
    assert found.milliseconds == pytest.approx(least)
    with pytest.raises(UsageError):
        select(where, [0.0])


def test_varied_coefficients_find_what_the_loss_asks_for() -> None:
    where = space(3, layers=4)
    budget = 0.6 * where.unpruned_ms

    def loss(chosen: Selection) -> float:
        """Another weighing of layers than that of the errors: the lower the more important."""
        return sum(
            2.0**-number * (3 if kept is None else 2 - kept[0] + (64 - kept[1]) / 32)
            for number, kept in enumerate(chosen.layers)
        )

    (plain,) = select(where, [budget])
    coefficients = improve(where, budget, loss, Mutation(rounds=40))
    (chosen,) = select(weighted(where, coefficients), [budget])
    assert loss(chosen) < loss(plain)
    assert chosen.milliseconds <= budget
    assert improve(where, budget, loss, Mutation(rounds=40)) == coefficients
