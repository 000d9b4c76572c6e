"""A documented path of 0.1, kept for 0.2: use `glp_export.compress.plan`."""

from __future__ import annotations

import warnings

from glp_export.compress.plan import Plan

__all__ = ["Plan"]

warnings.warn(
    "glp_export.search.plan is now glp_export.compress.plan; the old path goes with 0.3",
    DeprecationWarning,
    stacklevel=2,
)
