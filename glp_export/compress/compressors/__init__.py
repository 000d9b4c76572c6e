"""The compressors: one file or folder each, and one row in `COMPRESSORS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.compress.compressors.layers.options import LayerOptions
from glp_export.compress.compressors.structure.options import StructureOptions

if TYPE_CHECKING:
    from pydantic import BaseModel

    from glp_export.compress.compressors.base import Compressor


@dataclass(frozen=True)
class Row:
    """A compressor by its options; the rest is imported where it is used, not for `--help`.

    Attributes:
        options: flags, keys of run.yaml and docs are made from its fields.
        load: imports the compressor.
    """

    options: type[BaseModel]
    load: Callable[[], Compressor]


def _layers() -> Compressor:
    from glp_export.compress.compressors.layers.compressor import LAYERS

    return LAYERS


def _structure() -> Compressor:
    from glp_export.compress.compressors.structure.compressor import STRUCTURE

    return STRUCTURE


COMPRESSORS = {
    "layers": Row(LayerOptions, _layers),
    "structure": Row(StructureOptions, _structure),
}
"""By name, as given to `--compress`."""
