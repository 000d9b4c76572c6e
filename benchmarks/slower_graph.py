"""A copy of an ONNX graph with extra real work, so that it takes a chosen share longer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from glp_export.bench import Contender, Workload
from glp_export.gate.side_by_side import SideBySide
from glp_export.gate.verdicts import estimate_speedup


def slow_down(own: Contender, workload: Workload, share: float, path: Path) -> Contender:
    """Write a graph that takes `share` longer.

    The width of the extra products comes from the line through two widths that were measured:
    one of them doubles the work, where noise is small beside it.

    Args:
        own: the contender whose graph it is.
        workload: on which it shall take longer.
        share: 0.1 for ten percent.
        path: of the copy.
    """
    slower = replace(own, path=path, variant=path.name)
    widths, shares = (256, 4096), []
    for width in widths:
        write_slower(own.path, path, width)
        shares.append(measured_share(own, slower, workload))
    slope = (shares[1] - shares[0]) / (widths[1] - widths[0])
    write_slower(own.path, path, max(8, round(widths[0] + (share - shares[0]) / slope)))
    return slower


def measured_share(own: Contender, slower: Contender, workload: Workload) -> float:
    """How much longer the second takes than the first, to one percent or for 20 seconds."""
    rounds = SideBySide(slower, own).rounds(workload, warm_up_seconds=2.0)
    return estimate_speedup(rounds, seconds=20.0, precision=0.01).value - 1


def write_slower(source: Path, path: Path, width: int) -> None:
    """Add two matrix products, `(…, hidden) × (hidden, width) × (width, hidden)`, to a graph.

    They read the embeddings and end in the logits, times zero, so nothing can optimise them away
    and the answers stay.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(source))
    graph = model.graph
    states = next(node for node in graph.node if node.op_type == "LayerNormalization")
    scale = next(t for t in graph.initializer if t.name == states.input[1])
    hidden = int(scale.dims[0])
    logits = graph.output[0].name
    for node in graph.node:
        node.output[:] = ["plain_logits" if name == logits else name for name in node.output]
    generator = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> str:
        values = generator.normal(0, 0.02, shape).astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(values, name))
        return name

    graph.initializer.append(helper.make_tensor("slower_zero", TensorProto.FLOAT, [], [0.0]))
    steps: Sequence[tuple[str, list[str], str]] = (
        ("MatMul", [states.output[0], weight("slower_up", hidden, width)], "slower_wide"),
        ("MatMul", ["slower_wide", weight("slower_down", width, hidden)], "slower_states"),
        ("ReduceMax", ["slower_states"], "slower_max"),
        ("Mul", ["slower_max", "slower_zero"], "slower_nothing"),
        ("Add", ["plain_logits", "slower_nothing"], logits),
    )
    for operator, inputs, output in steps:
        attributes = {"keepdims": 0} if operator == "ReduceMax" else {}
        graph.node.append(helper.make_node(operator, inputs, [output], **attributes))
    onnx.save(model, str(path))
