"""The benchmark: measure the contenders, and put the numbers into the form of benchmark.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from glp_export.bench.benchmark_file import BenchmarkFile
from glp_export.bench.benchmark_rows import Baseline, Interval, MetricRow, Row, Speedup
from glp_export.bench.contenders import Contender
from glp_export.bench.memory import largest, peak_memory_mb
from glp_export.bench.runtimes import RUNTIMES
from glp_export.bench.samples_file import SamplesFile
from glp_export.bench.shapes import Workload
from glp_export.bench.statistics import paired_ratio, summarise
from glp_export.bench.target_outcome import TargetOutcome
from glp_export.bench.timing import Progress, Samples, Timing, measure
from glp_export.bench.winners import winners
from glp_export.core import machine, sharing
from glp_export.core.errors import UsageError

_PLAIN = "model.onnx"
# How a model is called where nobody thought about it: what speedups are over.
_PLAIN_RUNTIMES = ("pytorch", "onnxruntime")


@dataclass(frozen=True)
class Benchmark:
    """A benchmark and the raw samples that it was computed from."""

    file: BenchmarkFile
    samples: SamplesFile

    def with_targets(self, targets: Sequence[TargetOutcome]) -> Benchmark:
        """The same, with what became of each target."""
        return Benchmark(self.file.model_copy(update={"targets": tuple(targets)}), self.samples)

    def of_plan(self, plan_id: str) -> Benchmark:
        """The part that belongs to the pruned model of one plan.

        Raises:
            UsageError: no pruned model of that plan was measured.
        """
        return Benchmark(self.file.of_plan(plan_id), self.samples.of_plan(plan_id))

    def save(self, path: Path) -> Path:
        """Write `benchmark.json` and, beside it, `benchmark_samples.json`."""
        self.samples.save(path.with_name(f"{path.stem}_samples.json"))
        return self.file.save(path)


def benchmark(
    contenders: Sequence[Contender],
    workloads: Sequence[Workload],
    metrics: Sequence[MetricRow],
    *,
    task: str,
    metric: str,
    timing: Timing | None = None,
    memory: bool = True,
    progress: Progress | None = None,
) -> Benchmark:
    """Measure all contenders side by side.

    Args:
        contenders: the unpruned model in PyTorch at fp32 among them; it is the baseline (the
            unpruned model in ONNX Runtime where there is none).
        workloads: what they run.
        metrics: what the task's metric says of the files that are measured.
        task: name of the task.
        metric: name of the metric.
        timing: how long and how carefully.
        memory: also measure peak memory, in a process for each contender.
        progress: called with a stage, units done and units in all.

    Raises:
        DeviceError: a provider is missing or fell back.
        ModelError: a contender cannot be loaded.
        UsageError: no contender is unpruned, or two have the same name.
    """
    timing = (timing or Timing()).for_contenders(contenders)
    baseline = _baseline(contenders)
    described = machine.describe()
    peaks = _peaks(contenders, workloads, progress) if memory else {}
    monitor = sharing.SharingMonitor()
    samples = measure(contenders, workloads, timing=timing, progress=progress)
    file = BenchmarkFile(
        # In place of the notes on the load average, which our own training raises.
        machine=replace(described, notes=monitor.notes()),
        task=task,
        metric=metric,
        baseline=Baseline(**_facts(baseline)),
        metrics=tuple(metrics),
        rows=tuple(rows(samples, peaks)),
        winners=tuple(winners(samples)),
    )
    return Benchmark(file, SamplesFile.of(samples, timing))


def rows(samples: Sequence[Samples], peaks: Mapping[Contender, float | None]) -> list[Row]:
    """One row for each contender and shape, with its speedups."""
    return [_row(sample, samples, peaks.get(sample.contender)) for sample in samples]


def speedup(sample: Samples, reference: Samples | None) -> Interval | None:
    """How many times faster than a reference on the same shape, round by round."""
    if reference is None:
        return None
    ratio = paired_ratio(reference.round_medians, sample.round_medians)
    return Interval(value=ratio.value, low=ratio.low, high=ratio.high)


def pytorch_reference(sample: Samples, samples: Sequence[Samples]) -> Samples | None:
    """The unpruned model in PyTorch at fp32, on the same provider and shape."""
    models = [
        other
        for other in _unpruned_beside(sample, samples)
        if other.contender.runtime == "pytorch" and other.contender.precision == "fp32"
    ]
    return models[0] if models else None


def onnx_reference(sample: Samples, samples: Sequence[Samples], precision: str) -> Samples | None:
    """The unpruned model in ONNX Runtime at a precision, on the same provider and shape.

    Of several files, the one of the same name, else the plain export, else the first.
    """
    files = [
        other
        for other in _unpruned_beside(sample, samples)
        if other.contender.runtime == "onnxruntime" and other.contender.precision == precision
    ]
    for name in (sample.contender.variant, _PLAIN):
        for other in files:
            if other.contender.variant == name:
                return other
    return files[0] if files else None


def _row(sample: Samples, samples: Sequence[Samples], peak: float | None) -> Row:
    shape, summary = sample.shape, summarise(sample.milliseconds)
    return Row(
        **_facts(sample.contender),
        threads=sample.contender.threads,
        hints=sample.contender.hints,
        shape=shape.name,
        batch_size=shape.batch_size,
        sequence_length=shape.sequence_length,
        p50_ms=summary.p50_ms,
        p90_ms=summary.p90_ms,
        p95_ms=summary.p95_ms,
        p99_ms=summary.p99_ms,
        mean_ms=summary.mean_ms,
        sequences_per_second=shape.batch_size * 1e3 / summary.mean_ms,
        peak_memory_mb=peak,
        samples=summary.samples,
        speedup=Speedup(
            vs_pytorch_unpruned=speedup(sample, pytorch_reference(sample, samples)),
            vs_onnxruntime_unpruned=speedup(
                sample, onnx_reference(sample, samples, sample.contender.precision)
            ),
            vs_onnxruntime_fp32_unpruned=speedup(sample, onnx_reference(sample, samples, "fp32")),
        ),
    )


def _facts(contender: Contender) -> dict[str, Any]:
    """What rows and baseline say of a contender."""
    return {name: getattr(contender, name) for name in Baseline.model_fields}


def _baseline(contenders: Sequence[Contender]) -> Contender:
    """The contender that speedups are over."""
    names = [str(_facts(contender)) for contender in contenders]
    if len(set(names)) < len(names):
        raise UsageError("two contenders are the same; nobody could tell their rows apart")
    unpruned = [contender for contender in contenders if contender.contender == "unpruned"]
    if not unpruned:
        raise UsageError(
            "no contender is unpruned, so there is nothing to be faster than",
            fix="give the unpruned checkpoint",
        )
    in_order = list(RUNTIMES)
    return min(
        unpruned,
        key=lambda c: (
            c.runtime not in _PLAIN_RUNTIMES,
            in_order.index(c.runtime),
            c.precision != "fp32",
        ),
    )


def _peaks(
    contenders: Sequence[Contender], workloads: Sequence[Workload], progress: Progress | None
) -> dict[Contender, float | None]:
    """Peak memory of every contender at the largest shape."""
    shape = largest([workload.shape for workload in workloads])
    peaks: dict[Contender, float | None] = {}
    for number, contender in enumerate(contenders):
        if progress:
            progress("measure memory", number, len(contenders))
        peaks[contender] = peak_memory_mb(contender, shape)
    if progress:
        progress("measure memory", len(contenders), len(contenders))
    return peaks


def _unpruned_beside(sample: Samples, samples: Sequence[Samples]) -> list[Samples]:
    """Samples of the unpruned model on the same provider and shape."""
    return [
        other
        for other in samples
        if other.contender.contender == "unpruned"
        and other.contender.provider == sample.contender.provider
        and other.shape == sample.shape
    ]
