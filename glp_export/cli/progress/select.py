"""Which progress fits stderr, and where messages of the log go."""

from __future__ import annotations

import logging

from rich.console import Console
from rich.text import Text

from glp_export.cli.progress.live import TerminalProgress
from glp_export.cli.progress.log import LineProgress
from glp_export.core.progress import Progress


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


def can_draw(console: Console) -> bool:
    """Whether lines can be drawn anew there: a forced colour makes a log no terminal."""
    return console.is_interactive and console.file.isatty()


def progress_for(console: Console, quiet: bool = False, verbose: int = 0) -> Progress:
    """The progress that fits a console: none, bars, or lines."""
    if quiet:
        return Progress()
    told = TerminalProgress if can_draw(console) else LineProgress
    return told(console, verbose)


def listen(quiet: bool = False, verbose: int = 0) -> Progress:
    """Send messages and progress to stderr, as loud as was asked for."""
    stderr = Console(stderr=True)
    has_outliers = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    level = logging.ERROR if quiet else has_outliers
    logging.basicConfig(level=level, handlers=[ConsoleHandler(stderr)])
    logging.getLogger("glp_export").setLevel(level)
    return progress_for(stderr, quiet, verbose)
