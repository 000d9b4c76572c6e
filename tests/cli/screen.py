"""A program on a pseudo-terminal, and what a person would see there."""

from __future__ import annotations

import os
import pty
import re
import select
import struct
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fcntl import ioctl
from termios import TIOCSWINSZ

_CONTROL = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


@dataclass(frozen=True)
class Shown:
    """What a program did to a terminal.

    Attributes:
        code: its exit status.
        raw: all it wrote to the terminal, control sequences included.
        out: what it wrote to stdout, where that was a pipe.
    """

    code: int
    raw: str
    out: str

    @property
    def left(self) -> list[str]:
        """The lines that stand there in the end."""
        return _replay(self.raw)[0]

    @property
    def tallest(self) -> int:
        """The most lines that were drawn anew at a time."""
        return _replay(self.raw)[1]

    @property
    def ever(self) -> str:
        """Everything that was ever shown, without control sequences."""
        return _CONTROL.sub("", self.raw).replace("\r", "")


def on_terminal(
    command: Sequence[str],
    *,
    size: tuple[int, int] = (24, 80),
    stdout_too: bool = False,
    answer: str = "",
    environment: Mapping[str, str] | None = None,
    timeout: float = 120.0,
) -> Shown:
    """Run a command whose stderr and stdin, and stdout if wanted, are a terminal.

    Args:
        command: its arguments.
        size: rows and columns.
        stdout_too: else stdout is a pipe.
        answer: typed as soon as something that ends in `: ` was asked.
        environment: on top of this process's; an empty value removes one.
        timeout: seconds after which it is killed.
    """
    master, slave = pty.openpty()
    ioctl(slave, TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave if stdout_too else subprocess.PIPE,
        stderr=slave,
        env=_environment(environment or {}),
        close_fds=True,
    )
    os.close(slave)
    written, out, deadline = bytearray(), bytearray(), time.monotonic() + timeout
    sources = [master] + ([process.stdout.fileno()] if process.stdout else [])
    while sources and time.monotonic() < deadline:
        for source in select.select(sources, [], [], 0.2)[0]:
            try:
                piece = os.read(source, 65536)
            except OSError:  # the other end of a pseudo-terminal is gone
                piece = b""
            if not piece:
                sources.remove(source)
            (written if source == master else out).extend(piece)
            if answer and written.rstrip(b" ").endswith(b"]:"):
                os.write(master, answer.encode())
                answer = ""
        if process.poll() is not None and not select.select(sources, [], [], 0.2)[0]:
            break
    if process.poll() is None:
        process.kill()
    os.close(master)
    return Shown(process.wait(), written.decode(), out.decode())


def glp_export(*arguments: object) -> list[str]:
    """The command as a user starts it, in this interpreter."""
    return [sys.executable, "-m", "glp_export.cli.app", *map(str, arguments)]


def _environment(changes: Mapping[str, str]) -> dict[str, str]:
    plain = {"TERM": "xterm-256color", "NO_COLOR": "", "FORCE_COLOR": "", "COLUMNS": ""}
    merged = {**os.environ, "LINES": "", **plain, **changes}
    return {name: value for name, value in merged.items() if value}


def _replay(raw: str) -> tuple[list[str], int]:
    """Follow the cursor: the lines that are left, and the most that it went back over at once."""
    lines, row, column, tallest, climbed = [""], 0, 0, 0, 0
    at = 0
    while at < len(raw):
        control = _CONTROL.match(raw, at)
        if control:
            count = int(control[1]) if control[1].isdigit() else 1
            if control[2] == "A":
                row, climbed = max(0, row - count), climbed + count
            elif control[2] == "K":
                lines[row] = "" if control[1] == "2" else lines[row][:column]
            at = control.end()
            continue
        letter, at = raw[at], at + 1
        if letter == "\r":
            column = 0
        elif letter == "\n":  # a terminal makes each line end of a program "\r\n"
            row, tallest, climbed = row + 1, max(tallest, climbed), 0
            lines += [""] * (row == len(lines))
        else:
            lines[row] = lines[row].ljust(column)[:column] + letter + lines[row][column + 1 :]
            column, tallest, climbed = column + 1, max(tallest, climbed), 0
    return [line.rstrip() for line in lines], tallest
