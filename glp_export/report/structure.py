"""What a plan leaves inside the layers, and how well the latency table predicted it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from rich.text import Text

from glp_export.core import numbers
from glp_export.report.measurements import measured_id, shape_title
from glp_export.report.tables import Quoted, Table

if TYPE_CHECKING:
    from glp_export.bench.benchmark_file import BenchmarkFile
    from glp_export.compress.latency_table import LatencyTable
    from glp_export.compress.plan import Plan

_BAR = 12
"""Cells of a bar in text; so many heads are shown one by one."""


@dataclass(frozen=True)
class LayerLeft:
    """One layer of the unpruned model.

    Attributes:
        number: from 0 at the input.
        removed: whether the whole layer goes.
        heads: numbers of the heads that stay.
        of_heads: how many it had.
        neurons: how many stay.
        of_neurons: how many it had.
    """

    number: int
    removed: bool
    heads: tuple[int, ...]
    of_heads: int
    neurons: int
    of_neurons: int


def layers_left(plan: Plan) -> list[LayerLeft]:
    """Every layer of the unpruned model, the lowest first; [] where only layers were counted."""
    if plan.base_shape is None:
        return []
    kept = plan.kept_units
    inside = dict(zip(plan.kept, kept.layers, strict=True)) if kept else {}
    found = []
    for number, layer in enumerate(plan.base_shape.layers):
        removed = number in plan.order
        own = inside.get(number)
        heads = own.heads if own else () if removed else tuple(range(layer.heads))
        neurons = len(own.neurons) if own else 0 if removed else layer.neurons
        found.append(LayerLeft(number, removed, heads, layer.heads, neurons, layer.neurons))
    return found


def gone_in_pytorch(plan: Plan) -> str:
    """What a checkpoint lacks although the rest of it is dense, in brackets; empty for nothing."""
    tokens = plan.kept_tokens is not None and len(plan.kept_tokens) < (plan.base_vocabulary or 0)
    gone = [what for what, is_gone in (("whole layers", plan.order), ("tokens", tokens)) if is_gone]
    return f" (which lacks the {' and '.join(gone)} that were removed)" if gone else ""


def stack_line(plan: Plan) -> Text:
    """The layers from input to head, the removed ones as a dot: `0 · 2 3 · 5`."""
    line = Text().append("input ", "dim")
    for layer in range(plan.num_layers):
        if layer in plan.order:
            line.append("· ", style="dim red")
        else:
            line.append(f"{layer} ", style="bold")
    line.append("head", style="dim")
    return line


def structure_picture(plan: Plan) -> str:
    """The heads and neurons of every layer in letters, 60 columns wide; ■ and █ stay, · goes."""
    lines = [f"{'layer':>5}  {'heads':<{_BAR + 10}}  neurons"]
    for layer in layers_left(plan):
        if layer.removed:
            lines.append(f"{layer.number:>5}  removed")
            continue
        heads = (
            "".join("■" if n in layer.heads else "·" for n in range(layer.of_heads))
            if layer.of_heads <= _BAR
            else _bar(len(layer.heads), layer.of_heads)
        )
        count = f"{len(layer.heads)} of {layer.of_heads}"
        lines.append(
            f"{layer.number:>5}  {heads:<{_BAR}}  {count:<8}  "
            f"{_bar(layer.neurons, layer.of_neurons)}  {layer.neurons} of {layer.of_neurons}"
        )
    return "\n".join(lines)


def layers_table(plan: Plan) -> Table:
    """The heads and neurons that stay, as numbers."""
    return Table.of(
        "What stays of each layer of the unpruned model, from the input to the head.",
        (
            {
                "layer": str(one.number),
                "heads": "removed" if one.removed else f"{len(one.heads)} of {one.of_heads}",
                "neurons": "removed" if one.removed else f"{one.neurons} of {one.of_neurons}",
            }
            for one in layers_left(plan)
        ),
    )


def _bar(part: int, whole: int) -> str:
    """A share as a bar; what is not empty has a cell, what is not whole lacks one."""
    cells = round(_BAR * part / whole) if whole else 0
    if 0 < part < whole:
        cells = min(max(cells, 1), _BAR - 1)
    return "█" * cells + "·" * (_BAR - cells)


@dataclass(frozen=True)
class Predicted:
    """A speedup over the unpruned model as the latency table predicts it, beside the measured one.

    Attributes:
        name: of the model.
        predicted: by the table.
        measured: beside the unpruned model; None where it was not.
        span: 95 % interval of `measured`, where there is one.
    """

    name: str
    predicted: float
    measured: float | None
    span: tuple[float, float] | None = None

    @property
    def error(self) -> float | None:
        """Of the prediction, relative to what was measured."""
        return None if self.measured is None else self.predicted / self.measured - 1


def shipped_prediction(
    plan: Plan, benchmark: BenchmarkFile, table: LatencyTable | None
) -> Predicted | None:
    """The pruned model itself by its fastest file; None for a plan that no table chose.

    Args:
        plan: of the model.
        benchmark: that it was measured in.
        table: that it was chosen by; without it nothing says what to compare with.
    """
    if plan.predicted_speedup is None:
        return None
    found = Predicted(plan.label, plan.predicted_speedup, None)
    if table is None:
        return found
    at, own_id = table.conditions, measured_id(benchmark, plan)
    wanted = ("pruned", own_id, "onnxruntime", at.provider, at.precision)
    rows = [
        row
        for row in benchmark.rows
        if (row.contender, row.plan_id, row.runtime, row.provider, row.precision) == wanted
        and row.shape == table_shape(table)
    ]
    best = min(rows, key=lambda row: row.p50_ms, default=None)
    speedup = best.speedup.vs_onnxruntime_unpruned if best else None
    if speedup is None:
        return found
    return replace(found, measured=speedup.value, span=(speedup.low, speedup.high))


def probe_predictions(table: LatencyTable) -> list[Predicted]:
    """The whole models that the table was fitted to or corrected by; the unpruned one left out."""
    unpruned = [model.milliseconds for model in table.measured if model.shape == table.base]
    if not unpruned:
        return []
    whole = float(np.median(unpruned))
    return [
        Predicted(
            model.shape.label(table.base), table.speedup(model.shape), whole / model.milliseconds
        )
        for model in table.measured
        if model.shape != table.base
    ]


def prediction_words(found: Predicted) -> str:
    """`predicted 2.06×, measured 1.98× (1.90–2.05)`."""
    words = f"predicted {numbers.ratio(found.predicted)}"
    if found.measured is None:
        return f"{words}, not measured at the table's conditions"
    span = f" ({numbers.ratio_span(*found.span)})" if found.span else ""
    return f"{words}, measured {numbers.ratio(found.measured)}{span}"


def condition_facts(table: LatencyTable) -> dict[str, str]:
    """What a latency table holds for, in words by name."""
    found = table.conditions
    form = "plain graph" if found.form == "none" else f"{found.form} graph"
    return {
        "device": found.device,
        "runtime": f"ONNX Runtime, {found.provider}",
        "file": f"{found.precision}, {form}",
        "threads": str(found.threads),
        "shape": f"{shape_title(table_shape(table))} (batch × tokens)",
        "whole models measured": str(len(table.measured)),
        "largest error of a predicted speedup": f"{100 * table.worst_error:.1f} %",
        "table": table.id[:16],
    }


def conditions_table(table: LatencyTable) -> Table:
    """The same as a table."""
    facts = condition_facts(table).items()
    rows = ({"latency table": name, "value": Quoted(value)} for name, value in facts)
    return Table.of("What the latency table holds for.", rows, words=("value",))


def table_shape(table: LatencyTable) -> str:
    """The name of the shape that a table holds for: `1x128`."""
    return f"{table.conditions.batch_size}x{table.conditions.sequence_length}"
