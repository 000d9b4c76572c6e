"""How a file of each lower precision is built: one builder and one row each."""

from __future__ import annotations

from collections.abc import Callable

from glp_export.precision.fp16 import build_fp16
from glp_export.precision.int8.build import build_int8
from glp_export.precision.job import LowerPrecision, PrecisionJob

BUILDERS: dict[str, Callable[[PrecisionJob], LowerPrecision]] = {
    "int8": build_int8,
    "fp16": build_fp16,
}
"""By name, as given to `--precision`."""
