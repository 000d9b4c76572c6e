"""The report for a browser: one file that needs nothing beside it and no network."""

from __future__ import annotations

from glp_export.report.html.comparison import comparison_page
from glp_export.report.html.page import page
from glp_export.report.html.report_data import ReportData, SweepVariant, read_by, report_data

__all__ = ["ReportData", "SweepVariant", "comparison_page", "page", "read_by", "report_data"]
