"""The plots of a report, one a file; each gives None where there is nothing to draw."""

from __future__ import annotations

from glp_export.report.html.plots.differences import differences
from glp_export.report.html.plots.distributions import distributions
from glp_export.report.html.plots.frontier import accuracy_against_latency
from glp_export.report.html.plots.heat_map import heat_map
from glp_export.report.html.plots.parity import parity
from glp_export.report.html.plots.structure import predictions, structure

__all__ = [
    "accuracy_against_latency",
    "differences",
    "distributions",
    "heat_map",
    "parity",
    "predictions",
    "structure",
]
