"""What a compressor is, and what it is given to choose with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from glp_export.compress.budget import Budget, TimeBudget
from glp_export.compress.plan import Plan
from glp_export.core.progress import Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydantic import BaseModel
    from transformers import PreTrainedModel

    from glp_export.compress.criteria.base import Batch
    from glp_export.compress.latency_table import Conditions, LatencyTable, WholeModel
    from glp_export.core.shape import ModelShape

LossFunction = Callable[[Any, "Batch"], Any]
"""From a model's outputs and their batch to a scalar tensor, the mean over its rows."""

Divergence = Callable[[Any, Any, "Batch"], Any]
"""From a model's outputs, the teacher's and their batch to a scalar tensor, the mean over rows."""

TrainBriefly = Callable[["PreTrainedModel", int], "tuple[NDArray[np.float32], float]"]
"""Trains a candidate on so many examples, in place; its losses `(rows,)` on dev and its score."""


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        plan: the edits, and why.
        start: a directory with the weights where recovery begins; None where they follow from the
            plan and the unpruned model, by `Compressor.start`.
    """

    plan: Plan
    start: Path | None = None


@dataclass(frozen=True)
class Calibrator:
    """Texts of the task, and what a model's outputs for them are judged by.

    Attributes:
        batches: padded training rows, for statistics and gradients.
        loss: of the task's labels; None where the kind of task has none.
    """

    batches: Sequence[Batch]
    loss: LossFunction | None


@dataclass(frozen=True)
class CompressionEvaluator:
    """What a compressor inside layers chooses with.

    Attributes:
        teacher: the unpruned model, fine-tuned on train alone, in eval mode.
        calibrator: training rows.
        dev: padded rows for choosing, which the teacher has not seen.
        divergence: how far a model's outputs are from the teacher's.
        table: gives the latency table of a time budget, measured or read.
        measure_whole: measures models of some shapes whole, interleaved, under a table's
            conditions.
        train_briefly: trains a candidate in a final round.
        facts: the fields of a plan that no search changes.
        removable: layers that may go whole.
        directory: where tables are written before the search begins.
        seed: of what is drawn.
        progress: told where the search is.
    """

    teacher: PreTrainedModel
    calibrator: Calibrator
    dev: Sequence[Batch]
    divergence: Divergence
    table: Callable[[TimeBudget], LatencyTable]
    measure_whole: Callable[[Conditions, Sequence[ModelShape]], Sequence[WholeModel]]
    train_briefly: TrainBriefly
    facts: Mapping[str, Any]
    removable: tuple[int, ...]
    directory: Path
    seed: int
    progress: Progress


class Compressor(Protocol):
    """A row of `COMPRESSORS`.

    Attributes:
        name: as given to `--compress`.
        summary: one line for people.
        options: a pydantic model; flags, keys of run.yaml and docs are made from its fields.
    """

    @property
    def name(self) -> str:
        """Its key."""

    @property
    def summary(self) -> str:
        """One line."""

    @property
    def options(self) -> type[BaseModel]:
        """The model of its options."""

    def require(self, model: PreTrainedModel) -> None:
        """Check before any training that a model can be compressed so.

        Raises:
            ModelError: it cannot.
        """

    def search(self, options: Any, budget: Budget, evaluator: CompressionEvaluator) -> list[Found]:
        """Choose what goes: one plan for each time budget.

        Raises:
            LatencyError: a budget is out of reach; the message has the best that is not.
        """

    def start(self, plan: Plan, model: PreTrainedModel, calibrator: Calibrator) -> PreTrainedModel:
        """The compact model where recovery begins, from an unpruned one and the plan alone."""
