"""Progress in a log: a line a stage, and a line a step of a search."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from glp_export.cli.progress.messages import Told
from glp_export.cli.progress.meter import StageMeter
from glp_export.core.progress import Meter, Standings
from glp_export.report.leaderboard import standings_line

SECONDS_BETWEEN_LINES = 20.0


class LineProgress(Told):
    """One line when a stage ends; with -v also when it starts and now and then within it."""

    @contextmanager
    def stage(self, title: str, total: int | None = None) -> Iterator[Meter]:
        """Print the stage's time, and of a search each step's winner."""
        if self.verbose:
            self.line(f"{title} …")
        meter = _LineMeter(self, title, total)
        yield meter
        self.finished(title, meter.seconds)


class _LineMeter(StageMeter):
    """A stage in a log."""

    def __init__(self, progress: LineProgress, title: str, total: int | None) -> None:
        super().__init__(total)
        self._progress = progress
        self._title = title
        self._last = time.perf_counter()

    def noted(self, note: str) -> None:
        if self._progress.verbose and note:
            self._progress.line(f"  {note}")

    def changed(self) -> None:
        if not self._progress.verbose:
            return
        now = time.perf_counter()
        if now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            parts = [f"  {self._title}: {self.counted()}", self.note, self.time_words()]
            self._progress.line(", ".join(part for part in parts if part.strip()))

    def show(self, standings: Standings) -> None:
        if standings.complete:
            self._progress.line(f"  {standings_line(standings)}")
