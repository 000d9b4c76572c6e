"""Heads, neurons, sublayers and whole layers, chosen together by a measured latency table."""

from glp_export.compress.compressors.structure.compressor import STRUCTURE, StructureCompressor
from glp_export.compress.compressors.structure.options import StructureOptions

__all__ = ["STRUCTURE", "StructureCompressor", "StructureOptions"]
