"""An ONNX file on disk: what is in it, how it is written, and how it moves with its sidecar."""

from __future__ import annotations

import math
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from glp_export.core.errors import ModelError

if TYPE_CHECKING:
    from onnx import ModelProto

FUSED_OPERATORS = (
    "Attention",
    "MultiHeadAttention",
    "EmbedLayerNormalization",
    "SkipLayerNormalization",
    "LayerNormalization",
    "BiasGelu",
    "Gelu",
    "FastGelu",
)
"""Operators that stand for several simpler ones, in the order in which tables show them."""

SIDECAR_THRESHOLD = 2_000_000_000
"""Bytes of weights past which they go into a sidecar: protobuf itself stops at 2**31."""

_SIDECAR_MINIMUM = 1024
"""Bytes below which a tensor stays in the graph: shapes and axes are read while it is loaded."""

PLAIN = "none"
"""The level of a file that nothing optimised: standard operators."""


@dataclass(frozen=True)
class OnnxFile:
    """One ONNX file and what was done to it.

    Attributes:
        path: the graph; its weights stand beside it in `sidecar(path)` when they are large.
        precision: the arithmetic of its large matrix products, "fp32".
        optimisation: `PLAIN`, or the level of `optimise.LEVELS` that made it.
        opset: version of the standard operator set; 0 where the graph uses none of it.
        nodes: number of nodes in the main graph.
        fusions: how often each of `FUSED_OPERATORS` occurs; those that do not are left out.
    """

    path: Path
    precision: str
    optimisation: str
    opset: int
    nodes: int
    fusions: Mapping[str, int] = field(default_factory=dict)

    @property
    def variant(self) -> str:
        """The file's name, as tables show it."""
        return self.path.name

    @property
    def bytes(self) -> int:
        """Size on disk, sidecar included."""
        return sum(part.stat().st_size for part in parts(self.path))


def opset_of(model: ModelProto) -> int:
    """The version of the standard operator set; 0 where the graph uses none of it."""
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    return max(versions, default=0)


def sidecar(path: Path) -> Path:
    """The file beside a large graph that holds its weights, under the name that loaders expect."""
    return path.with_name(path.name + "_data")


def parts(path: Path) -> list[Path]:
    """The files that make up one ONNX file: the graph and, if there is one, its sidecar."""
    return [part for part in (path, sidecar(path)) if part.is_file()]


def read_graph(path: Path, *, weights: bool = False) -> ModelProto:
    """Read a graph, by default without the weights that lie in a sidecar.

    Raises:
        ModelError: there is no such file, it is not an ONNX file, or its sidecar is missing.
    """
    import onnx

    if not path.is_file():
        raise ModelError("There is no such ONNX file.", where=str(path))
    try:
        model = onnx.load(str(path), load_external_data=weights)
    except Exception as error:  # protobuf's and onnx's own types, which differ between versions
        raise ModelError(
            f"The ONNX file cannot be read: {error}",
            where=str(path),
            fix="Export it again; a copy that broke off is the usual reason.",
        ) from error
    if not model.graph.node:
        raise ModelError("The file holds no ONNX graph.", where=str(path), fix="Export it again.")
    return model


def describe(
    path: Path,
    *,
    precision: str = "fp32",
    optimisation: str = PLAIN,
    graph: ModelProto | None = None,
) -> OnnxFile:
    """Look at an ONNX file and count what is in it.

    Args:
        path: of the file.
        precision: what it says of itself.
        optimisation: likewise.
        graph: what was written there, where that is at hand; else the file is read.

    Raises:
        ModelError: the file cannot be read.
    """
    model = graph or read_graph(path)
    operators = Counter(node.op_type for node in model.graph.node)
    return OnnxFile(
        path=path,
        precision=precision,
        optimisation=optimisation,
        opset=opset_of(model),
        nodes=len(model.graph.node),
        fusions={name: operators[name] for name in FUSED_OPERATORS if operators[name]},
    )


def write_graph(model: ModelProto, path: Path, *, threshold: int | None = None) -> Path:
    """Write a graph whose weights are in memory.

    Past `threshold` bytes, by default `SIDECAR_THRESHOLD`, they go into a sidecar, and are no
    longer in `model`.
    """
    import onnx

    path.parent.mkdir(parents=True, exist_ok=True)
    remove(path)  # onnx appends to a sidecar that is already there
    if weight_bytes(model) <= (SIDECAR_THRESHOLD if threshold is None else threshold):
        onnx.save(model, str(path))
        return path
    onnx.save(
        model,
        str(path),
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=sidecar(path).name,
        size_threshold=_SIDECAR_MINIMUM,
    )
    return path


def weight_bytes(model: ModelProto) -> int:
    """Size of the tensors of a graph, wherever they lie.

    Not `ModelProto.ByteSize`: protobuf serialises the graph for that, which it cannot past 2 GB.
    """
    from onnx.helper import tensor_dtype_to_np_dtype

    attributes = (attribute for node in model.graph.node for attribute in node.attribute)
    tensors = [*model.graph.initializer, *(found.t for found in attributes if found.HasField("t"))]
    return sum(
        math.prod(tensor.dims) * tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        for tensor in tensors
    )


def relocate(file: OnnxFile, path: Path, *, move: bool = False) -> OnnxFile:
    """Copy or move an ONNX file; its sidecar follows, and the graph points to the new name.

    The weights themselves are never read into memory.
    """
    import onnx
    from onnx.external_data_helper import uses_external_data

    path.parent.mkdir(parents=True, exist_ok=True)
    remove(path)
    transfer = shutil.move if move else shutil.copyfile
    if not sidecar(file.path).is_file():
        transfer(file.path, path)
        return replace(file, path=path)
    model = read_graph(file.path)
    transfer(sidecar(file.path), sidecar(path))
    for tensor in model.graph.initializer:
        if uses_external_data(tensor):
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = sidecar(path).name
    onnx.save(model, str(path))
    if move:
        file.path.unlink()
    return replace(file, path=path)


def place(source: Path, path: Path) -> None:
    """Move a file of the same name into a directory on the same disk, the graph last.

    So a graph that is there is whole, whenever the move was cut short.
    """
    remove(path)
    if sidecar(source).is_file():
        sidecar(source).replace(sidecar(path))
    source.replace(path)


def remove(path: Path) -> None:
    """Delete an ONNX file and its sidecar, where they exist."""
    for part in (path, sidecar(path)):
        part.unlink(missing_ok=True)
