"""What a terminal and a log have in common."""

from __future__ import annotations

import time

from rich.console import Console
from rich.text import Text

from glp_export.core.numbers import duration
from glp_export.core.progress import Progress


class Told(Progress):
    """What a terminal and a log have in common: the count of stages, and plain lines.

    Args:
        console: of stderr.
        verbose: also tell what came of every unit of work.

    Attributes:
        mark: before the line that stays of a stage.
    """

    mark = Text()

    def __init__(self, console: Console, verbose: int = 0) -> None:
        self.console = console
        self.verbose = verbose
        self._done = 0
        self._ahead: int | None = None
        self._start = time.perf_counter()

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

    def finished(self, title: str, seconds: float) -> None:
        """Print the line that stays of a stage."""
        spent = f"{seconds:.1f} s" if seconds < 60 else duration(seconds)
        self._end(f"{title}: {spent}")

    def _end(self, words: str) -> None:
        self.console.print(Text.assemble(self.mark, words), soft_wrap=True)
        self._done += 1
        if self._ahead:
            self._ahead -= 1
