"""Data of reports, and what a reader finds on a page."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from typing import Any

from glp_export.artifact.parity_report import ParityReport
from glp_export.bench import BenchmarkFile, Frontier, Interval, SamplesFile
from glp_export.bench.benchmark_rows import ClassChange, Share
from glp_export.bench.samples_file import SampleRow
from glp_export.precision.record import KernelCount, Loss, PrecisionEntry
from glp_export.report.html import ReportData, SweepVariant, page
from tests.report.helpers import (
    less_unpruned,
    make_benchmark,
    make_parity,
    make_plan,
    make_sweep,
)

INT8 = PrecisionEntry(
    precision="int8",
    file="model_quantized.onnx",
    recipe="int8, dynamic ranges, smoothed",
    kept_in_float=("layer 2, output",),
    share_in_float=0.04,
    on_select=Loss(value=0.9, drop=0.0, low=-0.01, high=0.01, rows=300),
    on_test=Loss(value=0.88, drop=0.004, low=-0.004, high=0.012, rows=500),
)


def make_samples(benchmark: BenchmarkFile) -> SamplesFile:
    """Thirty runs of every row, a little to either side of its median."""
    rows = tuple(
        SampleRow(
            **{name: getattr(row, name) for name in SampleRow.model_fields if name != "rounds"},
            rounds=tuple(
                tuple(row.p50_ms * (0.97 + 0.002 * run + 0.005 * block) for run in range(10))
                for block in range(3)
            ),
        )
        for row in benchmark.rows
    )
    return SamplesFile(timing={"seconds": 1.0}, rows=rows)


def make_variant(
    depth: int, parity: ParityReport, precisions: tuple[PrecisionEntry, ...] = ()
) -> SweepVariant:
    """One of several artifacts, by its depth."""
    plan = make_plan().cut(3) if depth == 3 else make_plan(order=(5, 3, 1)[: 6 - depth], steps=())
    return SweepVariant(plan, f"{depth}-layers", parity, precisions)


def make_report_data(**changes: Any) -> ReportData:
    """An artifact of three layers, significantly faster and less accurate."""
    benchmark = changes.pop("benchmark", None) or make_benchmark(
        differences=(less_unpruned(3, -0.036, -0.058, -0.014),)
    )
    fields: dict[str, Any] = {
        "name": "trec",
        "plan": make_plan(),
        "benchmark": benchmark,
        "sweep_variants": (make_variant(3, make_parity(), (INT8,)),),
        "samples": make_samples(benchmark),
        "command": "glp-export prune-and-export -m minilm --dataset data/trec --depth 3 -o out",
    }
    return ReportData(**{**fields, **changes})


def with_changes(data: ReportData) -> ReportData:
    """The same with a class that lost recall, errors of calibration, and counted kernels."""
    benchmark, (variant,) = data.benchmark, data.sweep_variants
    lost = ClassChange(label="places", rows=80, before=0.9, change=-0.12, low=-0.2, high=-0.04)
    gained = lost.model_copy(update={"label": "names", "change": 0.1, "low": 0.0, "high": 0.2})
    error = Share(value=0.061, low=0.04, high=0.09)
    count = KernelCount(
        runtime="onnxruntime",
        version="1",
        integer={"MatMul": 12},
        in_float={"MatMul": 2},
        beside={},
    )
    own = INT8.model_copy(update={"kernels": (count,)})
    changed = benchmark.model_copy(
        update={
            "metrics": tuple(
                row.model_copy(update={"calibration_error": error}) for row in benchmark.metrics
            ),
            "differences": tuple(
                row.model_copy(update={"classes": (lost, gained)}) for row in benchmark.differences
            ),
        }
    )
    return replace(data, benchmark=changed, sweep_variants=(replace(variant, precisions=(own,)),))


def make_sweep_data(**changes: Any) -> ReportData:
    """A sweep of 5, 4 and 3 layers, of which only 3 is significantly less accurate."""
    benchmark = make_sweep(
        (5, 4, 3),
        differences=(
            less_unpruned(5, -0.001, -0.01, 0.008),
            less_unpruned(4, -0.004, -0.014, 0.006),
            less_unpruned(3, -0.009, -0.017, -0.001),
        ),
    )
    fields: dict[str, Any] = {
        "name": "sweep",
        "benchmark": benchmark,
        "sweep_variants": tuple(make_variant(depth, make_parity()) for depth in (5, 4, 3)),
        "frontier": Frontier.of(benchmark),
        "samples": None,
    }
    return make_report_data(**{**fields, **changes})


def at_speed(value: float, low: float, high: float) -> BenchmarkFile:
    """The benchmark with this speedup of the pruned model over the unpruned one."""
    found = Interval(value=value, low=low, high=high)
    made = make_benchmark()
    rows = tuple(
        row.model_copy(
            update={"speedup": row.speedup.model_copy(update={"vs_onnxruntime_unpruned": found})}
        )
        if row.contender == "pruned"
        else row
        for row in made.rows
    )
    return make_benchmark(rows=rows, differences=(less_unpruned(3, -0.001, -0.01, 0.008),))


def failed_parity() -> Any:
    """A report of which the first file is wrong, and turns two labels round."""
    report = make_parity()
    first = replace(
        report.files[0],
        failures=("real rows: the largest difference is 0.31",),
        disagreements=(7, 19),
        label_agreement=0.96,
    )
    return replace(report, files=(first, *report.files[1:]))


@cache
def usual_page() -> str:
    """The page of `make_report_data()`, drawn once."""
    return page(make_report_data())


class Reader(HTMLParser):
    """What stands on a page: its text without styles, its tags and their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._skipping = 0
        self.feed(page)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [
            attributes
            for name, attributes in self.tags
            if name == tag and all(attributes.get(key) == value for key, value in wanted.items())
        ]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._skipping += tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self._skipping -= tag == "style"

    def handle_data(self, data: str) -> None:
        if not self._skipping and data.strip():
            self.words.append(data.strip())
