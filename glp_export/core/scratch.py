"""Temporary directories, and what is said where there is no room for them."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glp_export.core.errors import OutputError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_ROOM_WORDS = ("no space left on device", "disk quota exceeded", "file too large")
"""safetensors, torch and ONNX Runtime wrap the operating system's error and keep its words."""
_FULL = 1_000_000
"""Bytes that are left of a disk that is full: the next file of a model is larger."""


def is_no_room(error: BaseException) -> bool:
    """Whether an error says that a disk is full."""
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return True
    return any(words in str(error).lower() for words in _NO_ROOM_WORDS)


@contextmanager
def scratch_directory(prefix: str) -> Iterator[Path]:
    """A temporary directory, which is gone afterwards.

    Args:
        prefix: of its name, by which a user knows whose it is.

    Raises:
        OutputError: there is none to be had, or its disk is full.
    """
    try:
        directory = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
    except OSError as error:
        raise _unusable(str(error), tempfile.tempdir or "TMPDIR") from error
    with directory as name:
        try:
            yield Path(name)
        except OutputError:
            raise
        except Exception as error:
            if is_no_room(error) and _is_about(error, name):
                raise _unusable("no space is left", name) from error
            raise


def _is_about(error: Exception, directory: str) -> bool:
    """Whether it is the disk of this directory that is full."""
    named = getattr(error, "filename", None)
    if named is not None:
        return str(named).startswith(directory)
    return shutil.disk_usage(directory).free < _FULL


def _unusable(why: str, where: str) -> OutputError:
    return OutputError(
        f"There is no place for temporary files: {why}.",
        where=where,
        fix="make room there, or name another directory in the environment variable TMPDIR",
    )
