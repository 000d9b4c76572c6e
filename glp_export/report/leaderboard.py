"""Where a search stands: a leaderboard for a terminal, and one line for what stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from glp_export.core import numbers
from glp_export.core.tables import titled_table
from glp_export.report.table import short_metric
from glp_export.report.warnings import metric_name

if TYPE_CHECKING:
    from rich.table import Table

    from glp_export.core.progress import RankedCandidate, Standings

LONGEST_NAME = 28
"""Columns of a terminal for the layers of one candidate; a play-off removes many at once."""


def leaderboard(standings: Standings, rows: int) -> RenderableType:
    """The stack with its gaps and the best few candidates; always `rows` + 4 lines high."""
    return Group(_stack(standings), _heading(standings), _table(standings, rows))


def standings_line(standings: Standings) -> str:
    """Who leads and by how much, in one line; a whole comparison's winner."""
    first, *others = standings.candidates
    parts = [f"without {_name(first)}"]
    if first.loss is not None:
        parts.append(f"loss {first.loss:.4f}")
    parts.append(f"{metric_name(standings.metric)} {numbers.metric(first.score)}")
    if others and others[0].behind is not None:
        lead = f"ahead of {_name(others[0])} by {others[0].behind:.4f}"
        confidence = others[0].probability
        parts.append(
            f"{lead} with probability {_significantly(confidence)}"
            if confidence is not None
            else lead
        )
    return f"{standings.title}: {', '.join(parts)} ({standings.tried} tried)"


def _stack(standings: Standings) -> Text:
    """The layers that are still there, the others as dots; the leader's in another colour."""
    going = standings.candidates[0].removed if standings.candidates else ()
    line = Text("", no_wrap=True, overflow="ellipsis").append("input ", "dim")
    for layer in range(standings.layers):
        if layer in standings.removed:
            line.append("· ", "dim red")
        else:
            line.append(f"{layer} ", "yellow" if layer in going else "bold")
    line.append("head", "dim")
    return line


def _heading(standings: Standings) -> Text:
    removed = f", gone: {_joined(standings.removed)}" if standings.removed else ""
    words = f"{standings.title}: {standings.tried} of {standings.of} tried{removed}"
    return Text(words, style="bold", no_wrap=True, overflow="ellipsis")


def _table(standings: Standings, rows: int) -> Table:
    table = titled_table("")  # one of its own would be broken at the width of the columns
    by_loss = any(one.loss is not None for one in standings.candidates)
    table.add_column("without", min_width=8, max_width=LONGEST_NAME)
    for name in (*(("loss",) if by_loss else ()), short_metric(standings.metric), "behind"):
        table.add_column(name, justify="right", no_wrap=True, min_width=6)
    if by_loss:
        table.add_column("first better", justify="right", no_wrap=True)
    shown = standings.candidates[:rows]
    for place, one in enumerate(shown):
        table.add_row(*_cells(one, by_loss), style="bold" if place == 0 else "")
    for _ in range(rows - len(shown)):  # a board that grows would make the terminal jump
        table.add_row("")
    return table


def _cells(one: RankedCandidate, by_loss: bool) -> list[str | Text]:
    name = Text(_name(one), no_wrap=True, overflow="ellipsis")
    behind = numbers.MISSING if one.behind is None else f"{one.behind:.4f}"
    cells: list[str | Text] = [name, numbers.metric(one.score), behind]
    if by_loss:
        cells.insert(1, numbers.MISSING if one.loss is None else f"{one.loss:.4f}")
        cells.append(
            numbers.MISSING if one.probability is None else _significantly(one.probability)
        )
    return cells


def _significantly(probability: float) -> str:
    return f"{min(probability, 0.999):.2f}"


def _name(one: RankedCandidate) -> str:
    return _joined(one.removed)


def _joined(layers: tuple[int, ...]) -> str:
    return "+".join(map(str, layers))
