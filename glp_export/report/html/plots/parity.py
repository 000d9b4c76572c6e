"""How far each file's logits are from PyTorch's, beside what is tolerated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from glp_export.core import numbers
from glp_export.report.html.picture import Canvas, Mark, Plot, dot, x_label
from glp_export.report.html.plots.rows import half_row, heights, row_axes
from glp_export.report.html.theme import placeholder
from glp_export.report.model_tables import parity_rows

if TYPE_CHECKING:
    from glp_export.artifact.parity_report import FileParity
    from glp_export.report.html.report_data import ReportData

    NamedFile = tuple[str, FileParity]


def parity(report_data: ReportData) -> Plot | None:
    """One row a file: mean and largest difference, the worst probe, and the tolerance."""
    files = report_data.named_files()
    if not files:
        return None
    return Plot(
        name="parity",
        title="Differences from the PyTorch model",
        description="Largest difference of a logit, by file. " + "; ".join(map(_said, files)) + ".",
        caption="Differences of logits between each ONNX file and the PyTorch model, on test "
        "examples in padded batches and on shapes that break careless exports. The upright line "
        "is what is tolerated at a logit of 0; larger logits may differ by more. int8 has none: "
        "rounding moves logits, and the metric judges it.",
        table=parity_rows(files),
        legend=(
            Mark("○", "accent", "mean"),
            Mark("●", "accent", "largest"),
            Mark("▲", "distilled", "worst odd shape"),
            Mark("|", "ink", "tolerance"),
        ),
        draw=lambda canvas: _draw(canvas, files),
        heights=heights(len(files)),
    )


def _draw(canvas: Canvas, files: Sequence[NamedFile]) -> None:
    names = [(name, "ink" if file.passed else "bad") for name, file in files]
    axes = row_axes(canvas, names)
    axes.set_xscale("log")
    seen = [value for _, file in files for value in _values(file) if value]
    low, high = (min(seen), max(seen)) if seen else (1e-7, 1e-3)
    floor = 10.0 ** np.floor(np.log10(low) - 0.3)
    axes.set_xlim(floor, 10.0 ** np.ceil(np.log10(high) + 0.3))
    for number, (_, file) in enumerate(files):
        mean, largest, probe, tolerance = _values(file)
        if mean is not None and largest is not None:
            ends = max(mean, floor), max(largest, floor)
            axes.hlines(number, *ends, color=placeholder("accent"), linewidth=1.3)
        for value, marker, colour, hollow in (
            (mean, "o", "accent", True),
            (probe, "^", "distilled", False),
            (largest, "o", "accent", False),
        ):
            if value is not None:
                place = max(value, floor), number
                dot(axes, place, marker, colour, hollow=hollow, size=8, edge=1.6, clip_on=False)
        if tolerance is not None:
            tall = half_row(canvas)
            axes.vlines(
                tolerance, number - tall, number + tall, color=placeholder("ink"), linewidth=2
            )
    axes.xaxis.set_major_formatter(lambda value, _: _power(value))
    axes.minorticks_off()
    x_label(axes, "difference of a logit (logits, logarithmic)")


def _values(file: FileParity) -> tuple[float | None, float | None, float | None, float | None]:
    """Mean, largest, worst probe and tolerance; None where there is none."""
    probes = [probe.max_abs for probe in file.probes if probe.max_abs is not None]
    return file.mean_abs, file.max_abs, max(probes, default=None), file.atol


def _power(value: float) -> str:
    """A power of ten in letters that every font has: 1e-6."""
    return f"{value:.0e}".replace("e-0", "e−").replace("e+0", "e").replace("e-", "e−")


def _said(named: NamedFile) -> str:
    name, file = named
    bound = "no tolerance" if file.atol is None else f"{file.atol:g} tolerated"
    verdict = "passed" if file.passed else "failed"
    return f"{name}: {numbers.tiny(file.max_abs)}, {bound}, {verdict}"
