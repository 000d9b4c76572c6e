"""Activations made easier to quantise by moving their outliers into the weights (SmoothQuant)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.artifact.onnx_file import OnnxFile, describe, read_graph, write_graph
from glp_export.artifact.session import feeds_for, open_session
from glp_export.core.errors import UsageError
from glp_export.core.scratch import scratch_directory

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

Batch = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class _Product:
    """A matmul with a constant matrix.

    Attributes:
        node: MatMul or Gemm.
        weight: its matrix.
        channels: axis of the matrix that meets the input's channels.
    """

    node: NodeProto
    weight: TensorProto
    channels: int


def smooth_graph(
    model: ModelProto,
    batches: Iterable[Batch],
    *,
    alpha: float = 0.7,
    names: Collection[str] | None = None,
    threads: int = 1,
) -> ModelProto:
    """Divide the inputs of matmuls channel by channel, and multiply their matrices by as much.

    The graph computes what it did. A tensor has one scale for all its channels, so one channel of
    large numbers leaves the others few of the 256 steps; a matrix has a scale for each column of
    its own. Channel j of an input X is divided by max|X_j|^alpha / max|W_j|^(1 - alpha), W_j being
    the row that it meets, over all matmuls of that input (Xiao et al. 2023, arXiv 2211.10438,
    equation 4). The division is a Mul of its own: after a LayerNorm that a residual branch reads as
    well, as in BERT, it cannot be folded away.

    Show it many rows, a thousand rather than a hundred: a channel that is larger one day than it
    was ever seen to be widens the range of its whole tensor, the more so the higher `alpha`.

    Args:
        model: fp32, weights in memory; stays as it is.
        batches: padded inputs, each array (batch, length), on which max|X_j| is taken.
        alpha: share of the difficulty that goes to the weights, 0 to 1.
        names: of the MatMul and Gemm nodes to smooth; None is all whose matrix is constant.
        threads: of the session that runs the batches.

    Returns:
        A changed copy.

    Raises:
        UsageError: `alpha` is out of range, a name is of no such node, or there are no batches.
    """
    import onnx

    if not 0 <= alpha <= 1:
        raise UsageError(f"alpha {alpha} is not between 0 and 1.")
    smoothed = onnx.ModelProto()
    smoothed.CopyFrom(model)
    by_input: dict[str, list[_Product]] = defaultdict(list)
    for matmul in _matmuls(smoothed, names):
        by_input[matmul.node.input[0]].append(matmul)
    largest = _largest_inputs(smoothed, tuple(by_input), batches, threads)
    for tensor, find_matmuls in by_input.items():
        scale = _scale(largest[tensor], find_matmuls, alpha)
        _divide(smoothed, tensor, find_matmuls, scale)
    _drop_unused_weights(smoothed)
    return smoothed


def smooth(
    source: OnnxFile, output: Path, batches: Iterable[Batch], *, threads: int = 1
) -> OnnxFile:
    """Write a smoothed copy of an exported file, which computes the same and quantises better.

    Args:
        source: an fp32 file that is not optimised.
        output: where the copy goes.
        batches: padded inputs, a thousand rows or so.
        threads: of the session that runs them.

    Raises:
        ModelError: the file cannot be read.
        UsageError: there are no batches.
    """
    model = smooth_graph(read_graph(source.path, weights=True), batches, threads=threads)
    return describe(write_graph(model, output))


def _matmuls(model: ModelProto, names: Collection[str] | None) -> list[_Product]:
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    found = []
    for node in model.graph.node:
        if node.op_type not in ("MatMul", "Gemm") or node.input[1] not in weights:
            continue
        flags = {attribute.name: attribute.i for attribute in node.attribute}
        if flags.get("transA") or len(weights[node.input[1]].dims) != 2:
            continue
        if names is None or node.name in names:
            found.append(_Product(node, weights[node.input[1]], flags.get("transB", 0)))
    unknown = set(names or ()) - {matmul.node.name for matmul in found}
    if unknown:
        raise UsageError(
            f"These are no matmuls with a constant matrix: {', '.join(sorted(unknown))}."
        )
    return found


def _largest_inputs(
    model: ModelProto, tensors: tuple[str, ...], batches: Iterable[Batch], threads: int
) -> dict[str, NDArray[np.float32]]:
    """The largest absolute value of every channel of some tensors, over all batches."""
    import onnx

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    present = {output.name for output in watched.graph.output}
    watched.graph.output.extend(
        onnx.ValueInfoProto(name=tensor) for tensor in tensors if tensor not in present
    )
    largest: dict[str, NDArray[np.float32]] = {}
    with scratch_directory("glp-smooth-") as scratch:
        session = open_session(write_graph(watched, scratch / "model.onnx"), threads=threads)
        for batch in batches:
            values = session.run(list(tensors), feeds_for(session, batch))
            for tensor, value in zip(tensors, values, strict=True):
                channels = np.abs(value).reshape(-1, value.shape[-1]).max(axis=0)
                largest[tensor] = np.maximum(largest.get(tensor, channels), channels)
    if tensors and not largest:
        raise UsageError("There are no batches to see activations on.")
    return largest


def _scale(
    largest: NDArray[np.float32], find_matmuls: list[_Product], alpha: float
) -> NDArray[np.float32]:
    from onnx import numpy_helper

    weights = np.max(
        [
            np.abs(numpy_helper.to_array(matmul.weight)).max(axis=1 - matmul.channels)
            for matmul in find_matmuls
        ],
        axis=0,
    )
    usable = (largest > 0) & (weights > 0)
    scale = np.ones_like(largest)
    scale[usable] = largest[usable] ** alpha / weights[usable] ** (1 - alpha)
    return scale


def _divide(
    model: ModelProto, tensor: str, find_matmuls: list[_Product], scale: NDArray[np.float32]
) -> None:
    """Put a Mul before some matmuls of one tensor, and its inverse into their matrices."""
    from onnx import helper, numpy_helper

    graph = model.graph
    factor, divided = f"{tensor}_smoothing", f"{tensor}_smoothed"
    graph.initializer.append(numpy_helper.from_array(1 / scale, factor))
    for matmul in find_matmuls:
        matrix = numpy_helper.to_array(matmul.weight)
        multiplied = matrix * np.expand_dims(scale, 1 - matmul.channels)
        own = f"{matmul.node.name}_smoothed_weight"  # a matrix may serve other matmuls too
        graph.initializer.append(numpy_helper.from_array(multiplied, own))
        matmul.node.input[0], matmul.node.input[1] = divided, own
    first = min(index for index, node in enumerate(graph.node) if divided in node.input)
    node = helper.make_node("Mul", [tensor, factor], [divided], name=f"{tensor}/Smooth")
    graph.node.insert(first, node)


def _drop_unused_weights(model: ModelProto) -> None:
    used = {name for node in model.graph.node for name in node.input}
    used |= {output.name for output in model.graph.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
