"""The model card: what was removed, what it cost, what it gained, and how to load the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glp_export.bench.winners import fastest_runtime
from glp_export.compress.compressors import sources_of
from glp_export.core import numbers
from glp_export.core.text import capital, markdown
from glp_export.report import model_tables, pruning, structure
from glp_export.report.card_facts import UNCHANGED, CardFacts
from glp_export.report.hub_metadata import base_name, card_metadata
from glp_export.report.machine_table import machine_line
from glp_export.report.measurements import (
    RUNTIMES,
    Measurement,
    all_measurements,
    device_name,
    recommended,
    shape_title,
    shapes,
)
from glp_export.report.rendering import render
from glp_export.report.summary import summary_lines
from glp_export.report.tables import Column, Quoted, Table
from glp_export.report.warnings import benchmark_warnings
from glp_export.report.words import metric_name, speedup_of
from glp_export.serve.runtimes import ONNX_RUNTIME
from glp_export.serve.runtimes import RUNTIMES as SERVED
from glp_export.tasks import KINDS

if TYPE_CHECKING:
    from glp_export.artifact.parity_report import ParityReport
    from glp_export.bench.benchmark_file import BenchmarkFile
    from glp_export.compress.plan import Plan


def card_text(plan: Plan, benchmark: BenchmarkFile, parity: ParityReport, facts: CardFacts) -> str:
    """The card as Markdown with its YAML front matter.

    Args:
        plan: what was removed.
        benchmark: scores and latencies of all models.
        parity: of the pruned model's files.
        facts: everything else.
    """
    best = recommended(benchmark)
    runtime = fastest_runtime(benchmark, benchmark.baseline.provider)
    shipped = structure.shipped_prediction(plan, benchmark, facts.latency_table)
    return render(
        "card.md.jinja",
        facts=facts,
        kind=KINDS[facts.kind],
        unchanged=facts.recover == UNCHANGED,
        plan=plan,
        base=base_name(plan),
        sources=sources_of([plan]),
        metadata=card_metadata(plan, benchmark, facts),
        labels=numbers.few(facts.labels),
        warnings=[
            *(markdown(note, 1000) for note in facts.data_notes),
            *benchmark_warnings(benchmark, every_difference=True),
        ],
        transfer=[markdown(capital(line), 1000) for line in facts.transfer],
        benchmark=benchmark,
        tables=model_tables,
        pruning=pruning,
        structure=structure,
        predicted=shipped and structure.prediction_words(shipped),
        summary=summary_lines(benchmark),
        metric=metric_name(benchmark.metric),
        precisions=model_tables.precisions_table(
            [("", entry) for entry in facts.precisions], benchmark.metric
        ),
        parity=model_tables.parity_rows((file.label, file) for file in parity.files),
        optimised=len(parity.in_onnxruntime) > 1,
        other_scores=_other_scores(benchmark, facts),
        latencies=_latencies(benchmark, best),
        file=best.any.variant if best else "model.onnx",
        provider=benchmark.baseline.provider,
        device=device_name(benchmark, benchmark.baseline.provider),
        machine=machine_line(benchmark.machine),
        runtime=None if runtime == ONNX_RUNTIME else SERVED[runtime],
    )


def _other_scores(benchmark: BenchmarkFile, facts: CardFacts) -> Table:
    return Table.of(
        "Further scores.",
        (
            {
                "further score on": Quoted(score.split),
                "model": score.contender,
                "metric": metric_name(score.metric or benchmark.metric),
                "value": numbers.metric(score.value),
                "95 % interval": numbers.span(score.low, score.high),
                "examples": str(score.samples),
            }
            for score in facts.other_scores
        ),
        words=("model", "metric"),
    )


def _latencies(benchmark: BenchmarkFile, best: Measurement | None) -> Table:
    """One row a shape: every series' median, and the recommended file's speedups."""
    series = all_measurements(benchmark, benchmark.baseline.provider)
    rows = []
    for shape in shapes(benchmark):
        found = best.rows[shape].speedup if best and shape in best.rows else None
        rows.append(
            (
                shape_title(shape),
                *(one.median(shape) or numbers.MISSING for one in series),
                str(speedup_of(found.vs_pytorch_unpruned if found else None)),
                str(speedup_of(found.vs_onnxruntime_unpruned if found else None)),
                _fastest(benchmark, shape),
            )
        )
    titles = (
        *(f"{one.any.contender}, {one.called(' ')}" for one in series),
        *("speedup over PyTorch unpruned", "over ONNX Runtime unpruned"),
    )
    return Table(
        "Median milliseconds a batch, and the recommended file's speedups.",
        (
            Column("batch × length", numeric=False),
            *map(Column, titles),
            Column("fastest file", numeric=False),
        ),
        tuple(rows),
    )


def _fastest(benchmark: BenchmarkFile, shape: str) -> str:
    """The winner at a shape, "significantly" where its lead over the runner-up excludes 1."""
    for winner in benchmark.winners:
        if (winner.provider, winner.shape) == (benchmark.baseline.provider, shape):
            significant = winner.lead is not None and winner.lead.low > 1
            other = winner.runtime in SERVED and winner.runtime != ONNX_RUNTIME
            where = f" in {RUNTIMES[winner.runtime][0]}" if other else ""
            return f"`{winner.variant}`{where}{', significantly' if significant else ''}"
    return numbers.MISSING
