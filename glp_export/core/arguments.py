"""Arguments of Python functions: what a program gives by mistake is told as a flag's fault is."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from glp_export.core.errors import DataError, UsageError, quoted
from glp_export.core.machine import MOST_THREADS


def path_of(value: Any, name: str) -> Path:
    """An argument that names a file or a directory.

    Raises:
        DataError: the directory that it is in may not be read.
        UsageError: it is neither a text nor a path, or too long a name for this system.
    """
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise _wrong(value, name, "a path", "give a text or a pathlib.Path")
    try:
        os.lstat(value)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise _wrong(value, name, "a path", "a name on this system is shorter") from error
        if error.errno == errno.EACCES:
            raise DataError(
                f"{name} may not be looked at", where=str(value), fix="see to it that you may"
            ) from error
    except ValueError as error:  # a null byte
        raise _wrong(value, name, "a path", "a name holds no null byte") from error
    return Path(value)


def count_of(value: Any, name: str, most: int | None = None) -> int:
    """An argument that counts from 1 on; numpy's integers are taken too.

    Raises:
        UsageError: it is no whole number, or none of those.
    """
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise _wrong(value, name, "a whole number", "give 1 or more, without quotes")
    try:
        count = int(value.__index__())
    except TypeError as error:  # an array of several
        raise _wrong(value, name, "a whole number", "give 1 or more") from error
    if count < 1 or (most is not None and count > most):
        most_of_all = f" and at most {most}" if most is not None else ""
        raise UsageError(
            f"{name} is {quoted(count)}", where=name, fix=f"give at least 1{most_of_all}"
        )
    return count


def threads_of(value: Any) -> int | None:
    """Threads; None stays None.

    Raises:
        UsageError: no machine runs so many, or it is no such number.
    """
    return None if value is None else count_of(value, "threads", MOST_THREADS)


def seconds_of(value: Any, name: str) -> float:
    """An argument that is a time.

    Raises:
        UsageError: it is no finite number above zero.
    """
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise _wrong(value, name, "a number of seconds", "give 60, say")
    seconds = float(value)
    if not math.isfinite(seconds) or seconds <= 0:
        raise _wrong(value, name, "a time that can be waited for", "give 60, say")
    return seconds


def text_of(value: Any, name: str) -> str | None:
    """An argument that is a name; None stays None.

    Raises:
        UsageError: it is no text.
    """
    if value is None or isinstance(value, str):
        return value
    raise _wrong(value, name, "a text", "give one name, as a text")


def flag_of(value: Any, name: str) -> bool:
    """An argument that is on or off.

    Raises:
        UsageError: it is neither: most texts would count as on, "no" among them.
    """
    if isinstance(value, bool):
        return value
    raise _wrong(value, name, "on or off", "give True or False")


def choice_of(value: Any, name: str, choices: Collection[str]) -> str:
    """An argument that is one of a few names.

    Raises:
        UsageError: it is none of them.
    """
    if isinstance(value, str) and value in choices:
        return value
    raise _wrong(value, name, "one of its values", f"choose from {', '.join(choices)}")


def _wrong(value: Any, name: str, wanted: str, fix: str) -> UsageError:
    given = f"{quoted(value)!r}" if isinstance(value, str | bytes) else quoted(value)
    return UsageError(
        f"{name} is {given} ({type(value).__name__}), not {wanted}", where=name, fix=fix
    )
