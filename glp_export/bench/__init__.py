"""Measuring: contenders, interleaved timing, statistics, and the file that says what came out."""

from __future__ import annotations

from glp_export.bench.benchmark_file import BenchmarkFile
from glp_export.bench.benchmark_rows import (
    Baseline,
    Chance,
    ClassChange,
    DifferenceRow,
    Interval,
    MetricRow,
    Row,
    Share,
    of_plan,
)
from glp_export.bench.choice import CandidateTiming, Choice, fastest, quickest
from glp_export.bench.contenders import (
    Contender,
    ContenderName,
    RuntimeName,
    onnx_contender,
    pytorch_contender,
)
from glp_export.bench.depth_latency import DepthTiming, measure_depth
from glp_export.bench.frontier import (
    Frontier,
    FrontierDifference,
    FrontierLatency,
    FrontierPoint,
)
from glp_export.bench.memory import peak_memory_mb
from glp_export.bench.run import Benchmark, benchmark
from glp_export.bench.samples_file import SamplesFile
from glp_export.bench.shapes import Shape, Workload, shape_grid, task_workloads
from glp_export.bench.statistics import Ratio, Summary, paired_ratio, summarise
from glp_export.bench.timing import Progress, Samples, Timing, measure, settle

__all__ = [
    "Baseline",
    "Benchmark",
    "BenchmarkFile",
    "CandidateTiming",
    "Chance",
    "Choice",
    "ClassChange",
    "Contender",
    "ContenderName",
    "DepthTiming",
    "DifferenceRow",
    "Frontier",
    "FrontierDifference",
    "FrontierLatency",
    "FrontierPoint",
    "Interval",
    "MetricRow",
    "Progress",
    "Ratio",
    "Row",
    "RuntimeName",
    "Samples",
    "SamplesFile",
    "Shape",
    "Share",
    "Summary",
    "Timing",
    "Workload",
    "benchmark",
    "fastest",
    "measure",
    "measure_depth",
    "of_plan",
    "onnx_contender",
    "paired_ratio",
    "peak_memory_mb",
    "pytorch_contender",
    "quickest",
    "settle",
    "shape_grid",
    "summarise",
    "task_workloads",
]
