"""The budget that a run writes: what it measured, less a margin that the file states."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from glp_export.artifact.serving import deciding_shape
from glp_export.bench.benchmark_file import BenchmarkFile
from glp_export.bench.benchmark_rows import Row
from glp_export.bench.winners import UNSCORED
from glp_export.gate.budget import PLACES, Place
from glp_export.serve.runtimes import ONNX_RUNTIME
from glp_export.tasks.metrics import AGREEMENT

MARGIN = 0.05
"""Share of a speedup and of a size that may be lost before the gate says so.

A gate can tell a slowdown of 10 % from none only if its bound lies between the two.
"""

METRIC_MARGIN = 0.01
_TAIL_MARGIN, _LEAST_TAIL = 1.5, 2.0
_LONG_RUN_MS = 10.0
"""A tail is judged by hundreds of runs: of longer ones they would take a gate's whole time."""

_HEAD = """\
# What this artifact has to keep; `glp-export gate` checks it. Edit it freely: it is in no checksum.
# Written from glp/benchmark.json: speedups are the lower end of what was measured, less
# {margin:.0%}; the size may grow by {margin:.0%}, the metric fall by {metric_margin:g} more, the
# tail be half as much again and is let be up to {tail:g}.
# Speedups are ratios of two models measured side by side, so they hold on other machines too, but
# for the number of threads (measured: {threads}). `at 1x128` is batch size 1 and 128 tokens.
"""


def budget_text(
    benchmark: BenchmarkFile,
    *,
    margin: float = MARGIN,
    metric_margin: float = METRIC_MARGIN,
    unpruned: Mapping[str, str] | None = None,
    runtimes: Collection[str] = (ONNX_RUNTIME,),
) -> str:
    """A budget file for what a run measured of its pruned model.

    For every provider and precision the file is bound that ships at that precision; of several the
    fastest, which is the one to deploy. One shape is bound, the longest at the smallest batch; the
    others stand beside it as comments.

    Args:
        benchmark: of one pruned model.
        margin: as the file's head says.
        metric_margin: in the metric's own unit.
        unpruned: by precision, at which level the unpruned file was optimised that speedups are
            over; `none` where it says nothing.
        runtimes: that the file is served from; lines are written for each.
    """
    threads = sorted({row.threads for row in benchmark.rows})
    parts = [
        _HEAD.format(
            margin=margin,
            metric_margin=metric_margin,
            tail=_LEAST_TAIL,
            threads=" or ".join(map(str, threads)),
        )
    ]
    short = {place: name for name, place in PLACES.items() if place.runtime in runtimes}
    for place, precision in _tables(benchmark, short):
        rows = _deployed(benchmark, place, precision)
        level = (unpruned or {}).get(precision, "none")
        head = [f"[{short[place]}.{precision}]  # onnx/{rows[0].variant}"]
        if level != "none":
            head.append(f'unpruned = "{level}"')
        lines = _latency(rows, margin) + _rest(benchmark, rows[0], margin, metric_margin)
        parts.append("\n".join([*head, "keep = [", *lines, "]"]) + "\n")
    return "\n".join(parts)


