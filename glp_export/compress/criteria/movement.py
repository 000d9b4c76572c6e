"""Block movement pruning, hybrid and filled (Lagunas et al., arXiv 2109.04838).

Every block of the attention matrices and every neuron has a score; it computes where sigmoid(score)
is above a threshold, and scores learn through a straight-through gradient, so that what moves away
from zero stays. A regulariser on the scores empties whole heads and neurons; it is steered to the
wanted time, which the paper's users had to sweep for. What is left inside the surviving heads is
filled again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.compress.criteria.base import (
    Block,
    Criterion,
    ErrorCurve,
    Ranking,
    Trained,
    Training,
    curve_of_scores,
)
from glp_export.compress.criteria.steering import Steered, cubic
from glp_export.compress.criteria.unit_weights import (
    InputWeight,
    UnitWeights,
    copy_of,
    counts_of,
    unit_weights,
)
from glp_export.core.errors import UsageError
from glp_export.core.shape import ModelShape
from glp_export.encoder.regulariser import Regulariser

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

THRESHOLD = 0.1
"""Of sigmoid(score) in the end, as in the paper."""

RATE = 1e-2
"""Learning rate of the scores, as in the paper."""

UPDATES = 2400
"""Where there are fewer updates, scores are stretched: they have to get below the threshold."""

_HALVINGS = 12
"""Of the span in which a threshold is looked for."""

FILL = 0.05
"""Standard deviation of the noise that blocks are filled with, over that of the matrix's rest."""


def check(shape: ModelShape, block: Block) -> None:
    """Check that blocks fit into heads and hidden states.

    Raises:
        UsageError: they do not.
    """
    rows, columns = block
    sizes = sorted({layer.head_size for layer in shape.layers if layer.heads})
    if any(size % rows for size in sizes) or shape.hidden_size % columns:
        raise UsageError(
            f"blocks of {rows}x{columns} do not divide heads of {', '.join(map(str, sizes))} rows "
            f"and hidden states of {shape.hidden_size} columns",
            where=f"--block {rows}x{columns}",
            fix=f"give sizes that do, such as {sizes[0] if sizes else 1}x{shape.hidden_size}",
        )


def train(training: Training) -> Trained:
    """Train weights and scores together, then take the masks into the weights and fill."""
    import torch

    model = copy_of(training.model)
    state = _State()
    masked = [_masked(one, training.block, state) for one in unit_weights(model)]
    scores = _Scores(masked, state, training)
    training.teach(model, scores)
    scores.settle(1, 1)
    reached, curves = scores.left(), tuple(one.curve() for one in masked)
    generator = torch.Generator().manual_seed(training.seed)
    for one in masked:
        one.bake(generator)
    return Trained(model.eval(), Ranking(curves), reached)


@dataclass
class _State:
    """What all masks share: the threshold now, and what scores are multiplied by."""

    threshold: float = 0.0
    stretch: float = 1.0


@dataclass(frozen=True)
class _Part:
    """One masked matrix.

    Attributes:
        module: that has it.
        scores: of its blocks, or of the units of its sublayer.
        spread: from one number for each score to something that multiplies the weight.
        by_unit: from one number for each score to `(…, units, …)`.
    """

    module: nn.Linear
    scores: nn.Parameter
    spread: Callable[[Tensor], Tensor]
    by_unit: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class _Masked:
    """One sublayer under masks.

    Attributes:
        weights: of its units.
        parts: its matrices, the output last.
        state: of all masks.
    """

    weights: UnitWeights
    parts: tuple[_Part, ...]
    state: _State

    @property
    def distinct(self) -> tuple[_Part, ...]:
        """The parts with scores of their own: in feed-forward, all read the same."""
        return tuple({id(part.scores): part for part in self.parts}.values())

    def soft(self, part: _Part) -> Tensor:
        """sigmoid(score) of each block."""
        return (part.scores * self.state.stretch).sigmoid()

    def on(self, part: _Part) -> Tensor:
        """1 for each block that computes, 0 for the others."""
        return (self.soft(part).detach() > self.state.threshold).float()

    def alive(self, threshold: float | None = None) -> Tensor:
        """Whether a unit gives anything to the output, `(units,) bool`."""
        last = self.parts[-1]
        highest = last.by_unit(self.soft(last).detach()).amax((0, 2))
        return highest > (self.state.threshold if threshold is None else threshold)

    def penalty(self) -> Tensor:
        """The mean of sigmoid(score) over all blocks."""
        import torch

        return torch.cat([self.soft(part).flatten() for part in self.distinct]).mean()

    def curve(self) -> ErrorCurve:
        """Units by what their scores are above the threshold; an emptied one costs nothing."""
        total = sum(
            part.by_unit((self.soft(part).detach() - self.state.threshold).clamp_min(0)).sum((0, 2))
            for part in self.distinct
        )
        costs = (total * self.alive()).tolist()
        return curve_of_scores(self.weights.sublayer, costs)

    def bake(self, generator: torch.Generator) -> None:
        """Take the masks into the weights; fill what is zero inside the units that are alive."""
        from torch.nn.utils import parametrize

        alive = self.alive()[None, :, None]
        for part in self.parts:
            gone = part.by_unit(1 - self.on(part)) * alive
            parametrize.remove_parametrizations(part.module, "weight")
            if bool(gone.any()):
                _fill(part, part.spread(gone.reshape(part.scores.shape)).bool(), generator)


