"""Two processes on one output and on one cache, clocks that jump, a worker that dies."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glp_export.cache.store import Cache
from tests.faults.conftest import TinyRun, is_absent_or_whole, left_beside, plan_of
from tests.faults.processes import carry_out, command, fork, how_many, wait


def test_of_two_runs_on_one_output_one_ends_with_8(
    tiny_run: TinyRun, tmp_path: Path, tally: Any
) -> None:
    for trial in range(how_many(few=2, full=5)):
        output = tmp_path / str(trial) / "out"
        logs = [tmp_path / f"log{number}" for number in range(2)]
        children = [
            fork(tiny_run.to(output, "none", "--depth", depth, "--overwrite"), log)
            for log, depth in zip(logs, ("2", "3"), strict=True)
        ]
        ended = [wait(child, log) for child, log in zip(children, logs, strict=True)]
        codes = sorted(one.code for one in ended)
        assert codes == [0, 8], ended
        assert "Another run" in "".join(one.said for one in ended)
        assert is_absent_or_whole(output) == "whole"
        verified = carry_out(command("verify", output, "-q"), logs[0])
        assert verified.code == 0, verified
        assert left_beside(output) == set()
        tally.add("two runs on one output", "0 and 8")


def test_two_runs_on_one_cache_share_it(tiny_run: TinyRun, tmp_path: Path, tally: Any) -> None:
    for trial in range(how_many(few=1, full=5)):
        cache = tmp_path / f"cache{trial}"
        outputs = [tmp_path / f"out{trial}{number}" for number in range(2)]
        logs = [output.with_suffix(".log") for output in outputs]
        children = [
            fork(tiny_run.to(output, cache), log) for output, log in zip(outputs, logs, strict=True)
        ]
        ended = [wait(child, log) for child, log in zip(children, logs, strict=True)]
        assert [one.code for one in ended] == [0, 0], ended
        assert [plan_of(output)[0] for output in outputs] == [tiny_run.plan[0]] * 2
        assert len([entry for entry in Cache(cache).entries() if entry.kind == "teacher"]) == 1
        tally.add("two runs on one cache", "0 and 0, one teacher, one plan")


def jumping(work: Callable[[], int], offsets: tuple[float, ...]) -> Callable[[], int]:
    """The work under a wall clock that jumps at every look."""

    def disturbed() -> int:
        real, looks = time.time, [0]

        def looked() -> float:
            looks[0] += 1
            return real() + offsets[looks[0] % len(offsets)]

        time.time = looked
        return work()

    return disturbed


YEAR = 365.0 * 86400


@pytest.mark.parametrize("offsets", [(0.0, 3600.0, -3600.0), (-20 * YEAR,), (50 * YEAR, 0.0)])
def test_a_clock_that_jumps_changes_nothing(
    tiny_run: TinyRun, tmp_path: Path, tally: Any, offsets: tuple[float, ...]
) -> None:
    output = tmp_path / "out"
    ended = carry_out(jumping(tiny_run.to(output), offsets), tmp_path / "log")
    assert ended.code == 0, ended
    assert plan_of(output) == tiny_run.plan
    tally.add("clock that jumps", "the same plan")


def fill(place: Path) -> None:
    (place / "x").write_text("x")


@pytest.mark.parametrize("when", [-10 * YEAR, 0.0, 100 * YEAR])
def test_times_of_another_age_do_no_harm_to_a_cache(
    tmp_path: Path, tally: Any, when: float
) -> None:
    cache = Cache(tmp_path / "cache")
    entry = cache.get_or_make("teacher", {"a": 1}, fill)
    for path in (entry, *entry.iterdir()):
        os.utime(path, (when, when))
    assert [one.key for one in cache.entries()] == [entry.name]
    assert cache.find("teacher", {"a": 1}) == entry
    cache.prune(max_bytes=10**9)
    assert entry.is_dir()
    tally.add("cache of another age", "whole")


def test_a_worker_that_dies_is_replaced(tiny_run: TinyRun, tmp_path: Path, tally: Any) -> None:
    """A worker of Ray is killed in the middle of its first trial."""
    pytest.importorskip("ray")
    output, log = tmp_path / "out", tmp_path / "log"
    child = fork(tiny_run.to(output, "none", "--workers", "ray"), log)
    victim = None
    until = time.monotonic() + 240
    while victim is None and time.monotonic() < until:
        victim = next(iter(workers_of(child)), None)
        time.sleep(0.05)
    if victim is not None:
        os.kill(victim, signal.SIGKILL)
    ended = wait(child, log)
    assert victim is not None, ended
    assert ended.code == 0, ended
    assert plan_of(output)[0] == tiny_run.plan[0]
    tally.add("worker of Ray killed", "replaced, the same plan")


def workers_of(process: int) -> list[int]:
    """Workers of Ray below a process that carry out a trial."""
    import psutil

    try:
        found = psutil.Process(process).children(recursive=True)
        return [one.pid for one in found if "ray::run_trial" in " ".join(one.cmdline())]
    except psutil.Error:
        return []
