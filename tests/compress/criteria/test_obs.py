from __future__ import annotations

from itertools import combinations

import pytest
import torch

from glp_export.compress.criteria.base import Sublayer
from glp_export.compress.criteria.obs import LeastSquares, least_squares, refit, removal_curve
from glp_export.core.errors import ModelError

ATTENTION = Sublayer(0, "attention")


def problem(
    units: int, width: int = 1, *, bias: bool = True, hidden: int = 5, seed: int = 0
) -> tuple[LeastSquares, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    columns = units * width
    mixing = torch.randn(columns, columns, generator=generator)
    x = torch.randn(400, columns, generator=generator) @ mixing + 0.5
    weight = torch.randn(hidden, columns, generator=generator)
    offset = torch.randn(hidden, generator=generator) if bias else None
    if bias:
        x = torch.cat([x, torch.ones(len(x), 1)], 1)
    return least_squares(weight, offset, x.T @ x / len(x), width)


def error_of(posed: LeastSquares, kept: tuple[int, ...]) -> float:
    """The damped error of the refitted weights, from its definition."""
    found = refit(posed, kept)
    weight = posed.full_weight()
    full = torch.zeros_like(weight)
    for place, unit in enumerate(kept):
        own = slice(unit * posed.width, (unit + 1) * posed.width)
        full[:, own] = found.weight[:, place * posed.width : (place + 1) * posed.width]
    if found.bias is not None:
        full[:, -1] = found.bias
    return cost_of(posed, full - weight)


def cost_of(posed: LeastSquares, change: torch.Tensor) -> float:
    everything = torch.arange(change.shape[1])
    return float((change @ posed.damped(everything, everything) * change).sum())


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("units", "width"), [(9, 1), (5, 3)])
def test_each_step_takes_the_unit_that_brute_force_takes(
    units: int, width: int, bias: bool
) -> None:
    posed, factor = problem(units, width, bias=bias)
    curve = removal_curve(posed, factor, ATTENTION)
    left = set(range(units))
    for place, unit in enumerate(curve.order):
        costs = {u: error_of(posed, tuple(sorted(left - {u}))) for u in left}
        assert unit == min(costs, key=lambda u: costs[u])
        left.remove(unit)
        assert curve.errors[units - place - 1] == pytest.approx(costs[unit], rel=1e-8)


def test_long_runs_agree_with_the_solve(monkeypatch: pytest.MonkeyPatch) -> None:
    # Several batches of neurons, so that H⁻¹ and G are brought up to date in between.
    monkeypatch.setattr("glp_export.compress.criteria.obs._BATCH", 7)
    posed, factor = problem(60, hidden=20)
    curve = removal_curve(posed, factor, ATTENTION)
    for count in (0, 1, 20, 40, 59):
        assert curve.errors[count] == pytest.approx(error_of(posed, curve.kept(count)), rel=1e-6)
    assert curve.errors[60] == 0


def test_no_other_weights_do_better_than_the_refitted() -> None:
    posed, _ = problem(6)
    kept = (0, 2, 5)
    best = error_of(posed, kept)
    found = refit(posed, kept)
    generator = torch.Generator().manual_seed(1)
    weight = posed.full_weight()
    full = torch.zeros_like(weight)
    full[:, list(kept)], full[:, -1] = found.weight, found.bias
    for _ in range(20):
        other = full.clone()
        columns = [*kept, -1]
        other[:, columns] += 1e-3 * torch.randn(5, 4, generator=generator, dtype=torch.float64)
        assert cost_of(posed, other - weight) > best


def test_a_copy_of_a_neuron_goes_first_and_costs_next_to_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(500, 8, generator=generator)
    x[:, 3] = x[:, 6]
    x = torch.cat([x, torch.ones(500, 1)], 1)
    weight = torch.randn(4, 8, generator=generator)
    posed, factor = least_squares(weight, torch.zeros(4), x.T @ x / 500, 1, damping=1e-6)
    curve = removal_curve(posed, factor, ATTENTION)
    assert curve.order[0] in (3, 6)
    assert curve.errors[7] < 1e-4 * curve.errors[0]
    kept = refit(posed, curve.kept(7))
    place = kept.kept.index(9 - curve.order[0])
    assert torch.allclose(kept.weight[:, place].float(), weight[:, 3] + weight[:, 6], atol=1e-3)


def test_a_sublayer_that_loses_everything_keeps_its_mean_output() -> None:
    posed, _ = problem(4)
    found = refit(posed, ())
    mean = posed.full_weight() @ posed.moments[:, -1].double()
    assert found.weight.shape == (5, 0)
    assert found.bias is not None
    assert torch.allclose(found.bias, mean)
    assert refit(problem(4, bias=False)[0], ()).bias is None


def test_the_order_is_the_best_pair_where_two_go() -> None:
    # Greedy is not optimal in general; on inputs that do not correlate it is.
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(4, 6, generator=generator)
    posed, factor = least_squares(weight, None, torch.eye(6), 1)
    curve = removal_curve(posed, factor, ATTENTION)
    costs = {pair: error_of(posed, pair) for pair in combinations(range(6), 4)}
    assert curve.kept(4) == min(costs, key=lambda pair: costs[pair])


def test_moments_that_cannot_be_inverted() -> None:
    # Fewer tokens than columns: seven neurons can go nearly for nothing.
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 10, generator=generator)
    posed, factor = least_squares(torch.randn(4, 10, generator=generator), None, x.T @ x / 3, 1)
    curve = removal_curve(posed, factor, ATTENTION)
    assert curve.errors[3] < 0.1 * curve.errors[0]
    with pytest.raises(ModelError):
        least_squares(torch.randn(4, 10), None, torch.full((10, 10), torch.nan), 1)