def _fill(part: _Part, holes: Tensor, generator: torch.Generator) -> None:
    import torch

    weight = part.module.weight.detach()
    rest = weight[~holes]
    spread = rest[rest != 0].std() if int((rest != 0).sum()) > 1 else weight.new_tensor(0.0)
    noise = torch.randn(weight.shape, generator=generator).to(weight)
    weight[holes] = (noise * FILL * spread)[holes]


class _Scores(Regulariser):
    """The regulariser of the scores, steered to the wanted time."""

    rate = RATE

    def __init__(self, masked: Sequence[_Masked], state: _State, training: Training) -> None:
        self.parameters = [part.scores for one in masked for part in one.distinct]
        self._masked, self._state, self._share = masked, state, training.share
        self._steered, self._strength = Steered(training.wanted, 5.0), 0.0
        self._prices = _prices(masked, training)

    def left(self, threshold: float | None = None) -> float:
        """The share of the time that units take which are alive."""
        alive = {one.weights.sublayer: int(one.alive(threshold).sum()) for one in self._masked}
        return self._share(counts_of(alive))

    def before_step(self, done: int, total: int) -> None:
        self._state.stretch = max(1.0, UPDATES / max(1, total))
        self.settle(done, total)

    def penalty(self) -> Tensor:
        import torch

        prices = zip(self._masked, self._prices, strict=True)
        return self._strength * torch.stack([one.penalty() * price for one, price in prices]).sum()

    def settle(self, done: int, total: int) -> None:
        """Set threshold and strength; no more is emptied than the schedule wants."""
        threshold = THRESHOLD * cubic(done, total)
        limit, left = self._steered.wanted_at(done, total), self.left(threshold)
        strength = self._steered.update(left, done, total)
        self._strength = strength * threshold / THRESHOLD if left > limit else 0.0
        low, high = 0.0, threshold
        for _ in range(_HALVINGS if left < limit else 0):
            middle = (low + high) / 2
            low, high = (middle, high) if self.left(middle) >= limit else (low, middle)
        self._state.threshold = threshold if left >= limit else low


def _prices(masked: Sequence[_Masked], training: Training) -> list[float]:
    """The share of the time that each sublayer takes, with a sum of 1."""
    whole = {one.weights.sublayer: one.weights.units for one in masked}
    saved = [
        max(0.0, training.share(counts_of(whole)) - training.share(counts_of({**whole, key: 0})))
        for key in whole
    ]
    total = sum(saved)
    return [one / total if total else 1 / len(saved) for one in saved]


def _masked(one: UnitWeights, block: Block, state: _State) -> _Masked:
    """Put masks on a sublayer: on blocks of attention, on the neurons of feed-forward."""
    import torch
    from torch import nn
    from torch.nn.utils import parametrize

    device = one.output.weight.device
    neurons = nn.Parameter(torch.zeros(one.units, device=device))
    parts = []
    for given in (*one.inputs, None):
        module = one.output if given is None else given.module
        if one.sublayer.kind == "feed-forward":
            part = _Part(module, neurons, *_of_neurons(given))
        else:
            # Along a head, and along the hidden states: rows and columns trade places in the end.
            size = block if given is not None else block[::-1]
            grid = [have // own for have, own in zip(module.weight.shape, size, strict=True)]
            scores = nn.Parameter(torch.zeros(grid, device=device))
            part = _Part(module, scores, *_of_blocks(one.units, given, size))
        parts.append(part)
        parametrize.register_parametrization(module, "weight", _mask(part, state))
    return _Masked(one, tuple(parts), state)


Views = tuple[Callable[["Tensor"], "Tensor"], Callable[["Tensor"], "Tensor"]]
"""`_Part.spread` and `_Part.by_unit`."""


def _of_neurons(given: InputWeight | None) -> Views:
    """Scores of neurons, in the matrix that widens (given) or in the one that narrows."""

    def by_unit(values: Tensor) -> Tensor:
        return values.reshape(1, -1, 1)

    if given is None:
        return (lambda values: values[None]), by_unit
    return (lambda values: values.repeat(given.blocks)[:, None]), by_unit


def _of_blocks(units: int, given: InputWeight | None, size: Block) -> Views:
    """Scores of blocks, in a matrix whose rows belong to heads (given) or whose columns do."""

    def spread(values: Tensor) -> Tensor:
        return values.repeat_interleave(size[0], 0).repeat_interleave(size[1], 1)

    if given is None:
        return spread, lambda values: values.reshape(len(values), units, -1)
    return spread, lambda values: values.reshape(given.blocks, units, -1)


def _mask(part: _Part, state: _State) -> nn.Module:
    from torch import nn

    class Mask(nn.Module):
        """Multiplies a weight by 0 or 1; the gradient goes through to the scores (`scores`)."""

        def __init__(self) -> None:
            super().__init__()
            self.scores = part.scores

        def forward(self, weight: Tensor) -> Tensor:
            scores = self.scores * state.stretch
            hard = (scores.sigmoid() > state.threshold).to(weight)
            return weight * part.spread(hard + (scores - scores.detach()))

    return Mask()


CRITERION = Criterion(
    "movement",
    "trains with masks on blocks of attention and on neurons that learn (movement pruning)",
    train=train,
    check=check,
)
