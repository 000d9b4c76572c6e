"""Who may change an entry of the cache, and who uses it.

Both are locks of the operating system on files below `.locks`, so a killed process holds none.
The files stay: deleting one that another process waits for would let two of them in.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from filelock import FileLock, Timeout

from glp_export.core.errors import OutputError

Busy = Timeout
"""Raised where another process changes the entry and the caller does not want to wait."""

_SECONDS_BETWEEN_TRIES = 0.2

_log = logging.getLogger(__name__)


class EntryLocks:
    """The locks of one cache, as one holder sees them.

    Args:
        root: the cache's directory.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._uses: dict[tuple[str, str], FileLock] = {}

    @contextmanager
    def changing(self, kind: str, key: str, *, wait: bool = True) -> Iterator[None]:
        """Be the only one to make, take or remove an entry.

        Raises:
            Busy: another one is, and `wait` is False.
            OutputError: the cache cannot be written.
        """
        lock = FileLock(self._path(kind, f"{key}.lock"))
        with usable(self._root):
            try:
                lock.acquire(timeout=0)
            except Timeout:
                if not wait:
                    raise
                _log.info("another process makes %s %s; waiting for it", kind, key)
                lock.acquire(timeout=-1, poll_interval=_SECONDS_BETWEEN_TRIES)
        try:
            yield
        finally:
            lock.release()

    def use(self, kind: str, key: str) -> None:
        """Say that this process uses an entry until it ends. Only within `changing`."""
        if (kind, key) in self._uses:
            return
        self.used_by_others(kind, key)
        # Not bound to a thread: whoever drops the cache last lets go.
        lock = FileLock(self._path(kind, f"{key}.{uuid4().hex}.use"), thread_local=False)
        with usable(self._root):
            lock.acquire(timeout=0)
        self._uses[kind, key] = lock

    def used_by_others(self, kind: str, key: str) -> bool:
        """Whether someone else uses an entry; clean what the dead left. Only within `changing`."""
        own = self._uses.get((kind, key))
        used = False
        for path in (self._root / ".locks" / kind).glob(f"{key}.*.use"):
            if own and Path(own.lock_file) == path:
                continue
            try:
                with FileLock(path, timeout=0):
                    path.unlink(missing_ok=True)
            except Timeout:
                used = True
        return used

    def leave(self, kind: str, key: str) -> None:
        """Use an entry no longer. Only within `changing`."""
        if lock := self._uses.pop((kind, key), None):
            lock.release()
            Path(lock.lock_file).unlink(missing_ok=True)

    def _path(self, kind: str, name: str) -> Path:
        with usable(self._root):
            directory = self._root / ".locks" / kind
            directory.mkdir(parents=True, exist_ok=True)
        return directory / name


@contextmanager
def usable(root: Path) -> Iterator[None]:
    """Turn a failure to read or write the cache into an error that says what to do.

    Raises:
        OutputError: the operating system refuses.
    """
    try:
        yield
    except Timeout:
        raise
    except OSError as error:
        raise unusable(root, error) from error


def unusable(root: Path, error: BaseException) -> OutputError:
    """The error for a cache that the operating system refuses to read or write."""
    code = error.errno if isinstance(error, OSError) else errno.ENOSPC
    return OutputError(
        f"The cache cannot be used: {os.strerror(code) if code else error}.",
        where=str(getattr(error, "filename", None) or root),
        fix="Name another directory with --cache DIR or in GLP_EXPORT_CACHE.",
    )
