"""A benchmark's rows as people ask for them: one series a model, runtime and file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.core.numbers import layers_in_words, milliseconds
from glp_export.report.words import below_fp32
from glp_export.serve.openvino_session import PRECISION_HINT

if TYPE_CHECKING:
    from glp_export.bench.benchmark_file import BenchmarkFile
    from glp_export.bench.benchmark_rows import DifferenceRow, MetricRow, OfModel, Row
    from glp_export.bench.frontier import Frontier, FrontierPoint
    from glp_export.compress.plan import Plan

CONTENDERS = ("unpruned", "distilled", "pruned")
RUNTIMES = {
    "pytorch": ("PyTorch", "PyTorch"),
    "pytorch-compiled": ("PyTorch compiled", "compiled"),
    "onnxruntime": ("ONNX Runtime", "ORT"),
    "onnxruntime-bound": ("ONNX Runtime, bound", "ORT bound"),
    "onnxruntime-graphs": ("ONNX Runtime, CUDA graphs", "ORT graphs"),
    "openvino": ("OpenVINO", "OpenVINO"),
}
"""What runtimes are called, in full and in a narrow column."""
TASK_LENGTHS = "task"


@dataclass(frozen=True)
class Measurement:
    """One model in one runtime from one file, over all shapes.

    Attributes:
        rows: by the name of the shape, as measured; at least one.
    """

    rows: Mapping[str, Row]

    @property
    def any(self) -> Row:
        """A row, for what does not depend on the shape: contender, file, layers, bytes."""
        return next(iter(self.rows.values()))

    @property
    def kind(self) -> str:
        """What tells it from its plain fp32 sister: `optimized`, `fp16`; empty for that."""
        if self.any.runtime.startswith("pytorch"):
            return "" if self.any.precision == "fp32" else self.any.precision
        file = self.any.variant.partition(".")[0].removeprefix("model").strip("_")
        told = self.any.hints.get(PRECISION_HINT) == "bf16"
        return f"{file} bf16".strip() if told else file

    def called(self, joint: str = ", ", *, short: bool = False) -> str:
        """The runtime, and what was done to the file: `ONNX Runtime, optimized`."""
        return joint.join(filter(None, (RUNTIMES[self.any.runtime][short], self.kind)))

    def median(self, shape: str) -> str | None:
        """Milliseconds a batch at a shape; None where it was not measured there."""
        return milliseconds(self.rows[shape].p50_ms) if shape in self.rows else None


def all_measurements(benchmark: BenchmarkFile, provider: str) -> list[Measurement]:
    """The series of one provider: unpruned, distilled, pruned; deepest and PyTorch first."""
    groups: dict[tuple[object, ...], dict[str, Row]] = {}
    for row in benchmark.rows:
        if row.provider == provider:
            name = (_model(row), row.runtime, row.precision, row.variant)
            groups.setdefault(name, {})[row.shape] = row
    return sorted(map(Measurement, groups.values()), key=_place)


def providers(benchmark: BenchmarkFile) -> list[str]:
    """The execution providers that were measured, in the order of the file."""
    return list(dict.fromkeys(row.provider for row in benchmark.rows))


def pruned_ids(rows: Iterable[OfModel]) -> list[str]:
    """The plans of the pruned models among rows, each once."""
    return list(dict.fromkeys(row.plan_id for row in rows if row.contender == "pruned"))


def model_name(benchmark: BenchmarkFile, row: OfModel) -> str:
    """`pruned`; `pruned 6` where several were measured, with the plan where that is not enough."""
    models = {_model(other): other for other in benchmark.rows if other.contender == row.contender}
    if len(models) <= 1:
        return row.contender
    depths = [other.layers for other in models.values()]
    if not whole_layers(benchmark, row):
        return f"{row.contender} {row.plan_id[:8]}"
    own = f"{row.contender} {row.layers}"
    return own if depths.count(row.layers) == 1 else f"{own} ({row.plan_id[:8]})"


def measured_id(benchmark: BenchmarkFile, plan: Plan) -> str:
    """The id under which a plan was measured; benchmarks of schema 1 name models by their depth."""
    known = any(row.plan_id == plan.id for row in benchmark.rows)
    return plan.id if known else f"{plan.depth}-layers"


def precise_name(benchmark: BenchmarkFile, row: MetricRow | DifferenceRow) -> str:
    """The model's name, with a precision below fp32."""
    return model_name(benchmark, row) + below_fp32(row.precision)


def whole_layers(benchmark: BenchmarkFile, row: OfModel) -> bool:
    """Whether a model is the unpruned one without some whole layers."""
    return row.label_beside(benchmark.baseline) == layers_in_words(row.layers)


def layers_cell(benchmark: BenchmarkFile, row: OfModel) -> str:
    """A model in a column of layers: their number, or what is left where more than layers went."""
    return str(row.layers) if whole_layers(benchmark, row) else row.label_beside(benchmark.baseline)


def layers_of_point(point: FrontierPoint) -> str:
    """The same of a point of a frontier."""
    return str(point.layers) if whole_layers_left(point) else point.label


