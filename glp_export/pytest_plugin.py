"""A documented path of 0.1, kept for 0.2: use `glp_export.gate.pytest_plugin`."""

from __future__ import annotations

import warnings

from glp_export.gate.pytest_plugin import (
    latency_ratio,
    pytest_addoption,
    pytest_collect_file,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_runtest_protocol,
    takes_time,
)

__all__ = [
    "latency_ratio",
    "pytest_addoption",
    "pytest_collect_file",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_runtest_protocol",
    "takes_time",
]

warnings.warn(
    "glp_export.pytest_plugin is now glp_export.gate.pytest_plugin; the old path goes with 0.3",
    DeprecationWarning,
    stacklevel=2,
)
