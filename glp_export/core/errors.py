"""Every error that a user can meet, each with the exit code it ends the command with.

An error says three things: *what* is wrong, *where* (a file, a row, a flag) and what to *do*.
Anything else that escapes is an internal error, exit code 1.
"""

from __future__ import annotations

import reprlib
from typing import Any

from glp_export.core.text import printable

_QUOTED = 200
_PRINTED = 4000


class GlpError(Exception):
    """Base of all errors with a message for the user.

    Args:
        what: one sentence that names the fault.
        where: the file, row, column or flag that it stands in, if there is one.
        fix: what the user can do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, fix: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        lines = [_clipped(self.what)]
        if self.where:
            lines.append(f"  where: {_clipped(self.where)}")
        if self.fix:
            lines.append(f"  do:    {_clipped(self.fix)}")
        return printable("\n".join(lines))

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values, for `--json`."""
        return {
            "type": type(self).__name__,
            "what": self.what,
            "where": self.where,
            "fix": self.fix,
            "exit_code": self.exit_code,
        }


def quoted(value: object) -> str:
    """A value out of a file or a flag as an error quotes it: at most some 200 characters."""
    # The whole text of a nested value may be larger than memory.
    try:
        text = str(value[:_QUOTED]) if isinstance(value, str | bytes) else reprlib.repr(value)
    except ValueError:  # an integer of thousands of digits
        return "a number that is too long to show"
    return text if len(text) < _QUOTED else f"{text[: _QUOTED - 1]}…"


def reason_of(error: Exception) -> str:
    """Why a file cannot be read, in words: its name stands elsewhere in the message."""
    if isinstance(error, UnicodeDecodeError):
        return f"it is no UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _clipped(text: str) -> str:
    """What an error may print of one part, whatever got into it."""
    return text if len(text) <= _PRINTED else f"{text[:_PRINTED]}…"


class UsageError(GlpError):
    """A flag, a configuration file or a combination of them that cannot be used."""

    exit_code = 2


class ParityError(GlpError):
    """An exported file does not compute what the PyTorch model computes."""

    exit_code = 3


class AccuracyError(GlpError):
    """The accuracy budget is missed."""

    exit_code = 4


class LatencyError(GlpError):
    """The latency budget is missed."""

    exit_code = 5


class DeviceError(GlpError):
    """The device or execution provider asked for is not there."""

    exit_code = 6


class DataError(GlpError):
    """The data cannot be read, fetched or used."""

    exit_code = 7


class ModelError(GlpError):
    """The model cannot be read, fetched or pruned."""

    exit_code = 7


class HubError(GlpError):
    """The hub cannot be reached, or does not take what it is sent."""

    exit_code = 7


class OutputError(GlpError):
    """The output directory is in the way, or cannot be written."""

    exit_code = 8
