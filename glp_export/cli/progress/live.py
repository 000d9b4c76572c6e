"""Progress that is drawn anew: a bar, the leaderboard of a search, the count of stages."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from glp_export.cli.progress.messages import Told
from glp_export.cli.progress.meter import StageMeter
from glp_export.core.numbers import duration
from glp_export.core.progress import Meter, Standings
from glp_export.report.leaderboard import leaderboard, standings_line

REDRAWS_A_SECOND = 2
BOARD_ROWS = 5
"""Of the leaderboard, where the terminal has room for them."""
OTHER_LINES = 8
"""Around those rows: heads, stack, bar, stages."""


class TerminalProgress(Told):
    """Bars on a terminal, gone when a stage ends; a line stays."""

    mark = Text("✓ ", "green")

    def __init__(self, console: Console, verbose: int = 0) -> None:
        super().__init__(console, verbose)
        self.may_draw = threading.Event()
        self.may_draw.set()

    @contextmanager
    def stage(self, title: str, total: int | None = None) -> Iterator[Meter]:
        """Show a bar with the time left while the stage runs, and one line when it is done."""
        meter = _LiveMeter(self, title, total)
        with Live(
            get_renderable=meter.view, console=self.console, auto_refresh=False, transient=True
        ) as live:
            meter.live = live
            live.refresh()
            with _redrawn(live, self.may_draw):
                yield meter
        self.finished(title, meter.seconds)

    @contextmanager
    def still(self) -> Iterator[None]:
        """Draw at calls of the meter alone, which come between the runs that count.

        A thread that draws would take its time from them.
        """
        self.may_draw.clear()
        try:
            yield
        finally:
            self.may_draw.set()

    def overall(self) -> Text:
        """The line under the bar: stages done and left, and the time since the start."""
        spent = duration(time.perf_counter() - self._start)
        if self._ahead is None:
            return Text(f"{spent} in all", style="dim")
        left = max(0, self._ahead - 1)
        return Text(f"{self._done} stages done, {left} left after this, {spent}", style="dim")


@contextmanager
def _redrawn(live: Live, may_draw: threading.Event) -> Iterator[None]:
    """Draw anew now and then, from a thread that sleeps while it may not."""
    over = threading.Event()

    def draw() -> None:
        while not over.wait(1 / REDRAWS_A_SECOND):
            may_draw.wait()
            if not over.is_set():
                live.refresh()

    thread = threading.Thread(target=draw, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        may_draw.set()
        thread.join()


class _LiveMeter(StageMeter):
    """A stage on a terminal.

    Attributes:
        live: where it is drawn.
    """

    def __init__(self, progress: TerminalProgress, title: str, total: int | None) -> None:
        super().__init__(total)
        self.live: Live | None = None
        self._progress = progress
        self._title = title
        self._drawn = 0.0
        self._standings: Standings | None = None

    def noted(self, note: str) -> None:
        if self._progress.verbose and note:
            self._progress.line(f"  {note}", "dim")

    def changed(self) -> None:
        now = time.perf_counter()
        calls_only = not self._progress.may_draw.is_set()
        if self.live and calls_only and now - self._drawn >= 1 / REDRAWS_A_SECOND:
            self._drawn = now
            self.live.refresh()

    def show(self, standings: Standings) -> None:
        self._standings = standings
        if standings.complete:
            self._progress.line(f"  {standings_line(standings)}")
        self.changed()

    def view(self) -> RenderableType:
        """The leaderboard if there is one, the bar, and the line of all stages."""
        parts: list[RenderableType] = []
        if self._standings is not None:
            room = self._progress.console.height - OTHER_LINES
            parts += [leaderboard(self._standings, max(1, min(BOARD_ROWS, room))), ""]
        parts.append(self._bar())
        if self.note and self._standings is None:
            parts.append(_one_line(f"  {self.note}"))
        return Group(*parts, self._progress.overall())

    def _bar(self) -> Table:
        row = Table.grid(padding=(0, 1))
        row.add_column()  # the one that gives way where the terminal is narrow
        for _ in range(3):
            row.add_column(no_wrap=True)
        bar = ProgressBar(self.cost, self.paid, width=14) if self.total else ""
        row.add_row(_one_line(self._title), bar, self.counted(), self.time_words())
        return row


def _one_line(text: str) -> Text:
    return Text(text, no_wrap=True, overflow="ellipsis")
