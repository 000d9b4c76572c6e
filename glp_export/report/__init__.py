"""What people read: tables for the terminal and the model card. Functions return, none prints."""

from __future__ import annotations

from glp_export.report.card import write_card
from glp_export.report.card_facts import (
    CardFacts,
    MetricDifference,
    OtherScore,
    differences_of,
)
from glp_export.report.frontier import frontier_table, write_sweep_readme
from glp_export.report.inspect_view import artifact_view, plan_view
from glp_export.report.machine_table import machine_table
from glp_export.report.parity_table import parity_table
from glp_export.report.snippets import closing_words
from glp_export.report.table import benchmark_table

__all__ = [
    "CardFacts",
    "MetricDifference",
    "OtherScore",
    "artifact_view",
    "benchmark_table",
    "closing_words",
    "differences_of",
    "frontier_table",
    "machine_table",
    "parity_table",
    "plan_view",
    "write_card",
    "write_sweep_readme",
]
