"""Integer weights and matmuls: an exported float file becomes an int8 file for CPUs."""

from __future__ import annotations

from glp_export.precision.int8.calibrate import MINIMUM_ROWS
from glp_export.precision.int8.matmuls import MatMul, find_matmuls
from glp_export.precision.int8.quantise import NARROW, any_ranges, quantise, ranges_of
from glp_export.precision.int8.recipe import Int8Recipe
from glp_export.precision.int8.smoothquant import smooth

__all__ = [
    "MINIMUM_ROWS",
    "NARROW",
    "Int8Recipe",
    "MatMul",
    "any_ranges",
    "find_matmuls",
    "quantise",
    "ranges_of",
    "smooth",
]
