"""What a compressor is, and what it is given to choose with."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from glp_export.compress.budget import Budget, TimeBudget
from glp_export.compress.plan import Cost, Plan
from glp_export.compress.search_cost import SearchCost
from glp_export.core.progress import Progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydantic import BaseModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from glp_export.compress.criteria.base import Batch, Teach
    from glp_export.compress.latency_table import Conditions, LatencyTable, WholeModel
    from glp_export.compress.search.evaluator import TrialEvaluator
    from glp_export.core.shape import ModelShape
    from glp_export.tasks import Task

LossFunction = Callable[[Any, "Batch"], Any]
"""From a model's outputs and their batch to a scalar tensor, the mean over its rows."""

Divergence = Callable[[Any, Any, "Batch"], Any]
"""From a model's outputs, the teacher's and their batch to a scalar tensor, the mean over rows."""

TrainBriefly = Callable[["PreTrainedModel", int], "tuple[NDArray[np.float32], float]"]
"""Trains a candidate on so many examples, in place; none where they are 0.

Gives how far its answers on dev are from the teacher's, `(batches,)` of like size, and its score.
"""


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        plan: the edits, and why.
        start: a directory with the weights where recovery begins; None where they follow from the
            plan and the unpruned model, by `Compressor.start`.
        drop: metric points on dev that the plan costs; 0 where none were counted.
    """

    plan: Plan
    start: Path | None = None
    drop: float = 0.0

    def followed(self, plan: Plan, compressor: str, settings: Mapping[str, Any]) -> Found:
        """The same with a plan that another compressor made of this one, and its settings."""
        update = {
            "compressors": (*self.plan.compressors, compressor),
            "settings": {**self.plan.settings, **settings},
        }
        return replace(self, plan=plan.model_copy(update=update))


@dataclass(frozen=True)
class Calibrator:
    """Texts of the task, and what a model's outputs for them are judged by.

    Attributes:
        batches: padded training rows, for statistics and gradients.
        loss: of the task's labels; None where the kind of task has none.
    """

    batches: Sequence[Batch]
    loss: LossFunction | None


class LatencyTables(Protocol):
    """Where latency tables of what will ship come from."""

    def table(self, time: TimeBudget) -> LatencyTable:
        """The table for a budget's shape, measured, or read where one was given."""

    def measure_whole(
        self, conditions: Conditions, shapes: Sequence[ModelShape]
    ) -> Sequence[WholeModel]:
        """Measure models of some shapes whole, interleaved, under a table's conditions."""


