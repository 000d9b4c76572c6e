"""Progress on a terminal: bars with the time left; plain lines where stderr is no terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from glp_export.progress import Meter, Progress

SECONDS_BETWEEN_LINES = 20.0


class TerminalProgress(Progress):
    """Bars on stderr."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def stage(self, title: str, total: int | None = None) -> Iterator[Meter]:
        """Show a bar while the stage runs and one line when it is done."""
        start = time.perf_counter()
        bars = Bars(
            TextColumn("{task.description:<22}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=self._console,
            transient=True,
        )
        with bars:
            yield _BarMeter(bars, bars.add_task(title, total=total, note=""))
        self._console.print(f"[green]✓[/] {title:<28} {time.perf_counter() - start:6.1f} s")

    def say(self, message: str) -> None:
        """Print one line."""
        self._console.print(f"  {message}", highlight=False, soft_wrap=True)


class _BarMeter(Meter):
    def __init__(self, bars: Bars, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        self._bars.update(self._task, completed=done, total=total, note=note)

    def advance(self, note: str = "") -> None:
        self._bars.update(self._task, advance=1, note=note)


class LineProgress(Progress):
    """One line when a stage starts, now and then within it, and when it ends."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def stage(self, title: str, total: int | None = None) -> Iterator[Meter]:
        """Print the stage's title, its progress at intervals, and its time."""
        start = time.perf_counter()
        self._console.print(f"{title} …", highlight=False, soft_wrap=True)
        yield _LineMeter(self._console, title, total)
        self._console.print(
            f"{title}: {time.perf_counter() - start:.1f} s", highlight=False, soft_wrap=True
        )

    def say(self, message: str) -> None:
        """Print one line."""
        self._console.print(f"  {message}", highlight=False, soft_wrap=True)


class _LineMeter(Meter):
    def __init__(self, console: Console, title: str, total: int | None) -> None:
        self._console = console
        self._title = title
        self._total = total
        self._done = 0
        self._last = time.perf_counter()

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        self._done, self._total = done, total or self._total
        if time.perf_counter() - self._last >= SECONDS_BETWEEN_LINES:
            self._last = time.perf_counter()
            of = f" of {self._total}" if self._total else ""
            self._console.print(
                f"  {self._title}: {done}{of} {note}", highlight=False, soft_wrap=True
            )

    def advance(self, note: str = "") -> None:
        self.update(self._done + 1, None, note)


def progress_for(console: Console, quiet: bool = False) -> Progress:
    """The progress that fits a console: none, bars, or lines."""
    if quiet:
        return Progress()
    return TerminalProgress(console) if console.is_terminal else LineProgress(console)
