"""A documented path of 0.1, kept for 0.2: use `glp_export.gate.pytest_plugin`."""

from __future__ import annotations

import warnings

pytest_plugins = ["glp_export.gate.pytest_plugin"]  # `-p` with the old path loads it, and once

warnings.warn(
    "glp_export.pytest_plugin is now glp_export.gate.pytest_plugin; the old path goes with 0.3",
    DeprecationWarning,
    stacklevel=2,
)
