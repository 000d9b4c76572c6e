"""Progress on stderr: a bar and a leaderboard on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn
from rich.progress import Progress as RichProgress
from rich.table import Column
from rich.text import Text

from glp_export.core.numbers import duration
from glp_export.core.progress import Meter, Progress, Standings
from glp_export.report.leaderboard import leaderboard, standings_line

REDRAWS_A_SECOND = 2
SECONDS_BETWEEN_LINES = 30.0
"""Of a stage in a log."""
_LEAST_WAIT = 0.05
LEAST_SECONDS = 1.0
"""Work of less time than this says nothing of the rest: first steps warm up."""
BOARD_ROWS, OTHER_LINES = 5, 8
"""Of the leaderboard, where the terminal has room for them, and the lines around them."""
_NOTHING = 1e-9
"""Marks the start of work: rich takes the pace from the first change on."""


class ConsoleHandler(logging.Handler):
    """Log messages as lines of a console, above what is drawn there."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Print one message."""
        try:
            self._console.print(Text(self.format(record)), soft_wrap=True)
        except Exception:
            self.handleError(record)


def make_progress(quiet: bool = False, verbose: int = 0) -> Progress:
    """Send messages and progress to stderr, as verbose as was asked for."""
    stderr = Console(stderr=True)
    asked = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    level = logging.ERROR if quiet else asked
    logging.basicConfig(level=level, handlers=[ConsoleHandler(stderr)])
    logging.getLogger("glp_export").setLevel(level)
    return progress_for(stderr, quiet, verbose)


def progress_for(console: Console, quiet: bool = False, verbose: int = 0) -> Progress:
    """The progress that fits a console: none, bars, or lines.

    A forced colour makes a log no terminal.
    """
    drawn = console.is_interactive and console.file.isatty()
    return Progress() if quiet else ConsoleProgress(console, verbose, drawn=drawn)


class ConsoleProgress(Progress):
    """A line for each stage; on a terminal a bar while it runs, in a log a line now and then.

    Args:
        console: of stderr.
        verbose: also tell what came of every unit of work.
        drawn: whether lines can be drawn anew.
    """

    def __init__(self, console: Console, verbose: int = 0, *, drawn: bool = False) -> None:
        self.console = console
        self.verbose = verbose
        self.drawn = drawn
        self._bar: StageBar | None = None
        self._done = 0
        self._ahead: int | None = None
        self._start = time.perf_counter()

    @contextmanager
    def stage(self, title: str, total: int | None = None) -> Iterator[Meter]:
        """Show how far the stage is while it runs, and print its time when it is done."""
        if self.verbose and not self.drawn:
            self.line(f"{title} …")
        start, outer = time.perf_counter(), self._bar
        self._bar = bar = StageBar(self, title, total)
        try:
            with bar:
                yield StageMeter(bar)
        finally:
            self._bar = outer
        seconds = time.perf_counter() - start
        self._end(f"{title}: {f'{seconds:.1f} s' if seconds < 60 else duration(seconds)}")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Draw at calls of the meter alone, which come between the runs that count.

        A thread that draws would take its time from them.
        """
        if self._bar is None:
            yield
            return
        bar = self._bar
        bar.redraw_by_itself(False)
        bar.paused = True
        try:
            yield
        finally:
            bar.paused = False

    def expect(self, stages: int) -> None:
        """Take the number of stages that are still to come."""
        self._ahead = stages

    def skip(self, title: str, reason: str) -> None:
        """Count a stage that is not needed, and print why."""
        self._end(f"{title}: {reason}")

    def say(self, message: str) -> None:
        """Print one line."""
        self.line(f"  {message}")

    def line(self, text: str, style: str = "") -> None:
        """Print one line as it is, however long."""
        self.console.print(Text(text, style=style), soft_wrap=True)

    @property
    def innermost(self) -> StageBar | None:
        """The stage that is at work."""
        return self._bar

    def overall(self) -> Text:
        """The line under the bar: stages done and left, and the time since the start."""
        spent = duration(time.perf_counter() - self._start)
        if self._ahead is None:
            return Text(f"{spent} in all", style="dim")
        return Text(f"{self._done} stages done, {self.stages_left()}, {spent}", style="dim")

    def stages_left(self) -> str:
        """How many stages come after this one; empty where that is not known."""
        return "" if self._ahead is None else f"{max(0, self._ahead - 1)} left after this"

    def _end(self, words: str) -> None:
        mark = Text("✓ ", "green") if self.drawn else Text()
        self.console.print(Text.assemble(mark, words), soft_wrap=True)
        self._done += 1
        self._ahead = self._ahead and self._ahead - 1


class WordsColumn(ProgressColumn):
    """One line of words about a stage; what gives way where the terminal is narrow."""

    def __init__(self, words: Callable[[Task], str], **options: Any) -> None:
        super().__init__(**options)
        self._words = words

    def render(self, task: Task) -> Text:
        """The line."""
        return Text(self._words(task), no_wrap=True, overflow="ellipsis")


def time_words(task: Task) -> str:
    """The time since the stage began, and the time that is left where it can be told."""
    spent = duration(task.get_time() - task.fields["since"])
    left = task.time_remaining
    if left is None or (task.elapsed or 0.0) < LEAST_SECONDS:
        return spent
    bound = "at most" if task.fields["at_most"] else "about"
    return f"{spent}, {bound} {duration(left + task.fields['later'])} left"


class StageBar(RichProgress):
    """A stage on a terminal or in a log: rich counts, and draws where that is possible."""

    def __init__(self, progress: ConsoleProgress, title: str, total: int | None) -> None:
        self.of = progress
        self.standings: Standings | None = None
        self.paused = False
        self.told, self.redrawn = time.perf_counter(), 0.0
        self._watcher: threading.Thread | None = None
        self._ended = threading.Event()
        one_line = Column(no_wrap=True)
        super().__init__(
            WordsColumn(lambda task: task.description),
            BarColumn(14, table_column=one_line.copy()),
            TextColumn("{task.fields[counted]}", table_column=one_line.copy()),
            WordsColumn(time_words, table_column=one_line.copy()),
            console=progress.console,
            refresh_per_second=REDRAWS_A_SECOND,
            speed_estimate_period=float("inf"),  # one unit may take minutes
            transient=True,
            disable=not progress.drawn,
        )
        task = self.add_task(title, total=total, since=self.get_time())
        self.update(task, counted="", note="", at_most=False, later=0.0)

    def __enter__(self) -> Self:
        if not self.of.drawn:
            self._watcher = threading.Thread(target=self._watch, daemon=True)
            self._watcher.start()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        self._ended.set()
        if self._watcher is not None:
            self._watcher.join()
        super().__exit__(*error)

    @property
    def task(self) -> Task:
        """The one that is there."""
        return self.tasks[0]

    def redraw_by_itself(self, wanted: bool) -> None:
        """Let rich's thread draw now and then, or stop it; a display cannot be started again."""
        self.stop()
        self.live = Live(
            console=self.console,
            auto_refresh=wanted,
            refresh_per_second=REDRAWS_A_SECOND,
            transient=True,
            get_renderable=self.get_renderable,
        )
        self.start()

    def changed(self) -> None:
        """Draw where no thread does; in a log print a line if the last one is long ago."""
        now = time.perf_counter()
        if self.of.drawn:
            if self.paused and now - self.redrawn >= 1 / REDRAWS_A_SECOND:
                self.redrawn = now
                self.refresh()
            elif not (self.paused or self.live.auto_refresh):
                self.redraw_by_itself(True)
        elif now - self.told >= SECONDS_BETWEEN_LINES:
            self.tell()

    def tell(self) -> None:
        """Print how far the stage is, and what is left of it and after it."""
        self.told = time.perf_counter()
        counted, note = self.task.fields["counted"], self.task.fields["note"]
        parts = [counted, note, time_words(self.task), self.of.stages_left()]
        self.of.line(f"  {self.task.description}: {', '.join(filter(None, parts))}")

    def tell_if_due(self) -> None:
        """In a log, tell of a stage whose meter says nothing for long; not between timings."""
        due = time.perf_counter() - self.told >= SECONDS_BETWEEN_LINES
        if due and not self.paused and self.of.innermost is self:
            self.tell()

    def _watch(self) -> None:
        """Look now and then whether a line is due, until the stage ends."""
        while not self._ended.wait(max(SECONDS_BETWEEN_LINES / 6, _LEAST_WAIT)):
            self.tell_if_due()

    def get_renderables(self) -> Iterable[RenderableType]:
        """The leaderboard if there is one, the bar, and the line of all stages."""
        if self.standings is not None:
            room = self.console.height - OTHER_LINES
            yield leaderboard(self.standings, max(1, min(BOARD_ROWS, room)))
            yield ""
        yield self.make_tasks_table(self.tasks)
        if self.tasks and self.standings is None and (note := self.task.fields["note"]):
            yield Text(f"  {note}", no_wrap=True, overflow="ellipsis")
        yield self.of.overall()


