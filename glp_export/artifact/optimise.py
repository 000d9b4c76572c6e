"""Faster graphs: ONNX Runtime's transformer optimiser at optimum's O1 to O3, and our own form."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.artifact.fusions import describe_fusions
from glp_export.artifact.graph_passes import PASSES
from glp_export.artifact.modules import config_of, shape_of_source
from glp_export.artifact.onnx_file import (
    PLAIN,
    OnnxFile,
    describe,
    read_graph,
    remove,
    write_graph,
)
from glp_export.artifact.output_place import writing
from glp_export.core.checksums import file_sha256
from glp_export.core.errors import ModelError, UsageError
from glp_export.core.quiet import quiet

if TYPE_CHECKING:
    from onnx import ModelProto

    from glp_export.artifact.modules import Source

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Level:
    """What one optimisation level does.

    Attributes:
        graph_level: ONNX Runtime's own optimisations, 1 basic or 2 extended.
        fusions: the patterns of transformer blocks too (Attention, SkipLayerNormalization, …).
        gelu_approximation: Gelu by its tanh formula, which moves the logits a little.
        graph_pass: in place of all that, a key of `PASSES`.
        at_load: whether ONNX Runtime does the same to the plain file while it loads it.
    """

    graph_level: int
    fusions: bool = False
    gelu_approximation: bool = False
    graph_pass: str | None = None
    at_load: bool = False


LEVELS: dict[str, Level] = {
    "first-token": Level(0, graph_pass="first-token"),
    "O1": Level(1, at_load=True),
    "O2": Level(2, fusions=True),
    "O3": Level(2, fusions=True, gelu_approximation=True),
}

GELU_DIFFERENCE = 1e-3
"""How far Gelu's tanh formula moves logits; see `tolerance.TOLERANCES`."""

PATTERNS: dict[str, str] = {
    "bert": "bert",
    "roberta": "bert",
    "xlm-roberta": "bert",
    "camembert": "bert",
    "electra": "bert",
    "distilbert": "bert",
    "mpnet": "bert",
    # Attention is not among the patterns found in these three, the rest is.
    "deberta": "bert",
    "deberta-v2": "bert",
    "modernbert": "bert",
}
"""Model type of a configuration to the set of fusion patterns that ONNX Runtime has for it."""


def levels_to_try(atol: float | None = None) -> list[str]:
    """The levels that can win: what O1 brings a session has anyway, and O3 fails the usual parity.

    Args:
        atol: absolute tolerance of the logits, where another one was asked for.
    """
    wide = atol is not None and atol >= GELU_DIFFERENCE
    return [
        name
        for name, level in LEVELS.items()
        if not level.at_load and (wide or not level.gelu_approximation)
    ]


def optimise(
    source: OnnxFile,
    level: str,
    output: Path,
    model: Source,
    *,
    sidecar_threshold: int | None = None,
) -> OnnxFile:
    """Write an optimised copy of an exported file, which may use ONNX Runtime's own operators.

    Args:
        source: a file that is not optimised yet.
        level: a key of `LEVELS`.
        output: where the copy goes.
        model: what the file was exported from: its configuration names the family, the heads and
            the width.
        sidecar_threshold: bytes of weights past which they go to a sidecar; None as `write_graph`.

    Raises:
        ModelError: ONNX Runtime cannot optimise the graph.
        OutputError: the copy cannot be written.
        UsageError: there is no such level, or the source is optimised already.
    """
    if level not in LEVELS:
        raise UsageError(
            f"There is no optimisation level {level!r}.",
            where="--optimize",
            fix=f"One of none, {', '.join(LEVELS)}.",
        )
    if source.optimisation != PLAIN:
        raise UsageError(f"{source.path} is optimised already ({source.optimisation}).")
    with writing(output.parent):
        try:
            graph = _optimised(source.path, LEVELS[level], model)
        except Exception as error:  # asserts, KeyErrors and ONNX Runtime's own: by the pattern
            raise ModelError(
                f"ONNX Runtime cannot optimise the graph at {level}: {error!r}",
                where=str(source.path),
                fix="Use a lower level, or --optimize none.",
            ) from error
        write_graph(graph, output, threshold=sidecar_threshold)
    return describe(output, precision=source.precision, optimisation=level, graph=graph)


def candidates(
    source: OnnxFile, levels: Sequence[str], directory: Path, model: Source
) -> list[OnnxFile]:
    """Optimised copies at several levels, to be judged by parity and by the clock.

    A level that cannot be built, and one that only repeats the graph of a level before it, is left
    out and the log says so: a slower or absent candidate must not end a run whose plain file is
    good.

    Raises:
        OutputError: a copy cannot be written.
        UsageError: there is no such level.
    """
    built: list[OnnxFile] = []
    for level in levels:
        if level == PLAIN:
            continue
        path = directory / f"model_{level}.onnx"
        try:
            file = optimise(source, level, path, model)
        except ModelError as error:
            logger.warning("optimisation %s is left out: %s", level, error.what)
            continue
        if same := next((one for one in built if _same(one, file)), None):
            logger.info("optimisation %s is left out: same graph as %s", level, same.optimisation)
            remove(path)
            continue
        built.append(file)
        logger.info("optimisation %s: %d nodes, %s", level, file.nodes, describe_fusions(file))
    return built


def _same(one: OnnxFile, other: OnnxFile) -> bool:
    """Whether two files hold the same bytes; those of other sizes are not read."""
    return one.bytes == other.bytes and file_sha256(one.path) == file_sha256(other.path)


def _optimised(source: Path, level: Level, exported_from: Source) -> ModelProto:
    """The optimised graph with all its weights in memory."""
    if level.graph_pass:
        model = read_graph(source, weights=True)
        PASSES[level.graph_pass](model)
        return model
    from onnxruntime.transformers.fusion_options import FusionOptions
    from onnxruntime.transformers.optimizer import optimize_model

    config = config_of(exported_from)
    patterns = PATTERNS.get(config.model_type)
    if level.fusions and patterns is None:
        logger.info(
            "ONNX Runtime has no fusion patterns for %s: general optimisations only",
            config.model_type,
        )
    heads, width = _told(exported_from, config)
    options = FusionOptions(patterns or "bert")
    options.enable_gelu_approximation = level.gelu_approximation
    # It takes two thirds of the time and finds no other fusions; parity proves what comes out.
    options.enable_shape_inference = False
    with quiet():
        optimised = optimize_model(
            str(source),
            model_type=patterns or "bert",
            num_heads=heads,
            hidden_size=width,
            optimization_options=options,
            opt_level=level.graph_level,
            only_onnxruntime=not level.fusions or patterns is None,
        )
        optimised.topological_sort()
    return optimised.model


def _told(source: Source, config: Any) -> tuple[int, int]:
    """The heads and the width that the fusion patterns are told, as not every graph shows them.

    Zeros where layers have lost heads: what no graph shows is left as it is then, since attention
    that is fused with other heads computes something else.
    """
    heads, shape = getattr(config, "num_attention_heads", 0), shape_of_source(source)
    if shape is not None and any(layer.heads not in (0, heads) for layer in shape.layers):
        return 0, 0
    return heads, getattr(config, "hidden_size", 0)
