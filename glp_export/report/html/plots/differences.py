"""The metric of the pruned models less that of the others, in pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glp_export.core import numbers
from glp_export.core.text import capital
from glp_export.report.html.picture import Mark, Plot
from glp_export.report.html.plots.rows import Branch, forest, heights, listed
from glp_export.report.html.theme import CONTENDER_COLOURS, CONTENDER_MARKS
from glp_export.report.measurements import layers_cell
from glp_export.report.model_tables import changed_words
from glp_export.report.tables import Table
from glp_export.report.words import below_fp32, metric_name, significance

if TYPE_CHECKING:
    from glp_export.bench.benchmark_file import BenchmarkFile


def differences(benchmark: BenchmarkFile) -> Plot | None:
    """One row a comparison; None where the benchmark has no paired differences."""
    rows = benchmark.differences
    if not rows:
        return None
    metric = metric_name(benchmark.metric)
    branches = [
        Branch(
            f"{row.label_beside(benchmark.baseline)}{below_fp32(row.precision)}, less {row.less}",
            row,
            CONTENDER_COLOURS[row.less],
            CONTENDER_MARKS[row.less][0],
            hollow=row.precision != "fp32",
        )
        for row in rows
    ]
    return Plot(
        name="differences",
        title=f"What pruning did to {metric}",
        description=f"{metric} of the pruned model less that of another one, with 95 % intervals. "
        + f"{listed(branches)}.",
        caption="Right of the line the pruned model is better. The same test examples are compared "
        "in pairs, so an interval says more than those of the two scores. One that crosses the "
        "line leaves open which is better.",
        table=_table(benchmark, metric),
        legend=tuple(
            Mark(CONTENDER_MARKS[name][1], CONTENDER_COLOURS[name], f"less the {name} model")
            for name in ("unpruned", "distilled")
            if any(row.less == name for row in rows)
        ),
        draw=lambda canvas: forest(canvas, branches, 0.0, f"pruned less the other ({metric})"),
        heights=heights(len(branches)),
    )


def _table(benchmark: BenchmarkFile, metric: str) -> Table:
    return Table.of(
        f"{capital(metric)} of the pruned model less that of the other in fp32, with its "
        "paired 95 % interval.",
        (
            {
                "layers": layers_cell(benchmark, row),
                "precision": row.precision,
                "less": row.less,
                "difference": numbers.signed(row.value),
                "from": numbers.signed(row.low),
                "to": numbers.signed(row.high),
                "the pruned model is": ("no significant difference", "better", "worse")[
                    significance(row)
                ],
                "changed predictions": changed_words(row),
            }
            for row in benchmark.differences
        ),
        words=("precision", "less", "the pruned model is"),
    )
