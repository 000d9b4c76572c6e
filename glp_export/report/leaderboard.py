"""Where a search stands: a leaderboard for a terminal, and one line for what stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from glp_export.core import numbers
from glp_export.core.tables import titled_table
from glp_export.report.tables import known
from glp_export.report.words import metric_name, short_metric

if TYPE_CHECKING:
    from rich.table import Table

    from glp_export.core.progress import RankedCandidate, Standings

STYLES = {"plain": "bold", "strong": "yellow", "faint": "dim red"}
"""Of the parts of what is searched in."""
NEARLY, SURE = 0.75, 0.95
"""Probabilities that the first is the better: below, a step may as well have gone the other way;
above, it is significant."""

LONGEST_NAME = 28
"""Columns of a terminal for the label of one candidate."""


def leaderboard(standings: Standings, rows: int) -> RenderableType:
    """What is searched in and the best few candidates; always `rows` + 4 lines high."""
    return Group(_picture(standings), _heading(standings), _table(standings, rows))


def standings_line(standings: Standings) -> str:
    """What a whole comparison decided, and how sure that is, in one sentence."""
    first, *others = standings.candidates
    score = f"{metric_name(standings.metric)} {numbers.metric(first.score)}"
    line = f"{standings.title}: {standings.verb} {first.name} ({score})"
    compared = others and others[0].behind is not None
    return f"{line}; {_runner_up(others[0])}" if compared else line


def _runner_up(second: RankedCandidate) -> str:
    """How good the second was, beside the first."""
    was = f"{second.name} {'were' if second.name.startswith('layers') else 'was'}"
    if second.probability is None:
        return f"{was} {second.behind:.3f} behind"
    sure = f"{100 * min(second.probability, 0.99):.0f} % sure"
    if second.probability < NEARLY:
        return f"{was} nearly as good: {sure}"
    return f"{was} {'next' if second.probability < SURE else 'clearly worse'}: {sure}"


def _picture(standings: Standings) -> Text:
    line = Text("", no_wrap=True, overflow="ellipsis")
    for piece in standings.picture:
        line.append(f"{piece.label} ", STYLES[piece.emphasis])
    line.rstrip()
    return line


def _heading(standings: Standings) -> Text:
    words = f"{standings.title}: {standings.tried} of {standings.of} tried"
    words = f"{words}, {standings.detail}" if standings.detail else words
    return Text(words, style="bold", no_wrap=True, overflow="ellipsis")


def _table(standings: Standings, rows: int) -> Table:
    table = titled_table("")  # one of its own would be broken at the width of the columns
    by_loss = any(one.loss is not None for one in standings.candidates)
    table.add_column(standings.column, min_width=8, max_width=LONGEST_NAME)
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
    name = Text(one.label, no_wrap=True, overflow="ellipsis")
    score, behind = numbers.metric(one.score), known(one.behind, "{:.4f}".format)
    if not by_loss:
        return [name, score, behind or numbers.MISSING]
    probability = known(one.probability, lambda found: f"{min(found, 0.999):.2f}")
    cells = known(one.loss, "{:.4f}".format), score, behind, probability
    return [name, *(cell or numbers.MISSING for cell in cells)]
