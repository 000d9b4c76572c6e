"""Progress on a real pseudo-terminal: what is seen while it runs, and what is left."""

from __future__ import annotations

import re
import sys

import pytest

from tests.cli.screen import Shown, on_terminal

JOB = """
import logging, sys, time
from dataclasses import replace
from glp_export.report.progress import make_progress
from tests.report.test_leaderboard import STANDINGS

progress = make_progress(verbose=int(sys.argv[1]))
progress.expect(3)
progress.skip("fine-tune the search's teacher", "in the cache")
with progress.stage("search (fast-greedy)") as meter:
    meter.begin(5, cost=10.0, at_most=True)
    for number in range(1, 6):
        time.sleep(0.6)
        meter.advance(f"candidate {number}", cost=2.0)
        meter.show(replace(STANDINGS, tried=number))
        if number == 2:
            print("a library prints")
            logging.warning("a library warns")
with progress.stage("a stage whose name is longer than the terminal is wide " * 2) as meter:
    with progress.paused():
        meter.update(1, 4, "1x16, round 3 of 10")
        time.sleep(0.7)
        meter.update(2, 4, "4x16, round 3 of 10")
        time.sleep(0.7)
"""


def job(size: tuple[int, int] = (24, 80), verbose: int = 0, **environment: str) -> Shown:
    command = [sys.executable, "-c", JOB, str(verbose)]
    shown = on_terminal(command, size=size, environment=environment, stdout_too=True)
    assert shown.code == 0, shown.raw
    return shown


@pytest.fixture(scope="module")
def shown() -> Shown:
    return job()


def test_what_is_left_is_a_line_a_stage_and_a_line_a_step(shown: Shown):
    left = " ".join(shown.left).split("✓ ")
    assert left[1].startswith("fine-tune the search's teacher: in the cache")
    assert "step 2 of 3: removed layer 3 (accuracy 0.884)" in left[1]
    assert "a library prints" in left[1]
    assert "WARNING root: a library warns" in left[1]
    assert left[2].startswith("search (fast-greedy): ")
    assert "left" not in " ".join(shown.left)
    assert "first better" not in " ".join(shown.left)


def test_while_it_runs_it_shows_the_board_the_time_left_and_the_stages(shown: Shown):
    assert "first better" in shown.ever
    assert "step 2 of 3: 3 of 5 tried" in shown.ever
    assert "3/5" in shown.ever
    assert "at most 1 s left" in shown.ever or "at most 2 s left" in shown.ever
    assert "1 stages done, 1 left after this" in shown.ever
    assert "2 stages done, 0 left after this" in shown.ever


def test_the_part_that_is_drawn_anew_stays_small_and_within_the_terminal(shown: Shown):
    assert shown.tallest <= 12
    small = job(size=(10, 60))
    assert small.tallest < 10
    bars = re.findall(r"search \(fast[^\n]*? left", small.ever)
    assert bars
    assert max(map(len, bars)) <= 60


def test_while_latencies_are_measured_it_is_drawn_at_calls_alone(shown: Shown):
    assert shown.ever.count("1x16, round 3 of 10") == 1
    assert shown.ever.count("4x16, round 3 of 10") <= 2  # the call, and the last look at the end


def test_colour_follows_what_the_user_has_set(shown: Shown):
    assert "\x1b[32m✓" in shown.raw
    plain = job(NO_COLOR="1")
    assert "\x1b[32m" not in plain.raw
    assert "first better" in plain.ever


def test_a_dumb_terminal_gets_lines():
    shown = job(TERM="dumb")
    assert "\x1b[" not in shown.raw
    assert "first better" not in shown.raw
    assert "search (fast-greedy): " in shown.raw


def test_forced_colour_does_not_make_a_log_a_terminal():
    import os
    import subprocess

    environment = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    done = subprocess.run(
        [sys.executable, "-c", JOB, "0"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "first better" not in done.stderr
    assert "\x1b[2K" not in done.stderr
    assert done.stdout == "a library prints\n"


def test_verbose_tells_every_candidate_above_the_bar():
    left = job(verbose=1).left
    assert [line for line in left if line.strip().startswith("candidate")] == [
        f"  candidate {number}" for number in range(1, 6)
    ]
