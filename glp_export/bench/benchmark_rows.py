"""The rows of `glp/benchmark.json`: what is recorded of one model, or of one file on one shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from pydantic import Field, model_validator

from glp_export.bench.contenders import ContenderName, RuntimeName
from glp_export.core.numbers import layers_in_words
from glp_export.core.records import Record
from glp_export.core.shape import ModelShape


class Interval(Record):
    """A ratio of latencies: the median of paired ratios with a 95 % bootstrap interval."""

    value: float = Field(gt=0)
    low: float = Field(gt=0)
    high: float = Field(gt=0)


class Speedup(Record):
    """How many times faster a row is than the unpruned model, on the same provider and shape."""

    vs_pytorch_unpruned: Interval | None = Field(
        description="over the unpruned model in PyTorch at fp32; null if that was not measured"
    )
    vs_onnxruntime_unpruned: Interval | None = Field(
        description="over the unpruned model in ONNX Runtime at the same precision; null if that "
        "was not measured"
    )
    vs_onnxruntime_fp32_unpruned: Interval | None = Field(
        default=None,
        description="over the unpruned model in ONNX Runtime at fp32, whatever the precision; null "
        "if that was not measured",
    )


class OfModel(Record):
    """What tells one model from every other; files of schema 1 tell them by their layers alone."""

    contender: ContenderName
    plan_id: str = Field(
        default="", description="of the edits that made the model; `N-layers` in files of schema 1"
    )
    model_shape: ModelShape | None = Field(
        default=None, description="its heads, neurons and vocabulary; null where not known"
    )
    rival_of: str | None = Field(
        default=None,
        description="of a distilled model, the plan_id that it is compared with; null: with all",
    )
    layers: int = Field(ge=1)

    @model_validator(mode="before")
    @classmethod
    def _named_by_layers(cls, content: Any) -> Any:
        if isinstance(content, dict) and not content.get("plan_id") and "layers" in content:
            return {**content, "plan_id": f"{content['layers']}-layers"}
        return content

    def label_beside(self, unpruned: OfModel) -> str:
        """What is left of the unpruned model, for people: `6 layers`, or heads and neurons too."""
        if self.model_shape is None:
            return layers_in_words(self.layers)
        return self.model_shape.label(unpruned.model_shape)


class Baseline(OfModel):
    """The contender that every row's first speedup is over."""

    runtime: RuntimeName
    provider: str
    precision: str
    variant: str
    form: str | None = Field(
        default=None,
        description="of the file's graph: none, a level of --optimize, first-token; null where "
        "not known",
    )
    parameters: int = Field(ge=1)
    bytes: int = Field(ge=1)


class Chance(Record):
    """What is reached without reading the texts, and whether a score is above it."""

    value: float = Field(description="the task's metric of the best answer that ignores the texts")
    low: float = Field(description="lower end of the 95 % interval of the score less it")
    high: float = Field(description="upper end of it")
    significant: bool = Field(description="whether the score is above it beyond chance")


class Share(Record):
    """A share of the test rows with its 95 % interval."""

    value: float = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)


class MetricRow(OfModel):
    """The task's metric of one contender at one precision, from the very file that is timed."""

    precision: str
    value: float
    low: float = Field(description="lower end of the 95 % interval")
    high: float = Field(description="upper end of the 95 % interval")
    samples: int = Field(ge=1, description="examples of the test set")
    chance: Chance | None = Field(
        default=None, description="of the unpruned model in fp32; null where not computed"
    )
    calibration_error: Share | None = Field(
        default=None,
        description="expected calibration error in 15 bins of like probability; null where no "
        "classes are predicted or it was not computed",
    )


class ClassChange(Record):
    """The recall of a class less the unpruned model's, on the same test examples."""

    label: str
    rows: int = Field(ge=1, description="of the class in the test set")
    before: float = Field(ge=0, le=1, description="recall of the unpruned model")
    change: float = Field(ge=-1, le=1, description="negative where the pruned model is worse")
    low: float = Field(ge=-1, le=1, description="lower end of the paired 95 % interval")
    high: float = Field(ge=-1, le=1, description="upper end of it")


