"""The page of the frontier: a table for each task, and what is retained over all of them."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from frontier_cells import Cell, Results
from frontier_rows import LAYERS, MATCHED, OBS, ROWS, UNPRUNED
from scipy.stats import norm
from tables import PACKAGES, markdown

from glp_export.core import machine

EXPLANATION = """\
Test metric in percent by the ONNX files that are timed, {precision}, in the form that ships; all
chosen on dev (15 % of the training rows), nothing on test. At most {rows} training rows a task, dev
included.
The unpruned model is trained until dev stops improving, by the project's own rule, and all others
are recovered from it in the same way: distilled (answers, labels, hidden states) on the same rows,
{recovery}.
Retention is (metric − chance) / (unpruned − chance). Speedups are over the unpruned file in one
interleaved run a task and seed, at {shape}, {threads} thread(s), with 95 % bootstrap intervals of
the first seed; "predicted" is the corrected latency table's. "Less layers" is the difference from
`{layers}` on the same test examples (95 % paired bootstrap).

- `{layers}`: the deepest model that the table says is fast enough; whole layers come in few
  speeds, so it is often faster than was asked for. The alternate student has as many.
- uniform width: the same share of heads and neurons in every layer, units ranked by the criterion.
- random structure: widths drawn sublayer by sublayer, and units drawn; weights as they were.
- found shape, other units: the widths that structure found, units drawn; weights as they were.
- structure: `--compress structure`; its final round has whole layers as rivals, which may win.
- as fast as the layers: structure asked for the measured speed of the layers of that column.

Uniform, random and found-shape rows take as long as `{obs}` by its table."""

HEAD = (
    *("", "asked", "test", "dev", "retention", "speedup", "predicted", "ms", "MB", "search s"),
    *("less layers", "is"),
)


@dataclass(frozen=True)
class Layout:
    """What a page is of.

    Attributes:
        title: its heading.
        rows: of its tables, in their order.
        explanation: how the numbers were taken.
    """

    title: str
    rows: Sequence[str]
    explanation: str = EXPLANATION


FRONTIER = Layout("Accuracy against speed: structure, layers and their rivals", ROWS)


def write_page(
    results: Results, arguments: argparse.Namespace, wall: float, layout: Layout
) -> None:
    """Write the page as Markdown; cells that were not run are marked."""
    here = machine.describe()
    versions = ", ".join(f"{n} {here.versions[n]}" for n in PACKAGES if n in here.versions)
    asked = (1.0, *arguments.speedups)
    cells = [cell for cell in results.cells.values() if cell.target in asked]
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    text = [
        f"# {layout.title}",
        f"{datetime.date.today()}. `python {' '.join(map(_shown, sys.argv))}`",
        f"{arguments.device}; Python {here.python}, {versions}.",
        layout.explanation.format(
            precision=arguments.precision,
            rows=arguments.max_train_samples,
            recovery=f"for {arguments.updates} updates, the rate and the weights by dev"
            if arguments.updates
            else "for as many updates, the rate and the weights by dev",
            shape=arguments.shape,
            threads=arguments.threads,
            layers=LAYERS,
            obs=OBS,
        ),
    ]
    for task in tasks:
        own = [cell for cell in cells if cell.task == task]
        seeds = sorted({cell.seed for cell in own})
        chance = mean(cell.chance for cell in own if cell.chance is not None)
        text.append(
            f"## {task} ({own[0].metric}), {own[0].train_rows} rows, seed "
            f"{' '.join(map(str, seeds))}"
        )
        text.append(f"Chance is {100 * chance:.1f}.")
        text += [f"**Note: {note}**" for note in _notes(results, own)]
        text.append(markdown([HEAD, *_lines(own, results, layout.rows)], texts=2))
    text += ["## Retention over tasks and seeds", markdown(_means(cells, layout.rows), texts=2)]
    text += _worse_than_layers(cells, results)
    text.append(f"This run took {wall / 60:.0f} minutes; cells of earlier runs were kept.\n")
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text("\n\n".join(text), encoding="utf-8")


def _shown(part: str) -> str:
    """An argument without this machine's directories."""
    return Path(part).name if "/" in part else part


def _notes(results: Results, own: Sequence[Cell]) -> list[str]:
    groups = dict.fromkeys(cell.group for cell in own)
    notes = (note for group in groups for note in results.timings.get(group, {}).get("notes", ()))
    return list(dict.fromkeys(notes))


def _lines(own: Sequence[Cell], results: Results, rows: Sequence[str]) -> list[list[str]]:
    """Every row at every target of a task, in the order of the rows."""
    whole = [cell for cell in own if cell.row == UNPRUNED]
    targets = sorted({cell.target for cell in own if cell.row != UNPRUNED})
    lines = [_line(UNPRUNED, 1.0, whole, own, results)]
    for target in targets:
        for row in rows[1:]:
            same = [cell for cell in own if (cell.row, cell.target) == (row, target)]
            lines.append(_line(row, target, same, own, results))
    return lines


