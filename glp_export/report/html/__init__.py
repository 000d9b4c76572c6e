"""The report for a browser: one file that needs nothing beside it and no network."""

from __future__ import annotations

from glp_export.report.html.comparison import comparison_page
from glp_export.report.html.material import Material, Rung, material, read_by
from glp_export.report.html.page import page

__all__ = ["Material", "Rung", "comparison_page", "material", "page", "read_by"]
