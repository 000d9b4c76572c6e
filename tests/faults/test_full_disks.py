"""A disk that is full, of the output and of the cache, or read only: 8, and on from there."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.conftest import TinyRun, enlarge, is_absent_or_whole, mounted, plan_of
from tests.faults.processes import DONE, carry_out, command, how_many

ROOM = 64_000_000


def sizes(low: int, high: int, few: int) -> list[int]:
    """Sizes of a disk, evenly spread."""
    count = how_many(few, full=20)
    return [low + (high - low) * number // count for number in range(DONE, count)]


def bytes_below(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())


def test_a_run_on_a_full_disk_ends_with_8_and_goes_on(
    tiny_run: TinyRun, whole: Path, tmp_path: Path, tally: Any
) -> None:
    log = tmp_path / "log"
    for size in sizes(40_000, 2 * bytes_below(whole), few=4):
        with mounted(tmp_path / "disk", size) as disk:
            output = disk / "out"
            ended = carry_out(tiny_run.to(output), log)
            assert ended.code in (0, 8), (size, ended)
            if ended.code == 8:
                assert is_absent_or_whole(output) == "absent", size
                assert "do:" in ended.said
                enlarge(disk, ROOM)
                kept = (disk / "out.partial" / "work" / "run.yaml").is_file()
                again = (
                    tiny_run.resumed(output, log)
                    if kept
                    else carry_out(tiny_run.to(output, "none", "--overwrite"), log)
                )
                assert again.code == 0, (size, again)
            assert is_absent_or_whole(output) == "whole"
            assert plan_of(output) == tiny_run.plan, size
            tally.add("disk of the output full", f"exit {ended.code}, then the same plan")


def test_an_export_on_a_full_disk_ends_with_8(
    classifier: Path, whole: Path, tmp_path: Path, tally: Any
) -> None:
    log = tmp_path / "log"
    flags = ("--optimize", "none", "--seq-lens", "8", "--threads", "1", "--device", "cpu", "-q")
    for size in sizes(8_000, bytes_below(whole), few=4):
        with mounted(tmp_path / "disk", size) as disk:
            ended = carry_out(command("export", classifier, "-o", disk / "out", *flags), log)
            assert ended.code in (0, 8), (size, ended)
            state = is_absent_or_whole(disk / "out")
            assert state == ("whole" if ended.code == 0 else "absent"), size
            tally.add("disk of an export full", f"exit {ended.code}, {state}")


def test_a_full_disk_of_the_cache_ends_with_8_and_goes_on(
    tiny_run: TinyRun, tmp_path: Path, tally: Any
) -> None:
    log = tmp_path / "log"
    for number, size in enumerate(sizes(8_000, 400_000, few=4)):
        output = tmp_path / f"out{number}"
        with mounted(tmp_path / "disk", size) as disk:
            ended = carry_out(tiny_run.to(output, disk), log)
            assert ended.code in (0, 8), (size, ended)
            if ended.code == 8:
                assert is_absent_or_whole(output) == "absent", size
                assert "ache" in ended.said, ended.said
                enlarge(disk, ROOM)
                again = tiny_run.resumed(output, log)
                assert again.code == 0, (size, again)
            assert plan_of(output) == tiny_run.plan, size
        tally.add("disk of the cache full", f"exit {ended.code}, then the same plan")
        shutil.rmtree(output)


def limited(most: int, work: Callable[[], int]) -> Callable[[], int]:
    """The work in a process that may write no file larger than that."""

    def smaller() -> int:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        return work()

    return smaller


def test_files_that_may_not_be_so_large_end_with_8(
    tiny_run: TinyRun, tmp_path: Path, tally: Any
) -> None:
    log = tmp_path / "log"
    for number, most in enumerate(sizes(1_000, 150_000, few=3)):
        output = tmp_path / f"out{number}"
        ended = carry_out(limited(most, tiny_run.to(output)), log)
        assert ended.code in (0, 8), (most, ended)
        state = is_absent_or_whole(output)
        assert state == ("whole" if ended.code == 0 else "absent")
        tally.add("limit of a file's size", f"exit {ended.code}, {state}")


@pytest.mark.parametrize("what", ["output", "cache"])
def test_a_read_only_place_ends_with_8(
    tiny_run: TinyRun, tmp_path: Path, tally: Any, what: str
) -> None:
    log = tmp_path / "log"
    with mounted(tmp_path / "disk", 1_000_000, read_only=True) as disk:
        output = disk / "out" if what == "output" else tmp_path / "out"
        ended = carry_out(tiny_run.to(output, "none" if what == "output" else disk), log)
    assert ended.code == 8, ended
    assert not output.exists()
    tally.add(f"read-only {what}", "exit 8, absent")