def write_budget(
    path: Path,
    benchmark: BenchmarkFile,
    *,
    unpruned: Mapping[str, str] | None = None,
    runtimes: Collection[str] = (ONNX_RUNTIME,),
) -> Path:
    """Write `budget_text` with the default margins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(budget_text(benchmark, unpruned=unpruned, runtimes=runtimes), encoding="utf-8")
    return path


def _tables(benchmark: BenchmarkFile, places: Collection[Place]) -> list[tuple[Place, str]]:
    """Places and precisions that the pruned model was measured at, of those places."""
    found = [
        (Place(row.runtime, row.provider), row.precision)
        for row in benchmark.rows
        if row.contender == "pruned" and (row.runtime, row.precision) != UNSCORED
    ]
    return [(place, precision) for place, precision in dict.fromkeys(found) if place in places]


def _deployed(benchmark: BenchmarkFile, place: Place, precision: str) -> list[Row]:
    """The rows of the file to deploy: an optimised one ships only if it is significantly faster.

    In another runtime than ONNX Runtime that is the fastest there, as `ort_config.json` has it.
    """
    rows = [
        row
        for row in benchmark.rows
        if (row.contender, row.precision) == ("pruned", precision)
        and (row.runtime, row.provider) == place
    ]
    own = rows[-1].variant
    if place.runtime != ONNX_RUNTIME:
        shape = deciding_shape(rows)
        own = min((row for row in rows if row.shape == shape), key=lambda row: row.p50_ms).variant
    return [row for row in rows if row.variant == own]


def _latency(rows: Sequence[Row], margin: float) -> list[str]:
    fixed = [row for row in rows if row.shape == f"{row.batch_size}x{row.sequence_length}"]
    if not fixed:
        return []
    smallest = min(row.batch_size for row in fixed)
    headline = max(
        (row for row in fixed if row.batch_size == smallest), key=lambda row: row.sequence_length
    )
    lines = _of_shape(headline, margin, "")
    for row in fixed:
        if row is not headline:
            lines += _of_shape(row, margin, "# ")[:1]
    return lines


def _of_shape(row: Row, margin: float, comment: str) -> list[str]:
    """The lines of one shape, the speedup first."""
    lines, at = [], f"at {row.shape}"
    speedup = row.speedup.vs_onnxruntime_unpruned
    if speedup:
        bound = _down(speedup.low * (1 - margin))
        seen = f"measured {speedup.value:.2f} ({speedup.low:.2f}–{speedup.high:.2f})"
        lines.append(_line(f"speedup_vs_unpruned >= {bound:.2f} {at}", seen, comment))
    lines.append(
        _line(
            f"speedup_vs_reference >= {_down(1 - margin):.2f} {at}",
            "asked only with --against OTHER, the last release say",
            comment,
        )
    )
    tail = row.p99_ms / row.p50_ms
    bound = max(_LEAST_TAIL, math.ceil(tail * _TAIL_MARGIN * 10) / 10)
    slow = row.p50_ms > _LONG_RUN_MS
    note = f"measured {tail:.2f}{'; takes some 450 runs' if slow else ''}"
    off = comment or ("# " if slow else "")
    return [*lines, _line(f"p99_over_p50 <= {bound:.1f} {at}", note, off)]


def _rest(benchmark: BenchmarkFile, row: Row, margin: float, metric_margin: float) -> list[str]:
    """The lines that no shape belongs to."""
    size = row.bytes / 1e6
    lines = [_line(f"size_mb <= {_up(size * (1 + margin)):g}", f"measured {size:.2f}")]
    unpruned = next((m for m in benchmark.metrics if m.contender == "unpruned"), None)
    own = [m for m in benchmark.metrics if m.contender == "pruned"]
    at_precision = [m for m in own if m.precision == row.precision] or own
    if unpruned and unpruned.chance and not unpruned.chance.significant:
        lines.append(
            f"  # no bound on {benchmark.metric}: the unpruned model is not significantly better "
            "than chance"
        )
    elif unpruned and at_precision and benchmark.metric != AGREEMENT:
        drop = max(0.0, unpruned.value - at_precision[0].value)
        seen = f"{benchmark.metric} {at_precision[0].value:.3f}, unpruned {unpruned.value:.3f}"
        lines.append(_line(f"metric_drop <= {drop + metric_margin:.3f}", f"{seen}; with --dataset"))
    return lines


def _line(text: str, note: str, comment: str = "") -> str:
    return f'  {comment}"{text}",  # {note}'


def _down(value: float) -> float:
    return math.floor(value * 100 + 1e-6) / 100


def _up(value: float) -> float:
    """Three digits that count, rounded up."""
    digits = 2 - math.floor(math.log10(value))
    return math.ceil(value * 10**digits) / 10**digits
