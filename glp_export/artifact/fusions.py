"""Which patterns of a transformer ONNX Runtime's optimiser fused, and in which layers it missed.

A pattern that does not fire leaves a slower graph that computes the same, so nothing else tells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from glp_export.artifact.onnx_file import OnnxFile, read_graph
from glp_export.core.errors import ModelError, UsageError


@dataclass(frozen=True)
class Pattern:
    """One thing that every layer can have fused.

    Attributes:
        operators: what stands for it then.
        per_layer: how often a layer has it.
    """

    operators: frozenset[str]
    per_layer: int


PATTERNS: dict[str, Pattern] = {
    "attention": Pattern(frozenset({"Attention", "MultiHeadAttention"}), per_layer=1),
    "skip-layer-norm": Pattern(frozenset({"SkipLayerNormalization"}), per_layer=2),
    "gelu": Pattern(frozenset({"BiasGelu", "FastGelu", "Gelu"}), per_layer=1),
}
"""What `require_fusions` can ask for. EmbedLayerNormalization belongs to no layer."""

_UNFUSED_ATTENTION = "Softmax"


def fusions_by_layer(file: OnnxFile, layers: int) -> tuple[Mapping[str, int], ...]:
    """How often each of `PATTERNS` was fused in each layer.

    A layer is found by its attention, fused or not: what follows it in the graph, up to the next
    layer's, is its own. So no names are needed, which exporters choose as they like.

    Args:
        file: an optimised file.
        layers: transformer layers of the model, numbered from 0 in their order in the graph.

    Raises:
        ModelError: the file cannot be read.
    """
    begins = PATTERNS["attention"].operators | {_UNFUSED_ATTENTION}
    found = [dict.fromkeys(PATTERNS, 0) for _ in range(layers)]
    layer = -1
    for node in read_graph(file.path).graph.node:
        layer += node.op_type in begins
        if 0 <= layer < layers:
            for name, pattern in PATTERNS.items():
                found[layer][name] += node.op_type in pattern.operators
    return tuple(found)


def missed_fusions(
    file: OnnxFile, layers: int, patterns: Sequence[str] = tuple(PATTERNS)
) -> Mapping[str, tuple[int, ...]]:
    """The patterns that were not fused everywhere, each with the layers that lack it.

    Args:
        file: an optimised file.
        layers: transformer layers of the model, numbered from 0 in their order in the graph.
        patterns: keys of `PATTERNS`.

    Raises:
        ModelError: the file cannot be read.
        UsageError: there is no such pattern.
    """
    unknown = sorted(set(patterns) - set(PATTERNS))
    if unknown:
        raise UsageError(
            f"There is no fusion pattern {', '.join(unknown)}.",
            fix=f"One of {', '.join(PATTERNS)}.",
        )
    found = fusions_by_layer(file, layers)
    missed = {}
    for name in patterns:
        lacking = tuple(
            layer for layer in range(layers) if found[layer][name] < PATTERNS[name].per_layer
        )
        if lacking:
            missed[name] = lacking
    return missed


def require_fusions(
    file: OnnxFile,
    layers: int,
    checkpoint: Path,
    patterns: Sequence[str] = tuple(PATTERNS),
) -> None:
    """Do nothing if every pattern was fused in every layer.

    Args:
        file: an optimised file.
        layers: transformer layers of the model.
        checkpoint: what the file was exported from, for the error.
        patterns: keys of `PATTERNS`.

    Raises:
        ModelError: one was not; every missed pattern is named with its layers.
        UsageError: there is no such pattern.
    """
    missed = missed_fusions(file, layers, patterns)
    if not missed:
        return
    raise ModelError(
        f"{file.variant} ({file.optimisation}) is not fused as it was required: "
        + "; ".join(f"{name} missed in {_listed(where, layers)}" for name, where in missed.items())
        + f". It has {describe_fusions(file)}",
        where=f"{file.path}, exported from {checkpoint}",
        fix="Use --optimize O2 or O3, or do not require fusions of this family.",
    )


def describe_fusions(file: OnnxFile) -> str:
    """Fused operators and their counts, "12 Attention, 24 SkipLayerNormalization"."""
    return ", ".join(f"{count} {name}" for name, count in file.fusions.items()) or "nothing fused"


def _listed(where: Sequence[int], layers: int) -> str:
    if len(where) == layers:
        return f"all {layers} layers"
    return f"layer{'s' if len(where) > 1 else ''} {', '.join(map(str, where))}"
