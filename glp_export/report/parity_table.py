"""A parity report on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from glp_export.core import numbers
from glp_export.core.tables import Fitting, titled_table, without

if TYPE_CHECKING:
    from glp_export.artifact.parity_report import FileParity, ParityReport, Probe


def parity_table(report: ParityReport) -> RenderableType:
    """One row a file: how far its logits are from PyTorch's, and whether that passes."""
    table = titled_table("parity with PyTorch")
    table.add_column("file", no_wrap=True)
    for name in ("rows", "max |Δ|", "mean |Δ|", "worst\nshape", "same\nlabel"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict")
    for file in report.files:
        table.add_row(
            file.variant,
            str(file.samples),
            numbers.tiny(file.max_abs),
            numbers.tiny(file.mean_abs),
            worst_shape(file).replace(" at ", "\nat "),
            agreement(file),
            Text("passed", "green") if file.passed else Text("failed", "red"),
        )
    failures = [
        Text(f"✗ {file.variant}: {failure}", style="red")
        for file in report.files
        for failure in file.failures
    ]
    narrow = without(table, "mean |Δ|", "rows")
    return Group(Fitting([table], [narrow]), *failures)


def worst_shape(file: FileParity) -> str:
    """The probe that differs most, `3.1e-07 at 3×17`; a dash without probes."""
    probe = max(file.probes, key=_difference, default=None)
    if probe is None:
        return numbers.MISSING
    return f"{numbers.tiny(probe.max_abs)} at {probe.batch_size}×{probe.sequence_length}"


def agreement(file: FileParity) -> str:
    """Share of rows with the same label; a dash for regression."""
    if file.label_agreement is None:
        return numbers.MISSING
    # 99.96 % is not 100 %: the rounding must not hide a flip.
    share = 100 * file.label_agreement
    return "100 %" if share == 100 else f"{min(share, 99.99):.2f} %"


def _difference(probe: Probe) -> float:
    """A difference that could not be computed is worse than any."""
    return float("inf") if probe.max_abs is None else probe.max_abs
