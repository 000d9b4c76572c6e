"""Optimal brain surgeon on output projections, as ZipLM uses it (arXiv 2302.04089, section 3).

A sublayer's output is W x + b. Taking units away and choosing the remaining weights and the bias
anew, so that the output changes least over the calibration tokens, is a least-squares problem of
the second moments H = E[x xᵀ] alone, x with a constant 1 appended where there is a bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.compress.criteria.base import (
    Calibration,
    Criterion,
    ErrorCurve,
    OutputProjection,
    Ranking,
    Refit,
    Sublayer,
)
from glp_export.compress.criteria.moments import Moments, collect_moments
from glp_export.core.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

DAMPING = 0.01
"""Share of the mean diagonal of H that is added to it, but not for the constant."""

_BATCH = 128
"""Neurons that go before H⁻¹ is brought up to date and its removed rows are dropped."""

_TRIES = 6
"""Times that the damping is raised tenfold before H is given up."""


@dataclass(frozen=True)
class LeastSquares:
    """The problem of one output projection, as it was measured; it is solved in float64.

    Attributes:
        weight: `(hidden, units × width)`.
        bias: `(hidden,)` or None.
        moments: second moments of the inputs, `(columns, columns)`, with the constant last where
            there is a bias.
        damping: what is added to the diagonal of the moments, but not for the constant.
        width: columns of one unit.
    """

    weight: Tensor
    bias: Tensor | None
    moments: Tensor
    damping: float
    width: int

    @property
    def units(self) -> int:
        """Heads or neurons."""
        return self.weight.shape[1] // self.width

    def damped(self, rows: Tensor, columns: Tensor) -> Tensor:
        """A part of H, symmetric to the last bit, which products of float32 are not.

        Args:
            rows: places, `(r,) int64`.
            columns: places, `(c,) int64`.

        Returns:
            `(r, c) float64`.
        """
        part = self.moments[rows[:, None], columns].double()
        part = (part + self.moments[columns[:, None], rows].double().T) / 2
        damped = (rows[:, None] == columns) & (columns < self.weight.shape[1])
        return part + self.damping * damped

    def full_weight(self) -> Tensor:
        """The weight with the bias, if there is one, as its last column, in float64."""
        import torch

        columns = [self.weight] if self.bias is None else [self.weight, self.bias[:, None]]
        return torch.cat(columns, 1).double()


def least_squares(
    weight: Tensor, bias: Tensor | None, moments: Tensor, width: int, *, damping: float = DAMPING
) -> tuple[LeastSquares, Tensor]:
    """Pose the problem.

    Args:
        weight: `(hidden, units × width)`.
        bias: `(hidden,)` or None.
        moments: second moments of the inputs, with the constant last where there is a bias.
        width: columns of one unit.
        damping: share of the mean diagonal; raised tenfold where the matrix is still singular.

    Returns:
        The problem, and the factor of H, lower triangular, by Cholesky, in float64.

    Raises:
        ModelError: the moments are not finite.
    """
    import torch

    columns = weight.shape[1]
    wanted = columns + (bias is not None)
    if moments.shape != (wanted, wanted):
        raise ValueError(f"moments {tuple(moments.shape)} do not belong to {wanted} columns")
    if not torch.isfinite(moments).all():
        raise ModelError(
            "The model's hidden states are not finite on the calibration texts.",
            fix="Its training diverged: lower the learning rate, and train in fp32 or bf16.",
        )
    mean = float(moments.diagonal()[:columns].double().mean()) or 1.0
    everything = torch.arange(wanted, device=moments.device)
    for attempt in range(_TRIES):
        posed = LeastSquares(weight, bias, moments, damping * 10**attempt * mean, width)
        factor, failed = torch.linalg.cholesky_ex(posed.damped(everything, everything))
        if not failed:
            return posed, factor
    raise ModelError("The calibration texts' second moments cannot be inverted.")


def removal_curve(problem: LeastSquares, factor: Tensor, sublayer: Sublayer) -> ErrorCurve:
    """Take one unit after the other, always the one whose loss is least once the rest is refitted.

    The error is the damped mean squared change of the sublayer's output over the tokens.

    Args:
        problem: of the sublayer.
        factor: of its H.
        sublayer: whose units.
    """
    find = _neurons if problem.width == 1 else _heads
    order, losses = find(problem, factor)
    errors = [0.0]
    for loss in losses:
        errors.append(errors[-1] + max(0.0, loss))
    return ErrorCurve(sublayer, tuple(order), tuple(reversed(errors)))


def refit(problem: LeastSquares, kept: tuple[int, ...]) -> Refit:
    """The weights of the kept units, and the bias, that change the output least: one solve.

    float64; the constant alone where no unit is kept.
    """
    import torch

    weight = problem.full_weight()
    everything = torch.arange(weight.shape[1], device=weight.device)
    columns = _columns(kept, problem.width)
    wanted = [*columns, weight.shape[1] - 1] if problem.bias is not None else columns
    index = everything[wanted]
    if not wanted:
        return Refit(kept, weight[:, index], None)
    target = weight @ problem.damped(everything, index)
    factor = torch.linalg.cholesky(problem.damped(index, index))
    solved = torch.cholesky_solve(target.T, factor).T
    if problem.bias is not None:
        return Refit(kept, solved[:, :-1].contiguous(), solved[:, -1].contiguous())
    return Refit(kept, solved.contiguous(), None)


def _columns(units: tuple[int, ...], width: int) -> list[int]:
    return [unit * width + offset for unit in units for offset in range(width)]


def _heads(problem: LeastSquares, factor: Tensor) -> tuple[list[int], list[float]]:
    """Blocks of columns: the loss of C is tr(W_C (H⁻¹_CC)⁻¹ W_Cᵀ), then the block update."""
    import torch

    weight, inverse = problem.full_weight(), torch.cholesky_inverse(factor)
    left, width = list(range(problem.units)), problem.width
    order: list[int] = []
    losses: list[float] = []
    while left:
        columns = torch.tensor(
            [_columns((unit,), width) for unit in left], device=weight.device
        )  # (left, width)
        blocks = inverse[columns[:, :, None], columns[:, None, :]]
        own = weight[:, columns].transpose(0, 1)  # (left, hidden, width)
        solved = torch.linalg.solve(blocks, own.mT)
        costs = (own.mT * solved).sum((1, 2))
        place = int(costs.argmin())
        losses.append(float(costs[place]))
        order.append(left.pop(place))
        gone = columns[place]
        rows = torch.linalg.solve(blocks[place], inverse[gone])
        weight -= weight[:, gone] @ rows
        inverse -= inverse[:, gone] @ rows
    return order, losses


def _neurons(problem: LeastSquares, factor: Tensor) -> tuple[list[int], list[float]]:
    """Single columns: the loss of j is ‖W_j‖² / H⁻¹_jj.

    Only H⁻¹ and G = WᵀW are needed, and of them the diagonals and the column of the neuron that
    goes. With u = H⁻¹_:j / √H⁻¹_jj and v = W_j / √H⁻¹_jj, H⁻¹ loses u uᵀ and G loses u aᵀ + a uᵀ
    where a = Wᵀv − ½ (vᵀv) u. These are gathered for `_BATCH` neurons and then taken off at once:
    most of the work is matrix products, and G is exact again after each.
    """
    import torch

    weight = problem.full_weight()
    inverse, gram = torch.cholesky_inverse(factor), weight.T @ weight
    # The constant is no neuron: its place is known by the number −1.
    names = list(range(problem.units)) + [-1] * (problem.bias is not None)
    order: list[int] = []
    losses: list[float] = []
    while len(order) < problem.units:
        count = min(_BATCH, problem.units - len(order))
        places, batch_losses, u, a = _remove_batch(inverse, gram, names, count)
        losses += batch_losses
        order += [names[place] for place in places]
        gone = set(places)
        staying = [place for place in range(len(names)) if place not in gone]
        stay = torch.tensor(staying, dtype=torch.int64, device=inverse.device)
        names = [names[place] for place in staying]
        u, a = u[:, stay], a[:, stay]
        inverse = torch.addmm(inverse[stay][:, stay], u.T, u, alpha=-1)
        cross = u.T @ a
        gram = gram[stay][:, stay] - cross - cross.T
    return order, losses


def _remove_batch(
    inverse: Tensor, gram: Tensor, names: list[int], count: int
) -> tuple[list[int], list[float], Tensor, Tensor]:
    """The next neurons to go, their losses, and the rows u and a that H⁻¹ and G lose by them."""
    import torch

    size = len(names)
    u = torch.zeros(count, size, dtype=inverse.dtype, device=inverse.device)
    a = torch.zeros_like(u)
    diagonal, norms = inverse.diagonal().clone(), gram.diagonal().clone()
    closed = torch.tensor([name < 0 for name in names], device=inverse.device)
    # What rounding leaves of a diagonal that is nearly used up; H⁻¹ is positive.
    floor = float(diagonal.min()) * 1e-9
    places: list[int] = []
    losses: list[float] = []
    for number in range(count):
        costs = (norms.clamp_min(0) / diagonal.clamp_min(floor)).masked_fill(closed, torch.inf)
        place = int(costs.argmin())
        places.append(place)
        losses.append(float(costs[place]))
        before_u, before_a = u[:number], a[:number]
        column = inverse[place] - before_u[:, place] @ before_u
        product = gram[place] - before_a[:, place] @ before_u - before_u[:, place] @ before_a
        root = diagonal[place].clamp_min(floor).sqrt()
        u[number] = column / root
        a[number] = product / root - 0.5 * costs[place] * u[number]
        diagonal -= u[number] ** 2
        norms -= 2 * u[number] * a[number]
        closed[place] = True
    return places, losses, u, a


def rank(calibration: Calibration) -> Ranking:
    """Rank by the loss after the rest is refitted, and offer the refitted weights.

    The second moments of all projections are kept for `Ranking.refit`; besides them, this holds
    six float64 matrices of the widest projection at a time.

    Raises:
        ModelError: hidden states that are not finite.
    """
    moments = collect_moments(calibration.model, calibration.projections, calibration.batches)
    problems, curves = {}, []
    for found in calibration.projections:
        problems[found.sublayer], factor = problem_of(found, moments)
        curves.append(removal_curve(problems[found.sublayer], factor, found.sublayer))

    def refit_sublayer(sublayer: Sublayer, kept: tuple[int, ...]) -> Refit:
        return refit(problems[sublayer], kept)

    return Ranking(tuple(curves), refit_sublayer)


def problem_of(projection: OutputProjection, moments: Moments) -> tuple[LeastSquares, Tensor]:
    """The least-squares problem of a live projection, and the factor of its H."""
    module = projection.module
    bias = None if module.bias is None else module.bias.detach()
    return least_squares(
        module.weight.detach(), bias, moments[projection.sublayer], projection.width
    )


CRITERION = Criterion(
    "obs",
    "second order: the loss after the remaining weights are refitted in closed form",
    rank,
    refits=True,
)
