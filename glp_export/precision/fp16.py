"""Half-precision copies of an ONNX file, for GPUs: fp16 where it is sound, fp32 where it must be.

ONNX Runtime's own converter (`onnxruntime.transformers.float16`) does the work. What it does not
know is which constants of an encoder are masks and which numbers are positions.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.artifact.graph_passes.graph import name_nodes
from glp_export.artifact.modules import name_of
from glp_export.artifact.onnx_file import PLAIN, OnnxFile, describe, read_graph, write_graph
from glp_export.artifact.output_place import writing
from glp_export.artifact.variants import VARIANTS
from glp_export.core.errors import ModelError, UsageError
from glp_export.core.quiet import quiet
from glp_export.precision.job import LowerPrecision, PrecisionJob
from glp_export.precision.record import PrecisionEntry

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, TensorProto

    from glp_export.artifact.modules import Source

logger = logging.getLogger(__name__)

LARGEST = 65504.0
"""The largest finite fp16 number."""

MASKED = -1e4
"""What a masked score gets instead of float32's lowest number, which is -inf in fp16.

It is the default of com.microsoft.Attention's `mask_filter_value`. Its exponential is 0 beside any
score, and several added to a score stay finite: a row in which every score is -inf becomes NaN.
"""

EXACT_SEEDS = ("Cos", "Sin", "Log")
"""Operators on positions (rotary angles, logarithmic buckets): exact in fp32, wrong in fp16."""

NO_BF16 = (
    "ONNX Runtime cannot be given a sound bf16 file: its converter writes fp16 only, its CPU "
    "provider has no bf16 MatMul, so that the file could not be checked against PyTorch here, and "
    "EmbedLayerNormalization has no bf16 kernel on CUDA"
)


def to_fp16(
    source: OnnxFile,
    output: Path,
    precision: str,
    model: Source,
    *,
    keep_float: Sequence[str] = (),
    sidecar_threshold: int | None = None,
) -> OnnxFile:
    """Write an fp16 copy of a plain or fused fp32 file; inputs and outputs keep their types.

    Token ids stay int64, logits float32. Of a fused file (O2, O3) the copy is what optimum calls
    O4. Masks are clamped to `MASKED`; positions are computed in fp32 up to the numbers that go
    into the network.

    The CPU provider runs such a file in fp32 wherever it has no fp16 kernel, MatMul among them. So
    a check on the CPU shows what rounding the weights costs and whether masks hold; a sum that
    overflows between two operators may show on a GPU only.

    Args:
        source: a file of precision fp32.
        output: where the copy goes.
        precision: "fp16". "bf16" is refused, with the reason.
        model: what the file was exported from, for errors.
        keep_float: operators to leave in fp32, between Casts, beside those that have to be.
        sidecar_threshold: bytes of weights past which they go to a sidecar; None as `write_graph`.

    Raises:
        ModelError: a weight is beyond fp16's range, an operator in `keep_float` does not occur, or
            the converter fails.
        OutputError: the copy cannot be written.
        UsageError: another precision, or a source that is not fp32.
    """
    _require_sensible(source, precision)
    graph = read_graph(source.path, weights=True)
    absent = sorted(set(keep_float) - {node.op_type for node in graph.graph.node})
    if absent:
        raise ModelError(
            f"The graph has no {', '.join(absent)} to keep in fp32.", where=str(source.path)
        )
    name_nodes(graph.graph)
    masks = clamp_masks(graph.graph, where=f"{source.path}, exported from {name_of(model)}")
    exact = exact_nodes(graph.graph)
    logger.info("fp16: %d masks clamped, %d nodes on positions stay fp32", masks, len(exact))
    with writing(output.parent):
        try:
            converted = _converted(graph, keep_float, exact)
        except Exception as error:  # asserts and KeyErrors of the converter, by the graph
            raise ModelError(
                f"The graph cannot be converted to fp16: {error!r}",
                where=str(source.path),
                fix="Convert the plain export (--optimize none), or ship fp32.",
            ) from error
        write_graph(converted, output, threshold=sidecar_threshold)
    return describe(output, precision=precision, optimisation=source.optimisation)


def clamp_masks(graph: GraphProto, *, where: str = "") -> int:
    """Set every scalar beyond fp16's range to ±`MASKED`'s size; returns how many there were.

    A scalar that large is a mask: float32's lowest number, or infinity.

    Raises:
        ModelError: a whole tensor holds such numbers: weights, which cannot be rounded to fp16.
    """
    import numpy as np
    from onnx import TensorProto, numpy_helper

    found = 0
    for tensor in _constants(graph):
        if tensor.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        beyond = np.abs(values) > LARGEST
        if not beyond.any():
            continue
        if values.size > 1:
            raise ModelError(
                f"{tensor.name or 'a constant'} holds {int(beyond.sum())} numbers beyond "
                f"±{LARGEST:g}, which fp16 cannot hold.",
                where=where,
                fix="Ship fp32 instead: such weights usually come from a diverged training.",
            )
        clamped = (np.sign(values) * -MASKED).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(clamped, tensor.name))
        found += 1
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name == "mask_filter_value" and attribute.f < -LARGEST:
                attribute.f = MASKED
                found += 1
    return found


def exact_nodes(graph: GraphProto) -> set[str]:
    """Names of the nodes whose numbers are positions: all that feeds `EXACT_SEEDS` or an index.

    An index is a float that is cast to an integer: MPNet and DeBERTa bucket their positions so.
    Rounded to fp16, a neighbouring bucket is looked up.
    """
    from onnx import TensorProto

    integers = {TensorProto.INT32, TensorProto.INT64}
    producer = {output: node for node in graph.node for output in node.output}
    waiting = [
        node
        for node in graph.node
        if node.op_type in EXACT_SEEDS
        or (node.op_type == "Cast" and node.attribute[0].i in integers)
    ]
    found: set[str] = set()
    while waiting:
        node = waiting.pop()
        # A shape is an integer whatever the precision of what it is the shape of.
        if node.name in found or node.op_type == "Shape":
            continue
        found.add(node.name)
        waiting += [producer[name] for name in node.input if name in producer]
    return found


def _converted(model: ModelProto, keep_float: Sequence[str], exact: set[str]) -> ModelProto:
    """The fp16 graph with all its weights in memory."""
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST
    from onnxruntime.transformers.onnx_model import OnnxModel

    wrapped: Any = OnnxModel(model)
    with quiet():
        wrapped.convert_float_to_float16(
            keep_io_types=True,
            op_block_list=[*DEFAULT_OP_BLOCK_LIST, *keep_float],
            node_block_list=sorted(exact),
        )
        _drop_repeated(wrapped.model.graph)
        wrapped.topological_sort()
    converted: ModelProto = wrapped.model
    return converted


def _drop_repeated(graph: GraphProto) -> None:
    """Delete the Casts that the converter writes once for every fp32 reader of one number."""
    seen: set[str] = set()
    for node in list(graph.node):
        if node.op_type == "Cast" and node.output[0] in seen:
            graph.node.remove(node)
        seen.update(node.output)


def _require_sensible(source: OnnxFile, precision: str) -> None:
    if precision == "bf16":
        raise UsageError(
            NO_BF16, where="--precision bf16", fix="Use fp16 on a GPU, int8 or fp32 on a CPU."
        )
    if precision != "fp16":
        raise UsageError(f"There is no half precision {precision!r}.", fix="Use fp16.")
    if source.precision != "fp32":
        raise UsageError(
            f"{source.path} is {source.precision} already.", fix="Convert the fp32 file."
        )


def _constants(graph: GraphProto) -> Iterator[TensorProto]:
    """Every tensor that the graph itself holds."""
    from onnx import AttributeProto

    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.TENSOR:
                yield attribute.t


def build_fp16(job: PrecisionJob) -> LowerPrecision:
    """Convert the contender's fastest fp32 file.

    Raises:
        ModelError: the graph cannot be converted.
    """
    source = job.chosen
    job.work.mkdir(parents=True, exist_ok=True)
    name = VARIANTS["fp16"].file_name
    file = to_fp16(source, job.work / name, "fp16", job.checkpoint)
    graph = "plain" if source.optimisation == PLAIN else source.optimisation
    recipe = f"fp16 from the {graph} graph"
    return LowerPrecision(file, PrecisionEntry(precision="fp16", file=name, recipe=recipe))
