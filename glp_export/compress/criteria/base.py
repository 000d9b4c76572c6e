"""What a criterion is given and what it answers, in terms that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from glp_export.core.errors import UsageError
from glp_export.core.shape import ModelShape

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from glp_export.encoder.regulariser import Regulariser

Kind = Literal["attention", "feed-forward"]

Batch = Mapping[str, "Tensor"]
"""Model inputs and targets by name; `input_ids` and `attention_mask` `(batch, length) int64`."""

Loss = Callable[[Any, Batch], "Tensor"]
"""From a model's outputs and their batch to a scalar, the mean over the rows of the batch."""


class Sublayer(NamedTuple):
    """The attention or the feed-forward block of one layer."""

    layer: int
    kind: Kind

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.kind} of layer {self.layer}"


@dataclass(frozen=True)
class OutputProjection:
    """The matrix that a sublayer ends with, whose columns belong to heads or neurons.

    Attributes:
        sublayer: whose it is.
        units: heads or neurons that it reads.
        module: weight `(hidden, units × width)`, with a bias or without.
    """

    sublayer: Sublayer
    units: int
    module: nn.Linear

    @property
    def width(self) -> int:
        """Columns of one unit: the size of a head, 1 for a neuron."""
        return self.module.in_features // self.units


@dataclass(frozen=True)
class ErrorCurve:
    """In which order a sublayer's units go, and what is lost on the way.

    Attributes:
        sublayer: whose units.
        order: all units, the first to go first.
        errors: by the number of units that are kept, `units + 1` of them; 0 for all.
    """

    sublayer: Sublayer
    order: tuple[int, ...]
    errors: tuple[float, ...]

    @property
    def units(self) -> int:
        """How many there are."""
        return len(self.order)

    def kept(self, count: int) -> tuple[int, ...]:
        """The units that stay where so many do, in ascending order.

        Raises:
            UsageError: there are not so many.
        """
        if not 0 <= count <= self.units:
            raise UsageError(f"the {self.sublayer.label} has {self.units} units, not {count}")
        return tuple(sorted(self.order[self.units - count :]))

    def relative(self) -> tuple[float, ...]:
        """The errors as shares of the one of keeping none; zeros where that costs nothing."""
        most = self.errors[0]
        return tuple(error / most if most > 0 else 0.0 for error in self.errors)


@dataclass(frozen=True)
class Refit:
    """New weights of an output projection for the units that are kept.

    Attributes:
        kept: units, in ascending order.
        weight: `(hidden, len(kept) × width)`.
        bias: `(hidden,)`, None for a projection without one.
    """

    kept: tuple[int, ...]
    weight: Tensor
    bias: Tensor | None


@dataclass(frozen=True)
class Calibration:
    """All that a criterion may look at; the model is left as it is.

    Attributes:
        model: fine-tuned, in eval mode.
        projections: of the sublayers that may be pruned.
        batches: padded calibration rows on the model's device.
        loss: of the task, for criteria that need a gradient.
    """

    model: nn.Module
    projections: Sequence[OutputProjection]
    batches: Sequence[Batch]
    loss: Loss | None = None


@dataclass(frozen=True)
class Ranking:
    """What a criterion found.

    Attributes:
        curves: one for each projection.
        refit: the closed-form weights of a sublayer for units that are kept; None for a criterion
            that leaves the weights alone.
    """

    curves: tuple[ErrorCurve, ...]
    refit: Callable[[Sublayer, tuple[int, ...]], Refit] | None = None

    def curve(self, sublayer: Sublayer) -> ErrorCurve:
        """The curve of a sublayer.

        Raises:
            KeyError: it was not ranked.
        """
        return {curve.sublayer: curve for curve in self.curves}[sublayer]


Teach = Callable[["PreTrainedModel", "Regulariser"], Any]
"""Distils the unpruned model's answers into a model, in place, moved by a regulariser besides."""

Counts = Sequence[tuple[int, int]]
"""Heads and neurons of each layer, bottom first."""

Block = tuple[int, int]
"""Rows along a head and columns along the hidden states."""


@dataclass(frozen=True)
class Training:
    """All that a criterion that trains may use.

    Attributes:
        model: unpruned, fine-tuned, in eval mode; left as it is.
        teach: trains a copy of it.
        share: the time that a model of so many heads and neurons takes, over the unpruned one's.
        wanted: the share that shall be left.
        block: shape of the blocks that attention is pruned in.
        seed: of what is drawn.
    """

    model: PreTrainedModel
    teach: Teach
    share: Callable[[Counts], float]
    wanted: float
    block: Block
    seed: int


@dataclass(frozen=True)
class Trained:
    """What a criterion that trains found.

    Attributes:
        model: at full size and in eval mode, where recovery begins once it is cut.
        ranking: of its units.
        reached: the share of the time that was left by the training alone.
    """

    model: PreTrainedModel
    ranking: Ranking
    reached: float


def _anything(shape: ModelShape, block: Block) -> None:
    """Every model will do."""


@dataclass(frozen=True)
class Criterion:
    """What heads and neurons are ranked by: `rank` for one that looks, `train` for one that trains.

    Attributes:
        name: as given to `--criterion`.
        summary: one line for people.
        rank: ranks the units of every projection; None for a criterion that trains.
        refits: it offers new weights for the units that stay.
        train: gives a trained model with its ranking; None for a criterion that trains nothing.
        check: raises UsageError, before any training, where a model or a block will not do.
    """

    name: str
    summary: str
    rank: Callable[[Calibration], Ranking] | None = None
    refits: bool = False
    train: Callable[[Training], Trained] | None = None
    check: Callable[[ModelShape, Block], None] = _anything


def curve_of_scores(sublayer: Sublayer, scores: Sequence[float]) -> ErrorCurve:
    """The curve of units whose losses add up: the cheapest goes first, equals by their number."""
    order = sorted(range(len(scores)), key=lambda unit: (scores[unit], unit))
    errors = [0.0]
    for unit in order:
        errors.append(errors[-1] + max(0.0, scores[unit]))
    return ErrorCurve(sublayer, tuple(order), tuple(reversed(errors)))
