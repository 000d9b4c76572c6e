"""A documented path of 0.1, kept for 0.2: use `glp_export.core.errors`."""

from __future__ import annotations

import warnings

from glp_export.core.errors import (
    AccuracyError,
    DataError,
    DeviceError,
    GlpError,
    HubError,
    LatencyError,
    ModelError,
    OutputError,
    ParityError,
    UsageError,
)

__all__ = [
    "AccuracyError",
    "DataError",
    "DeviceError",
    "GlpError",
    "HubError",
    "LatencyError",
    "ModelError",
    "OutputError",
    "ParityError",
    "UsageError",
]

warnings.warn(
    "glp_export.errors is now glp_export.core.errors; the old path goes with 0.3",
    DeprecationWarning,
    stacklevel=2,
)
