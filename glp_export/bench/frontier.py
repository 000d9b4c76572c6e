"""`glp/frontier.json`: accuracy against latency of every depth, and which no other beats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from glp_export.artifact.layout import layers_directory
from glp_export.bench.benchmark_file import READ_VERSIONS, BenchmarkFile
from glp_export.bench.benchmark_rows import DifferenceRow, Interval, MetricRow, OfModel, Row
from glp_export.bench.contenders import ContenderName
from glp_export.core import numbers
from glp_export.core.errors import UsageError
from glp_export.core.machine import Machine
from glp_export.core.notebook import table_html
from glp_export.core.numbers import layers_in_words
from glp_export.core.records import Record

SCHEMA_VERSION: Literal[2] = 2

RIVAL: ContenderName = "distilled"
"""Shown beside the others and compared with none: no artifact of the run holds it."""


class FrontierLatency(Record):
    """A model's latency in ONNX Runtime on one shape; milliseconds a batch."""

    shape: str
    p50_ms: float = Field(gt=0)
    speedup: Interval | None = Field(
        description="over the unpruned model in ONNX Runtime at fp32; null if not measured"
    )


class FrontierDifference(Record):
    """A metric less the unpruned model's, on the same test examples, with its paired interval."""

    value: float
    low: float
    high: float

    @property
    def significantly_worse(self) -> bool:
        """Whether the interval lies below 0."""
        return self.high < 0


class FrontierPoint(OfModel):
    """One model at one precision, by its fastest file at the frontier's shape."""

    label: str = Field(default="", description="of the model, for people: `6 layers`")
    precision: str = "fp32"
    directory: str | None = Field(description="of its artifact; null for what is not shipped")
    variant: str = Field(description="name of the file that was run")
    parameters: int = Field(ge=1)
    bytes: int = Field(ge=1, description="of the file, with its sidecar")
    value: float = Field(description="the task's metric")
    low: float = Field(description="lower end of its 95 % interval")
    high: float = Field(description="upper end of its 95 % interval")
    less_unpruned: FrontierDifference | None = Field(
        default=None, description="of a pruned model, where the answers were at hand"
    )
    latencies: tuple[FrontierLatency, ...] = Field(
        min_length=1, description="all shapes, the frontier's own first"
    )
    on_frontier: bool | None = Field(
        default=None,
        description="no other model of the run is as good in metric and latency and better in "
        "one; null for a rival, which is shown beside",
    )
    beaten_by: tuple[str, ...] = Field(
        default=(), description="names of the models that are; empty on the frontier"
    )
    surely_beaten_by: tuple[str, ...] = Field(
        default=(), description="those of them that are better in both by intervals that lie apart"
    )

    @property
    def name(self) -> str:
        """What tells it from the others: its layers or directory, and a precision beside fp32."""
        whole = self.directory in (None, f"{self.layers}-layers")
        model = f"{self.layers}" if whole else str(self.directory)
        return model if self.precision == "fp32" else f"{model} {self.precision}"

    @property
    def p50_ms(self) -> float:
        """Median latency at the frontier's shape."""
        return self.latencies[0].p50_ms

    @property
    def speedup(self) -> Interval | None:
        """Over the unpruned model in ONNX Runtime, at the frontier's shape."""
        return self.latencies[0].speedup


class Frontier(Record):
    """All models of a sweep, the slowest first.

    `shape` is the smallest that was measured: the fewest tokens in a batch.
    """

    schema_version: Literal[2] = SCHEMA_VERSION
    machine: Machine
    task: str
    metric: str
    samples: int = Field(ge=1, description="examples of the test set")
    provider: str
    threads: int = Field(ge=1)
    shape: str
    batch_size: int = Field(ge=1)
    sequence_length: int = Field(ge=1)
    points: tuple[FrontierPoint, ...] = Field(min_length=1)

    @classmethod
    def of(cls, benchmark: BenchmarkFile, directories: Mapping[str, str] | None = None) -> Frontier:
        """Place every model that was scored and timed in ONNX Runtime, and compare them.

        Args:
            benchmark: of all models.
            directories: of the artifacts, by plan id; `N-layers` or a part of the plan's id for one
                that is not named.

        Raises:
            UsageError: none was.
        """
        rows = [
            row
            for row in benchmark.rows
            if row.runtime == "onnxruntime" and row.provider == benchmark.baseline.provider
        ]
        if not rows or not benchmark.metrics:
            raise UsageError("no model was both scored and timed in ONNX Runtime")
        smallest = min(rows, key=_tokens)
        placed = [
            point
            for metric in benchmark.metrics
            if (point := _point(metric, rows, smallest.shape, benchmark)) is not None
        ]
        placed = [_shipped(point, directories or {}) for point in placed]
        return cls(
            machine=benchmark.machine,
            task=benchmark.task,
            metric=benchmark.metric,
            samples=benchmark.metrics[0].samples,
            provider=smallest.provider,
            threads=smallest.threads,
            shape=smallest.shape,
            batch_size=smallest.batch_size,
            sequence_length=smallest.sequence_length,
            points=tuple(compare(placed)),
        )

    @property
    def directories(self) -> tuple[str, ...]:
        """The artifacts below the sweep, in the order of the points, each once."""
        return tuple(dict.fromkeys(point.directory for point in self.points if point.directory))

    @property
    def best(self) -> list[FrontierPoint]:
        """The models that no other beats, the most accurate and slowest first."""
        return sorted(
            (point for point in self.points if point.on_frontier),
            key=lambda point: (-point.value, point.p50_ms),
        )

    def __repr__(self) -> str:
        return f"Frontier({self.task}, {self.metric} at {self.shape}, {len(self.points)} models)"

    def _repr_html_(self) -> str:
        head = ("model", self.metric, f"p50 ms at {self.shape}", "MB", "on the frontier")
        rows = (
            (
                f"{point.contender} {point.label} {point.precision}",
                numbers.metric(point.value),
                numbers.milliseconds(point.p50_ms),
                numbers.megabytes(point.bytes),
                {True: "yes", False: "no", None: "beside"}[point.on_frontier],
            )
            for point in self.points
        )
        return table_html(f"{self.task}: accuracy against latency", head, rows)

    def save(self, path: Path) -> Path:
        """Write it as JSON."""
        return self.write(path)

    @classmethod
    def load(cls, path: Path) -> Frontier:
        """Read what `save` wrote.

        Raises:
            DataError: there is no such file, or it is another's or broken.
        """
        return cls.read(
            path,
            what="the frontier",
            fix="make the sweep again with glp-export prune-and-export",
            part=lambda content: (
                {**content, "schema_version": SCHEMA_VERSION}
                if content["schema_version"] in READ_VERSIONS
                else content
            ),
        )


