"""What people read: tables for the terminal and the model card, and progress.

Functions return what is shown; `progress` alone draws.
"""

from __future__ import annotations

from glp_export.report.benchmark_view import benchmark_table
from glp_export.report.card import card_text
from glp_export.report.card_facts import CardFacts, OtherScore
from glp_export.report.frontier import frontier_table, sweep_text
from glp_export.report.inspect_view import artifact_view, plan_view
from glp_export.report.machine_table import machine_table
from glp_export.report.model_tables import parity_table
from glp_export.report.summary import closing_words, summary_lines
from glp_export.report.warnings import benchmark_warnings

__all__ = [
    "CardFacts",
    "OtherScore",
    "artifact_view",
    "benchmark_table",
    "benchmark_warnings",
    "card_text",
    "closing_words",
    "frontier_table",
    "machine_table",
    "parity_table",
    "plan_view",
    "summary_lines",
    "sweep_text",
]