class DifferenceRow(OfModel):
    """The metric of a pruned model less another contender's in fp32, on the same test examples."""

    contender: ContenderName = "pruned"
    precision: str
    less: ContenderName = Field(description="the other contender")
    value: float = Field(description="positive where the pruned model is better")
    low: float = Field(description="lower end of the paired 95 % interval")
    high: float = Field(description="upper end of it")
    changed: Share | None = Field(
        default=None,
        description="test rows whose predicted labels differ from the other's; null where no "
        "labels are predicted or it was not computed",
    )
    classes: tuple[ClassChange, ...] = Field(
        default=(),
        description="beside the unpruned model, the classes that lose most first, at most "
        "20; empty where no classes are predicted or it was not computed",
    )


class Row(OfModel):
    """The latency of one contender in one runtime on one shape; milliseconds a batch.

    `shape` is that of the batch, `model_shape` the model's.
    """

    runtime: RuntimeName
    provider: str
    precision: str
    variant: str = Field(description="name of the file that was run")
    form: str | None = Field(
        default=None,
        description="of the file's graph: none, a level of --optimize, first-token; null where "
        "not known",
    )
    parameters: int = Field(ge=1)
    bytes: int = Field(ge=1, description="of the file, with its sidecar")
    shape: str = Field(description="8x128, or 8xtask for the task's own lengths")
    batch_size: int = Field(ge=1)
    sequence_length: int = Field(ge=1, description="the mean padded length for the task's own")
    threads: int = Field(ge=1)
    hints: dict[str, str] = Field(
        default={}, description="what the runtime was told, by its own names; {} where nothing was"
    )
    p50_ms: float = Field(gt=0)
    p90_ms: float = Field(gt=0)
    p95_ms: float | None = Field(
        default=None, gt=0, description="null in files of before it was written"
    )
    p99_ms: float = Field(gt=0)
    mean_ms: float = Field(gt=0)
    sequences_per_second: float = Field(gt=0)
    peak_memory_mb: float | None = Field(
        description="of a process that runs only this contender at the largest shape, in MiB; "
        "null if not measured"
    )
    samples: int = Field(ge=1, description="timed runs")
    speedup: Speedup


class Winner(OfModel):
    """The pruned model's file that is fastest on one provider and shape, of all runtimes."""

    contender: ContenderName = "pruned"
    provider: str
    shape: str
    runtime: RuntimeName
    precision: str
    variant: str = Field(description="name of the file")
    p50_ms: float = Field(gt=0)
    runner_up: str | None = Field(description="the next best file; null where there is one only")
    lead: Interval | None = Field(
        description="how many times faster it is than the runner-up; surely, if all above 1"
    )
    over_onnxruntime: Interval | None = Field(
        default=None,
        description="of a winner in another runtime: how many times faster it is than the fastest "
        "file in ONNX Runtime; null for a winner there",
    )


class HasPlan(Protocol):
    """Something that is known of one contender."""

    @property
    def contender(self) -> str:
        """`unpruned`, `pruned` or `distilled`."""

    @property
    def plan_id(self) -> str:
        """Of the edits that made it."""

    @property
    def rival_of(self) -> str | None:
        """The plan that a distilled model is compared with; None for all."""


Known = TypeVar("Known", bound=HasPlan)


def of_plan(known: Sequence[Known], plan_id: str) -> tuple[Known, ...]:
    """What belongs to the pruned model of one plan, in the order given.

    That is all of the unpruned model, of the pruned one, and of the distilled model that was made
    beside it. Where there is none, the distilled rival came from elsewhere and belongs to every
    pruned model.
    """

    def beside(one: Known) -> bool:
        return one.contender == "distilled" and (one.rival_of or one.plan_id) == plan_id

    own_student = any(map(beside, known))
    return tuple(
        one
        for one in known
        if one.contender == "unpruned"
        or (one.contender == "pruned" and one.plan_id == plan_id)
        or beside(one)
        or (one.contender == "distilled" and not own_student and one.rival_of is None)
    )