def compare(points: Sequence[FrontierPoint]) -> list[FrontierPoint]:
    """Mark the points that no other beats; say what beats the rest, and whether significantly.

    Deepest first, the rivals last of their depth; rivals neither beat nor are marked.
    """
    ours = [point for point in points if point.contender != RIVAL]
    marked = [point if point.contender == RIVAL else _marked(point, ours) for point in points]
    return sorted(
        marked, key=lambda point: (-point.layers, -point.parameters, point.contender == RIVAL)
    )


def _marked(point: FrontierPoint, others: Sequence[FrontierPoint]) -> FrontierPoint:
    winners = [other for other in others if _beats(other, point)]
    return point.model_copy(
        update={
            "on_frontier": not winners,
            "beaten_by": tuple(other.name for other in winners),
            "surely_beaten_by": tuple(o.name for o in winners if _significantly(o, point)),
        }
    )


def _beats(one: FrontierPoint, other: FrontierPoint) -> bool:
    """Whether one is as good in both and better in one, by the numbers as they were measured."""
    as_good = one.value >= other.value and one.p50_ms <= other.p50_ms
    return as_good and (one.value > other.value or one.p50_ms < other.p50_ms)


def _significantly(one: FrontierPoint, other: FrontierPoint) -> bool:
    """Whether the intervals of both metric and speedup lie apart, one's above the other's."""
    if one.speedup is None or other.speedup is None:
        return False
    return one.low > other.high and one.speedup.low > other.speedup.high


def _point(
    metric: MetricRow,
    rows: Sequence[Row],
    shape: str,
    benchmark: BenchmarkFile,
) -> FrontierPoint | None:
    """A contender's point, None if it was not timed on the shape."""
    own = [row for row in rows if _model(row) == _model(metric)]
    here = [row for row in own if row.shape == shape]
    if not here:
        return None
    best = min(here, key=lambda row: row.p50_ms)
    file = sorted(
        (row for row in own if row.variant == best.variant), key=lambda row: row is not best
    )
    return FrontierPoint(
        **{name: getattr(best, name) for name in OfModel.model_fields},
        label=best.label_beside(benchmark.baseline),
        precision=best.precision,
        directory=None,
        variant=best.variant,
        parameters=best.parameters,
        bytes=best.bytes,
        value=metric.value,
        low=metric.low,
        high=metric.high,
        less_unpruned=_less_unpruned(best, benchmark.differences),
        latencies=tuple(
            FrontierLatency(
                shape=row.shape,
                p50_ms=row.p50_ms,
                speedup=row.speedup.vs_onnxruntime_fp32_unpruned,
            )
            for row in file
        ),
    )


def _less_unpruned(row: Row, differences: Sequence[DifferenceRow]) -> FrontierDifference | None:
    for one in differences:
        if _model(one) == _model(row) and one.less == "unpruned":
            return FrontierDifference(value=one.value, low=one.low, high=one.high)
    return None


def _shipped(point: FrontierPoint, directories: Mapping[str, str]) -> FrontierPoint:
    """A pruned model's point with the directory of its artifact."""
    if point.contender != "pruned":
        return point
    whole = point.label in ("", layers_in_words(point.layers))
    unnamed = layers_directory(point.layers) if whole else point.plan_id[:8]
    name = directories.get(point.plan_id, unnamed)
    return point.model_copy(update={"directory": name})


def _model(row: Row | MetricRow | DifferenceRow) -> tuple[str, str, str | None, str]:
    return row.contender, row.plan_id, row.rival_of, row.precision


def _tokens(row: Row) -> tuple[int, bool]:
    """What a shape's size is; of two alike the one of fixed length."""
    return row.batch_size * row.sequence_length, row.shape.endswith("task")
