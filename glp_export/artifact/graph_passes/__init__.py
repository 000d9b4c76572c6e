"""Graphs that compute the same numbers in less time, in operators of the ONNX standard only."""

from __future__ import annotations

from glp_export.artifact.graph_passes.passes import PASSES

__all__ = ["PASSES"]
