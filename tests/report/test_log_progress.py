"""Progress where lines cannot be drawn anew: what is printed stays, so little is."""

from __future__ import annotations

import io
import logging
import re
import threading

import pytest
from rich.console import Console

from glp_export.core.progress import Progress
from glp_export.report import progress as module
from glp_export.report.progress import ConsoleHandler, progress_for
from tests.report.test_leaderboard import STANDINGS, replace


def told(work, **arguments) -> list[str]:
    """The lines that a job leaves in a log; times become `T`."""
    console = Console(file=io.StringIO(), width=80)
    work(progress_for(console, **arguments))
    lines = console.file.getvalue().splitlines()
    return [re.sub(r"\d+\.\d s", "T", line) for line in lines]


def job(progress: Progress) -> None:
    progress.say("trec: 6 labels [bold], " + "very " * 20 + "long")
    progress.skip("fine-tune the search's teacher", "in the cache")
    with progress.stage("search (greedy)") as meter:
        meter.begin(2, cost=7.0)
        meter.advance("without 0: accuracy 0.5, 1.0 s", cost=4.0)
        meter.show(STANDINGS)
        meter.advance("without 1: accuracy 0.6, 1.0 s", cost=3.0)
        meter.show(replace(STANDINGS, tried=5))
    with progress.stage("score on test", 3) as meter, progress.paused():
        meter.update(3)


WINNER = "  step 2 of 3: removed layer 3 (accuracy 0.884); layer 1 was next: 91 % sure"


def test_a_stage_is_one_line_and_so_is_a_step_of_the_search():
    first, *rest = told(job)
    assert first.startswith("  trec: 6 labels [bold], very very")
    assert first.endswith("long")  # not broken at 80 columns: logs are searched by line
    assert rest == [
        "fine-tune the search's teacher: in the cache",
        WINNER,
        "search (greedy): T",
        "score on test: T",
    ]


def test_verbose_tells_every_candidate_and_when_a_stage_begins():
    lines = told(job, verbose=1)
    assert "search (greedy) …" in lines
    assert "  without 0: accuracy 0.5, T" in lines
    assert lines.index("  without 1: accuracy 0.6, T") < lines.index(WINNER)


def test_a_long_stage_leaves_a_line_now_and_then(monkeypatch):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.0)
    lines = told(job)
    assert any(line.startswith("  search (greedy): 1/2, without 0") for line in lines)
    assert any(line.startswith("  score on test: 3/3") for line in lines)


def test_a_stage_whose_meter_is_silent_leaves_a_line_too(monkeypatch):
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LINES", 0.05)
    told_of = threading.Event()

    class Watched(io.StringIO):
        def write(self, text: str) -> int:
            if "fine-tune" in text:
                told_of.set()
            return super().write(text)

    console = Console(file=Watched(), width=80)
    progress = progress_for(console)
    progress.expect(3)
    with progress.stage("fine-tune"):
        assert told_of.wait(30)
    assert "2 left after this" in console.file.getvalue()


def test_no_thread_writes_while_runs_are_timed():
    console = Console(file=io.StringIO(), width=80)
    progress = progress_for(console)
    with progress.stage("measure"):
        bar = progress.innermost
        bar.told -= 100  # a line is due
        with progress.paused():
            bar.tell_if_due()
            assert console.file.getvalue() == ""
        bar.tell_if_due()
        assert "measure" in console.file.getvalue()


def test_quiet_tells_nothing():
    assert told(job, quiet=True, verbose=2) == []


def test_a_stage_that_fails_is_not_reported_done():
    def fails(progress):
        with progress.stage("search"):
            raise KeyError

    console = Console(file=io.StringIO(), width=80)
    with pytest.raises(KeyError):
        fails(progress_for(console))
    assert console.file.getvalue() == ""


def test_messages_of_the_log_are_lines_as_they_are():
    console = Console(file=io.StringIO(), width=40)
    logger = logging.Logger("transformers.trainer")
    logger.addHandler(ConsoleHandler(console))
    logger.warning("a [red]long[/] %s", "line " * 20)
    (line,) = console.file.getvalue().splitlines()
    assert line.startswith("WARNING transformers.trainer: a [red]long[/] line line")