class StageMeter(Meter):
    """Counts the units of a stage, and what they cost, on its bar."""

    def __init__(self, bar: StageBar) -> None:
        self._bar = bar
        self._done = 0.0
        self._of: int | None = None
        if bar.task.total:
            self.begin(int(bar.task.total))

    def begin(
        self,
        total: int,
        *,
        cost: float | None = None,
        at_most: bool = False,
        later: float = 0.0,
    ) -> None:
        """Count from 0 to `total`."""
        self._done, self._of = 0.0, total
        task = self._bar.task.id
        self._bar.reset(task, total=total if cost is None else cost)
        counted = self._counted()
        self._bar.update(task, completed=_NOTHING, counted=counted, at_most=at_most, later=later)

    def update(self, done: float, total: int | None = None, note: str = "") -> None:
        """Take the count of units that cost alike."""
        if total and self._of != total:
            self.begin(total)
        self._done = max(done, self._done)
        self._bar.update(
            self._bar.task.id, completed=self._done, note=note, counted=self._counted()
        )
        self._bar.changed()

    def advance(self, note: str = "", *, cost: float = 1.0, known: bool = False) -> None:
        """Take one more unit; one that was known took no time, and sets no pace."""
        self._done += 1
        task = self._bar.task
        if known and task.total is not None:
            task.total = max(task.total - cost, task.completed)  # an update would forget the pace
        else:
            self._bar.advance(task.id, cost)
        self._bar.update(task.id, note=note, counted=self._counted())
        if note and self._bar.of.verbose:
            self._bar.of.line(f"  {note}", "dim" if self._bar.of.drawn else "")
        self._bar.changed()

    def show(self, standings: Standings) -> None:
        """Draw the leaderboard; a comparison that is complete leaves its winner's line."""
        self._bar.standings = standings
        if standings.complete:
            self._bar.of.line(f"  {standings_line(standings)}")
        self._bar.changed()

    def _counted(self) -> str:
        """`3/12`; `3` where nobody knows of how many, nothing where nothing is counted."""
        done = int(self._done)
        return f"{done}/{self._of}" if self._of else str(done or "")
