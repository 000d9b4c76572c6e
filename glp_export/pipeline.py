"""A documented path of 0.1, kept for 0.2: use `glp_export.workflows.prune_and_export`."""

from __future__ import annotations

import warnings

from glp_export.workflows.prune_and_export import RunResult

__all__ = ["RunResult"]

warnings.warn(
    "glp_export.pipeline is now glp_export.workflows.prune_and_export; the old path goes with 0.3",
    DeprecationWarning,
    stacklevel=2,
)
