"""Why a file may compute something else, for a report that says that it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from glp_export.artifact.onnx_file import OnnxFile
from glp_export.artifact.optimise import LEVELS
from glp_export.artifact.probes import Case
from glp_export.artifact.reference import Reference

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def approximated(file: OnnxFile) -> tuple[str, ...]:
    """A reason why numbers may differ: a level that trades exactness for speed."""
    level = LEVELS.get(file.optimisation)
    if level is None or not level.gelu_approximation:
        return ()
    return (f"{file.optimisation} approximates Gelu; O2 has the same fusions and is exact",)


def unread(
    session: InferenceSession, cases: Sequence[Case], reference: Reference
) -> tuple[str, ...]:
    """A reason why numbers may differ: segments that the model reads and the graph cannot."""
    name = "token_type_ids"
    if name in {node.name for node in session.get_inputs()} or name not in reference.inputs:
        return ()
    if not any(name in case.batch and case.batch[name].any() for case in cases):
        return ()
    return (f"the graph has no input {name}, which the model reads and these rows use",)