def _line(
    row: str, target: float, same: Sequence[Cell], own: Sequence[Cell], results: Results
) -> list[str]:
    asked = "" if row == UNPRUNED else f"{target:g}×"
    if not same:
        return [row, asked, "not run", *[""] * (len(HEAD) - 3)]
    timed = [found for cell in same if (found := _timing(cell, results))]
    speedup = milliseconds = "not timed"
    if timed:
        first = timed[0]
        value = mean(one["speedup"]["value"] for one in timed)
        speedup = f"{value:.2f} [{first['speedup']['low']:.2f}–{first['speedup']['high']:.2f}]"
        milliseconds = f"{mean(one['ms'] for one in timed):.2f}"
    predicted = [cell.predicted for cell in same if cell.predicted is not None]
    retained = [retention(cell, own) for cell in same]
    kept = [value for value in retained if value is not None]
    return [
        row,
        asked,
        " / ".join(f"{100 * cell.value:.1f}" for cell in same),
        " / ".join(f"{100 * cell.dev:.1f}" for cell in same),
        f"{100 * mean(kept):.1f} %" if kept else "–",
        speedup,
        f"{mean(predicted):.2f}" if predicted else "–",
        milliseconds,
        f"{same[0].megabytes:.1f}" if same[0].megabytes else "–",
        f"{mean(cell.search_seconds for cell in same):.0f}",
        " / ".join(_difference(cell, results) for cell in same),
        " / ".join(dict.fromkeys(cell.label.removeprefix("unpruned, ") for cell in same)),
    ]


def _timing(cell: Cell, results: Results) -> dict[str, Any] | None:
    kept: Mapping[str, Any] = results.timings.get(cell.group, {})
    if cell.key not in kept.get("speedups", {}):
        return None
    return {"speedup": kept["speedups"][cell.key], "ms": kept["ms"][cell.key]}


def _difference(cell: Cell, results: Results) -> str:
    found = results.differences.get(cell.key)
    if found is None:
        return "–"
    middle, low, high = (100 * value for value in found)
    return f"{middle:+.1f} ({low:+.1f} to {high:+.1f})"


def _worse_than_layers(cells: Sequence[Cell], results: Results) -> list[str]:
    """Whether structure is below whole layers of equal speed anywhere, by Holm's procedure.

    One-sided p values are the normal distribution's, its standard error that of the bootstrap.
    """
    found = [
        (cell, *results.differences[cell.key])
        for cell in cells
        if cell.row == MATCHED and cell.key in results.differences
    ]
    error = 2 * norm.ppf(0.975)
    rising = sorted(
        (
            (float(norm.cdf(error * value / max(high - low, 1e-9))), cell)
            for cell, value, low, high in found
        ),
        key=lambda one: one[0],
    )
    if not rising:
        return []
    adjusted = 0.0
    lines = [["task", "seed", "asked", "less layers", "p", "p by Holm"]]
    for number, (p, cell) in enumerate(rising):
        adjusted = max(adjusted, min(1.0, p * (len(rising) - number)))
        asked, difference = f"{cell.target:g}×", _difference(cell, results)
        lines.append([cell.task, str(cell.seed), asked, difference, f"{p:.3f}", f"{adjusted:.3f}"])
    return [
        "## Is structure below whole layers as fast?",
        f"The probability of a difference so low where structure is as good (one-sided), for each "
        f"of {len(rising)} comparisons, and by Holm's procedure for all of them together.",
        markdown(lines, texts=1),
    ]


def retention(cell: Cell, own: Sequence[Cell]) -> float | None:
    """Of what the unpruned model knows above chance; None where that is not significant."""
    for whole in own:
        if (whole.row, whole.seed, whole.task) != (UNPRUNED, cell.seed, cell.task):
            continue
        if whole.significant and whole.chance is not None:
            return (cell.value - whole.chance) / (whole.value - whole.chance)
    return None


def _means(cells: Sequence[Cell], rows: Sequence[str]) -> list[list[str]]:
    """The mean retention of every row, with a bootstrap interval over tasks and seeds."""
    lines = [["", "asked", "mean", "95 %", "tasks × seeds"]]
    generator = np.random.default_rng(0)
    for target in sorted({cell.target for cell in cells if cell.row != UNPRUNED}):
        for row in rows[1:]:
            same = [cell for cell in cells if (cell.row, cell.target) == (row, target)]
            kept = np.array([r for cell in same if (r := retention(cell, cells)) is not None])
            if not len(kept):
                lines.append([row, f"{target:g}×", "not run", "", ""])
                continue
            draws = generator.choice(kept, (2000, len(kept))).mean(1)
            low, high = 100 * np.quantile(draws, (0.025, 0.975))
            interval = f"{low:.1f}–{high:.1f}" if len(kept) > 2 else "too few"
            lines.append(
                [row, f"{target:g}×", f"{100 * kept.mean():.1f} %", interval, str(len(kept))]
            )
    return lines
