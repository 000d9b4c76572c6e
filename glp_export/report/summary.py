"""What a run comes to, in lines: its targets, what pruning cost, what it gained.

The terminal, the model card and the report begin with them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from glp_export.core import numbers
from glp_export.report.measurements import (
    difference_of,
    metric_of,
    pruned_ids,
    recommended,
    recommended_row,
    shape_words,
)
from glp_export.report.words import below_fp32, metric_name, significance, speedup_of

if TYPE_CHECKING:
    from glp_export.bench.benchmark_file import BenchmarkFile
    from glp_export.bench.frontier import Frontier


def summary_lines(benchmark: BenchmarkFile) -> list[str]:
    """The targets first, then one sentence for what was lost and one for what was gained.

    Of several pruned models, two sentences for each, with its name before them.
    """
    plans = pruned_ids(benchmark.rows)
    lines = [*map(str, benchmark.targets)]
    for plan_id in plans:
        own = benchmark.of_plan(plan_id)
        best = recommended(own)
        name = f"{best.any.label_beside(own.baseline)}: " if best and len(plans) > 1 else ""
        lines += [f"{name}{line}" for line in (cost_sentence(own), gain_sentence(own)) if line]
    return lines


def cost_sentence(benchmark: BenchmarkFile) -> str:
    """What pruning lost of the metric, by the file that is recommended; empty if not scored."""
    row = recommended_row(benchmark)
    precision = row.precision if row else "fp32"
    pruned = metric_of(benchmark, "pruned", precision) or metric_of(benchmark, "pruned", "fp32")
    unpruned = metric_of(benchmark, "unpruned", "fp32")
    if pruned is None or unpruned is None:
        return ""
    scores = (
        f"cost: {metric_name(benchmark.metric)} {numbers.metric(pruned.value)}, unpruned "
        f"{numbers.metric(unpruned.value)}"
    )
    difference = difference_of(benchmark, "unpruned", pruned.precision)
    if difference is None:
        spans = f"{numbers.span(pruned.low, pruned.high)} and "
        spans += numbers.span(unpruned.low, unpruned.high)
        return f"{scores} ({spans}), on {pruned.samples} test examples"
    found = numbers.signed_with_span(difference.value, difference.low, difference.high)
    meanings = "no significant difference", "significantly better", "a significant loss"
    meaning = meanings[significance(difference)]
    return f"{scores}: {found}, {meaning} on {pruned.samples} test examples"


def gain_sentence(benchmark: BenchmarkFile) -> str:
    """How much faster and smaller the recommended file is; empty if nothing was timed."""
    row = recommended_row(benchmark)
    if row is None:
        return ""
    lower = below_fp32(row.precision, " in ")
    over = [
        f"{speedup_of(interval)} as fast as unpruned {runtime}"
        for interval, runtime in (
            (row.speedup.vs_onnxruntime_unpruned, f"ONNX Runtime{lower}"),
            (row.speedup.vs_pytorch_unpruned, "PyTorch"),
        )
        if interval is not None
    ]
    shape = shape_words(benchmark, row.shape)
    timed = f"{numbers.milliseconds(row.p50_ms)} ms at {shape}"
    sizes = (
        f"{numbers.megabytes(row.bytes)} MB, unpruned "
        f"{numbers.megabytes(benchmark.baseline.bytes)} MB"
    )
    return f"gain: {'; '.join((timed, *over, sizes))} ({row.variant})"


def closing_words(output: Path, frontier: Frontier | None = None) -> str:
    """Where a run's artifacts and their report are and how to use one, for the end of its output.

    Args:
        output: the run's.
        frontier: of several models; the shallowest that nothing beats is the example, or the
            shallowest of all where the unpruned model beats each.
    """
    report = output / "glp/report.html"
    if frontier is None:
        return f"artifact: {output}\nlook:     {report}\nuse it:   {_opening(output)}"
    sweep_variants = [point for point in frontier.points if point.directory]
    example = min(sweep_variants, key=lambda point: (not point.on_frontier, point.layers))
    opening = _opening(output / str(example.directory))
    return f"artifacts: {output}\nlook:      {report}\nuse one:   {opening}"


def _opening(artifact: Path) -> str:
    path = json.dumps(str(artifact), ensure_ascii=False)
    return f"model = glp_export.load({path}), as in {artifact / 'README.md'}"
