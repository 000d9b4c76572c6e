"""Forked processes that run the command, and die at a chosen change of the file system.

A fork has every library loaded already, so a trial takes as long as its work. Which change it dies
at is counted by an audit hook: opening a file for writing, renaming, removing, making a directory.
The kill is SIGKILL, of the process by itself, right before the change.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COUNTS = int(os.environ.get("GLP_EXPORT_FAULTS", "0"))
"""Points of every kind of fault; 1 for all of them, 0 for the few that each test names."""
DONE = int(os.environ.get("GLP_EXPORT_FAULTS_DONE", "0"))
"""Points of every kind that a suite which was cut short has done: the first ones, left out."""

_CHANGES = {
    *("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.utime", "os.link"),
    *("shutil.rmtree", "shutil.copyfile", "shutil.move", "os.chmod"),
}
PATIENCE = 600


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code, or minus the signal; what it wrote to stderr."""

    code: int
    said: str


def how_many(few: int, full: int) -> int:
    """Trials of one kind of fault."""
    return {0: few, 1: full}.get(COUNTS, min(COUNTS, full))


def points(total: int, few: int, seed: int, full: int = 50) -> list[int]:
    """Different random changes out of `total`, from 1; the same for the same seed."""
    wanted = min(total, how_many(few, full))
    return sorted(random.Random(seed).sample(range(1, total + 1), wanted))[DONE:]


def fork(work: Callable[[], int | None], log: Path) -> int:
    """Do some work in a child, whose exit code is what it returns; the child's id."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(descriptor, stream)
        sys.stdout, sys.stderr = (os.fdopen(stream, "w", closefd=False) for stream in (1, 2))
        code = work() or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # no clean-up of the parent's fixtures


def wait(child: int, log: Path) -> Ended:
    """Wait until a child has ended."""
    until = time.monotonic() + PATIENCE
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            break
        if time.monotonic() > until:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise TimeoutError(f"no end after {PATIENCE} s: {log.read_text()[-2000:]}")
        time.sleep(0.02)
    return Ended(os.waitstatus_to_exitcode(status), log.read_text(errors="replace"))


def carry_out(work: Callable[[], int | None], log: Path) -> Ended:
    """Do some work in a child and wait for it."""
    return wait(fork(work, log), log)


def watch_changes(below: Path, change: Callable[[int], None]) -> None:
    """Call `change` with the number of every change below a directory, before it is made."""
    count = 0
    root = str(below)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event == "open":
            path, mode, flags = arguments
            written = (flags or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            if not written and not (mode and set(mode) & set("wax+")):
                return
        elif event not in _CHANGES:
            return
        else:
            path = arguments[0]
        if isinstance(path, bytes):
            path = os.fsdecode(path)
        if str(path).startswith(root):
            count += 1
            change(count)

    sys.addaudithook(hook)


def killed_at(number: int, below: Path, work: Callable[[], int | None]) -> Callable[[], int | None]:
    """The work, whose process is killed right before that change."""

    def until_killed() -> int | None:
        watch_changes(below, lambda count: _kill_itself() if count == number else None)
        return work()

    return until_killed


def counted(below: Path, work: Callable[[], int | None], log: Path) -> int:
    """How many changes the work makes below a directory when nothing happens to it."""
    told = log.with_suffix(".count")

    def telling() -> int | None:
        seen = [0]
        watch_changes(below, lambda count: seen.__setitem__(0, count))
        code = work()
        told.write_text(str(seen[0]))
        return code

    ended = carry_out(telling, log)
    assert ended.code == 0, ended.said[-3000:]
    return int(told.read_text())


def _kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def command(*arguments: str | Path) -> Callable[[], int]:
    """The command with these arguments."""

    def work() -> int:
        from glp_export.cli.app import run

        return run([str(argument) for argument in arguments])

    return work