def whole_layers_left(point: FrontierPoint) -> bool:
    """Whether the model of a point is the unpruned one without some whole layers."""
    return point.label in ("", layers_in_words(point.layers))


def device_name(benchmark: BenchmarkFile, provider: str) -> str:
    """`CPU (2 threads)`, or the GPU's name."""
    threads = sorted({row.threads for row in benchmark.rows if row.provider == provider})
    return device_words(provider, threads, benchmark.machine.gpu)


def device_words(provider: str, threads: list[int], gpu: str | None) -> str:
    """A provider's device with its threads, or the GPU's name."""
    if provider == "CUDAExecutionProvider":
        return gpu or "GPU"
    name = "CPU" if provider == "CPUExecutionProvider" else provider
    counted = " or ".join(map(str, threads))
    return f"{name} ({counted} thread{'s' * (threads != [1])})"


def shapes(benchmark: BenchmarkFile, provider: str | None = None) -> list[str]:
    """The names of all shapes, or of those that a provider was measured on.

    The fixed ones come first by batch and length, then the task's own lengths.
    """
    rows = [row for row in benchmark.rows if provider in (None, row.provider)]
    first = {row.shape: row for row in reversed(rows)}
    return sorted(first, key=lambda name: _size(first[name]))


def headline_shape(benchmark: BenchmarkFile) -> str:
    """The shape that stands for the others: one request at the task's own lengths.

    Without those, the smallest batch at the greatest length.
    """
    names = shapes(benchmark)
    own = [name for name in names if name.endswith(TASK_LENGTHS)]
    if own:
        return own[0]
    return max(benchmark.rows, key=lambda row: (-row.batch_size, row.sequence_length)).shape


def shape_title(name: str) -> str:
    """`8×128`, `1×task`."""
    return name.replace("x", "×", 1)


def shape_words(benchmark: BenchmarkFile, name: str) -> str:
    """A shape in words, with the mean length where the task's own lengths were taken."""
    return words_of_shape(next(row for row in benchmark.rows if row.shape == name))


def words_of_shape(row: Row | Frontier) -> str:
    """The same of a row's shape, or of a frontier's."""
    if row.shape.endswith(TASK_LENGTHS):
        return f"batch {row.batch_size}, the task's own lengths (mean {row.sequence_length} tokens)"
    return f"batch {row.batch_size}, {row.sequence_length} tokens"


def metric_of(
    benchmark: BenchmarkFile, contender: str, precision: str, plan_id: str | None = None
) -> MetricRow | None:
    """The score of a model at a precision, if it was taken; the first of any plan."""
    for row in benchmark.metrics:
        known = plan_id in (None, row.plan_id)
        if known and (row.contender, row.precision) == (contender, precision):
            return row
    return None


def difference_of(
    benchmark: BenchmarkFile, less: str, precision: str, plan_id: str | None = None
) -> DifferenceRow | None:
    """The metric of the pruned model less that of another one; the first of any plan."""
    for row in benchmark.differences:
        if (row.less, row.precision) == (less, precision) and plan_id in (None, row.plan_id):
            return row
    return None


def throughput(row: Row) -> str:
    """Texts a second with three digits that count: `12.3`, `1,240`."""
    value = row.sequences_per_second
    return f"{value:,.0f}" if value >= 100 else milliseconds(value)


def is_fastest(benchmark: BenchmarkFile, row: Row) -> bool:
    """Whether a row is that of the pruned model's fastest file at its shape."""
    return row.contender == "pruned" and any(
        (one.provider, one.plan_id, one.shape, one.runtime, one.variant)
        == (row.provider, row.plan_id, row.shape, row.runtime, row.variant)
        for one in benchmark.winners
    )


def recommended_row(benchmark: BenchmarkFile) -> Row | None:
    """The row of the recommended file at the headline shape."""
    best = recommended(benchmark)
    return best.rows[headline_shape(benchmark)] if best else None


def recommended(benchmark: BenchmarkFile) -> Measurement | None:
    """The pruned ONNX file that is fastest at the headline shape, on the baseline's provider."""
    shape = headline_shape(benchmark)
    files = [
        measurement
        for measurement in all_measurements(benchmark, benchmark.baseline.provider)
        if measurement.any.contender == "pruned"
        and measurement.any.runtime == "onnxruntime"
        and shape in measurement.rows
    ]
    return min(files, key=lambda measurement: measurement.rows[shape].p50_ms, default=None)


def _model(row: OfModel) -> tuple[str, str, str | None]:
    return row.contender, row.plan_id, row.rival_of


def _place(measurement: Measurement) -> tuple[int, int, int, int, str, str]:
    row = measurement.any
    return (
        CONTENDERS.index(row.contender),
        -row.layers,
        -row.parameters,
        list(RUNTIMES).index(row.runtime),
        "" if row.precision == "fp32" else row.precision,
        row.variant,
    )


def _size(row: Row) -> tuple[bool, int, int]:
    return row.shape.endswith(TASK_LENGTHS), row.batch_size, row.sequence_length