class CompressionEvaluator(Protocol):
    """What a compressor chooses with.

    What takes time (the teacher, tables, trials) is done when it is first asked for.
    """

    @property
    def task(self) -> Task:
        """The task; its kind is a row of `KINDS`."""

    @property
    def labels_teach(self) -> bool:
        """Whether candidates can learn from the labels of the data."""

    @property
    def given(self) -> PreTrainedModel:
        """The unpruned model as it was given, before any training: for its sizes."""

    @property
    def teacher(self) -> PreTrainedModel:
        """The unpruned model, fine-tuned on train alone, in eval mode."""

    @property
    def teacher_cost(self) -> Cost:
        """What its training took."""

    @property
    def predictions(self) -> NDArray[np.float32]:
        """The teacher's logits on the whole of dev."""

    @property
    def dev(self) -> Sequence[Batch]:
        """Padded rows for choosing, which the teacher has not seen."""

    @property
    def divergence(self) -> Divergence:
        """How far a model's outputs are from the teacher's."""

    @property
    def train_briefly(self) -> TrainBriefly:
        """Trains a candidate in a final round."""

    @property
    def truth(self) -> Any:
        """The labels of the whole of dev."""

    def recovered(self, found: Found, report: Callable[[int, int], None]) -> NDArray[np.float32]:
        """What a plan's model answers on the whole of dev after a whole recovery on train alone.

        Args:
            found: the plan, and where its recovery begins.
            report: told the updates done and those in all.
        """

    def teach(self, epochs: float, report: Callable[[int, int], None]) -> Teach:
        """Distils the teacher into a model, in place, by so many passes over the training rows.

        Args:
            epochs: passes.
            report: told the updates done and those in all.
        """

    @property
    def rows(self) -> int:
        """Training rows that candidates are trained on."""

    def kept(self, kind: str, facts: Mapping[str, Any], make: Callable[[Path], None]) -> Path:
        """A directory of what was trained on the teacher: from the cache, or made now.

        Args:
            kind: what it holds.
            facts: what it depends on beside model, data and training.
            make: fills the directory that it is given.
        """

    def kept_before(self, kind: str, facts: Mapping[str, Any]) -> Path | None:
        """The same directory where the cache has it; None else."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """The fields of a plan that no search changes."""

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The unpruned model's."""

    @property
    def used_tokens(self) -> frozenset[int]:
        """Ids in train, dev and unlabelled texts, and those that the configuration names."""

    @property
    def train_tokens(self) -> frozenset[int]:
        """The same without those that dev alone has."""

    def spelled(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """The teacher's logits on the whole of dev where no other tokens are left, ascending."""

    def megabytes(self, plan: Plan) -> float:
        """What the artifact of a plan will take: its smallest ONNX file and tokenizer.json."""

    def least_megabytes(self, plan: Plan) -> float:
        """The same when the compressors that follow take out all that they can."""

    @property
    def removable(self) -> tuple[int, ...]:
        """Layers that may go whole."""

    @property
    def recovery(self) -> str:
        """How the model that ships is trained: a key of `RECOVERIES`."""

    @property
    def directory(self) -> Path:
        """Where tables are written before the search begins."""

    @property
    def seed(self) -> int:
        """Of what is drawn."""

    @property
    def progress(self) -> Progress:
        """Told where the search is."""

    def calibrator(self, samples: int) -> Calibrator:
        """So many training rows."""

    def tables(self, given: str | None = None) -> LatencyTables:
        """Tables measured here, or the one of a file."""

    def fast_enough_depth(self) -> int:
        """The most whole layers that keep every budget of time, by exported models.

        Raises:
            LatencyError: not even the fewest do.
        """

    def open_trials(self, recovery: str) -> AbstractContextManager[TrialEvaluator]:
        """Where models without some layers are trained and scored, with the log of all trials.

        Args:
            recovery: a key of `RECOVERIES`; one that inherits starts from the teacher's layers.
        """


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

    def require(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """Check before any training that a model and its tokenizer can be compressed so.

        Raises:
            ModelError: it cannot.
        """

    def cost(
        self, options: Any, budget: Budget, base: ModelShape, removable: Sequence[int]
    ) -> SearchCost:
        """What `search` may spend at most; nothing is loaded or trained for it.

        Args:
            options: of this compressor.
            budget: what is asked for.
            base: shape of the unpruned model.
            removable: its layers that may go whole.
        """

    def search(self, options: Any, budget: Budget, evaluator: CompressionEvaluator) -> list[Found]:
        """Choose what goes: a plan of each model that is made, the slowest first.

        Raises:
            AccuracyError, LatencyError: a budget is out of reach; the message has the best that
                is not.
        """

    def start(self, plan: Plan, model: PreTrainedModel, calibrator: Calibrator) -> PreTrainedModel:
        """The compact model where recovery begins, from an unpruned one and the plan alone."""


class Follower(Compressor, Protocol):
    """A compressor that can go on with what others found: `Row.follows` names them."""

    def follow(
        self, found: Found, options: Any, budget: Budget, evaluator: CompressionEvaluator
    ) -> Found:
        """The plan of `found` with this compressor's edits after the others.

        Raises:
            LatencyError: a budget is out of reach; the message has the best that is not.
        """


class UntrainedFollower:
    """What followers have in common that train nothing: alone, they follow a plan without edits."""

    name: str

    def cost(
        self, options: Any, budget: Budget, base: ModelShape, removable: Sequence[int]
    ) -> SearchCost:
        """Nothing is trained before the final training."""
        return SearchCost(strategy=self.name)

    def search(self, options: Any, budget: Budget, evaluator: CompressionEvaluator) -> list[Found]:
        """The one plan that leaves all layers there.

        Raises:
            GlpError: as `follow`.
        """
        plan = Plan(**evaluator.facts, compressors=(), strategy=self.name)
        return [self.follow(Found(plan), options, budget, evaluator)]

    def follow(
        self, found: Found, options: Any, budget: Budget, evaluator: CompressionEvaluator
    ) -> Found:
        """As `Follower.follow`."""
        raise NotImplementedError

    def start(self, plan: Plan, model: PreTrainedModel, calibrator: Calibrator) -> PreTrainedModel:
        """The model that the plan alone makes."""
        return plan.apply(model)
