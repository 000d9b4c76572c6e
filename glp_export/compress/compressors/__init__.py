"""The compressors: one file or folder each, and one row in `COMPRESSORS`."""

from __future__ import annotations

from glp_export.compress.compressors.base import Compressor
from glp_export.compress.compressors.structure import STRUCTURE

COMPRESSORS: dict[str, Compressor] = {row.name: row for row in (STRUCTURE,)}
"""By name, as given to `--compress`. Whole layers are chosen by the strategies of `--search`."""
