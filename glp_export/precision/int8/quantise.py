"""From an exported float file to an int8 one."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from glp_export.artifact.graph_passes.graph import GraphView
from glp_export.artifact.graph_passes.passes import PASSES
from glp_export.artifact.modules import config_of, shape_of_source
from glp_export.artifact.onnx_file import OnnxFile, describe, read_graph, write_graph
from glp_export.artifact.output_place import writing
from glp_export.core.errors import ModelError, UsageError
from glp_export.precision.int8.calibrate import activation_ranges
from glp_export.precision.int8.matmuls import Located, locate
from glp_export.precision.int8.qdq import activations_of, to_qdq
from glp_export.precision.int8.recipe import FULL, Int8Recipe
from glp_export.precision.int8.rewrite import PER_AXIS, Ranges, Rewriter

if TYPE_CHECKING:
    import numpy as np
    from onnx import ModelProto

    from glp_export.artifact.modules import Source

    Batch = Mapping[str, np.ndarray[Any, Any]]

logger = logging.getLogger(__name__)

_MOVES = frozenset({"Cast", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
"""Operators that leave values as they are."""

NARROW = 16
"""Columns below which a matmul stays in float: integers save no time on a classifier's labels."""


def quantise(
    source: OnnxFile,
    output: Path,
    model: Source,
    recipe: Int8Recipe = Int8Recipe(),  # noqa: B008 - frozen
    *,
    batches: Sequence[Batch] = (),
    ranges: Ranges | None = None,
    sidecar_threshold: int | None = None,
) -> OnnxFile:
    """Write an int8 copy of an exported file, for ONNX Runtime on CPUs with 8-bit dot products.

    Weights are signed, activations unsigned bytes, as VNNI multiplies them; on x86 without it
    (AVX2 alone) sums of such products saturate. Inputs and outputs keep names, types and dynamic
    dimensions. Sums, softmax, LayerNorm and Gelu stay in float32, as do matmuls with fewer than
    `NARROW` columns. Full scope writes standard operators alone, which other runtimes compute in
    integers too.

    Args:
        source: an fp32 file that is not optimised.
        output: where the copy goes.
        model: what the file was exported from: its configuration says how many layers there are.
        recipe: what is quantised, and how.
        batches: padded model inputs by name, `(batch, length) int64`; for static quantisation.
        ranges: of `ranges_of` for this source and recipe, where they are known.
        sidecar_threshold: bytes of weights past which they go to a sidecar; None as `write_graph`.

    Raises:
        DataError: static quantisation got too few different rows.
        ModelError: the file cannot be read, or there is nothing in it to quantise.
        OutputError: the copy cannot be written.
        UsageError: the recipe names what does not exist, or the source is not a plain fp32 file.
    """
    graph, located = _read(source, recipe)
    _compare_depth(located, model)
    chosen = _chosen(located, recipe, source.path)
    with writing(output.parent):
        if recipe.mode == "static" and ranges is None:
            ranges = _ranges(graph, chosen, batches, recipe, output)
        if recipe.scope == FULL:
            graph = to_qdq(graph, chosen, ranges or {})
        else:
            Rewriter(graph, per_channel=recipe.per_channel, ranges=ranges).apply(chosen)
        write_graph(graph, output, threshold=sidecar_threshold)
    scope = "full" if recipe.scope == FULL else recipe.mode
    return describe(
        output, precision="int8", optimisation=f"{scope} int8, {recipe.form}", graph=graph
    )


def ranges_of(
    source: OnnxFile, recipe: Int8Recipe, batches: Sequence[Batch], scratch: Path
) -> Ranges:
    """The ranges of everything that a static recipe can quantise, to build several files with.

    Args and errors as of `quantise`; `scratch` is a name for the graph that is run.
    """
    graph, located = _read(source, recipe)
    return _ranges(graph, located, batches, recipe, scratch)


def any_ranges(source: OnnxFile, recipe: Int8Recipe) -> Ranges:
    """A range for everything that a static recipe can quantise, to know the bytes of its file.

    Errors as of `quantise`.
    """
    graph, located = _read(source, recipe)
    return dict.fromkeys(_measured(graph, located, recipe), (-1.0, 1.0))


def _measured(graph: ModelProto, chosen: Sequence[Located], recipe: Int8Recipe) -> Sequence[str]:
    """The tensors whose ranges a recipe needs."""
    if recipe.scope == FULL:
        return activations_of(GraphView(graph), chosen)
    read = (n.input[0] for one in chosen for n in one.nodes if n.op_type != "Gather")
    return list(dict.fromkeys(read))


def _read(source: OnnxFile, recipe: Int8Recipe) -> tuple[ModelProto, list[Located]]:
    """The graph in the recipe's form, and what is in it to quantise."""
    _require_plain(source)
    _require_known(recipe)
    if recipe.scope == FULL and source.opset < PER_AXIS:
        raise UsageError(
            f"Full int8 needs the operators of opset {PER_AXIS} or later, and the file has those "
            f"of {source.opset}.",
            where=str(source.path),
            fix="Leave --opset away, or use --int8-scope matmuls.",
        )
    graph = read_graph(source.path, weights=True)
    PASSES[recipe.form](graph)
    return graph, locate(GraphView(graph), recipe.scope)


def _require_plain(source: OnnxFile) -> None:
    if source.precision != "fp32" or source.optimisation != "none":
        raise UsageError(
            f"Only a plain fp32 export can be quantised, and this is {source.precision} with "
            f"optimisation {source.optimisation!r}.",
            where=str(source.path),
            fix="Give the file that export_onnx wrote, onnx/model.onnx.",
        )


def _require_known(recipe: Int8Recipe) -> None:
    """Values outside the recipe's types, as a configuration file may bring them."""
    hints = get_type_hints(Int8Recipe)
    known = {
        "form": tuple(PASSES),
        "scope": get_args(hints["scope"]),
        "mode": get_args(hints["mode"]),
        "calibration": get_args(hints["calibration"]),
    }
    for name, values in known.items():
        if getattr(recipe, name) not in values:
            raise UsageError(
                f"There is no {name} {getattr(recipe, name)!r} of int8 quantisation.",
                fix=f"One of {', '.join(values)}.",
            )
    if recipe.scope == FULL and recipe.mode != "static":
        raise UsageError(
            f"Full int8 needs static ranges, not {recipe.mode} ones.",
            fix=f"Give one of {', '.join(known['calibration'])}.",
        )


def _chosen(located: Sequence[Located], recipe: Int8Recipe, path: Path) -> list[Located]:
    """The matmuls that become integers."""
    names = {one.matmul.name for one in located}
    unknown = sorted(recipe.keep_float - names)
    if unknown:
        raise UsageError(
            f"There is no matmul {', '.join(unknown)} to keep in float.",
            where=str(path),
            fix=f"It has {', '.join(sorted(names)) or 'none at all'}.",
        )
    chosen = [
        one
        for one in located
        if one.matmul.name not in recipe.keep_float and one.matmul.columns >= NARROW
    ]
    multiplied = any(node.op_type != "Gather" for one in chosen for node in one.nodes)
    # A table alone is worth it only to whoever asks what the table costs.
    if not (multiplied or (chosen and recipe.keep_float)):
        kept = ", ".join(sorted(recipe.keep_float & names))
        raise ModelError(
            "There is nothing to quantise: the graph has no matrix product (MatMul, Gemm) with a "
            f"constant weight of {NARROW} columns or more" + (f" besides {kept}." if kept else "."),
            where=str(path),
            fix="Keep fewer matmuls in float, or ship the fp32 file.",
        )
    return chosen


def _ranges(
    model: ModelProto,
    chosen: Sequence[Located],
    batches: Sequence[Batch],
    recipe: Int8Recipe,
    output: Path,
) -> Ranges:
    """The range of each tensor by calibration, of probabilities what they can be.

    A text that is shorter than those seen has larger ones, and a quantile would cut off the few by
    which a head looks at one token.
    """
    view, measured = GraphView(model), _measured(model, chosen, recipe)
    probabilities = {name for name in measured if _is_of_softmax(view, name)}
    found = activation_ranges(
        model,
        [name for name in measured if name not in probabilities],
        batches,
        recipe.calibration,
        output.with_name(f".calibrate_{output.name}"),
        threads=1,
    )
    return found | dict.fromkeys(probabilities, (0.0, 1.0))


def _is_of_softmax(view: GraphView, name: str) -> bool:
    """Whether a tensor has the values of a softmax, in whichever shape (DeBERTa's is another)."""
    node = view.producers.get(name)
    while node is not None and node.op_type in _MOVES:
        node = view.producers.get(node.input[0])
    return node is not None and node.op_type == "Softmax"


def _compare_depth(located: Sequence[Located], model: Source) -> None:
    """Say so if the layers found by their attention are not those that the model has."""
    found = len({one.matmul.layer for one in located} - {None})
    shape = shape_of_source(model)
    if shape is None:
        expected = getattr(config_of(model), "num_hidden_layers", found)
    else:
        expected = sum(layer.heads > 0 for layer in shape.layers)
    if found != expected:
        logger.warning(
            "the graph shows %d layers with attention and the model has %s: names of matmuls may "
            "mislead",
            found,
            expected,
        )
