"""What is worth keeping between runs: trained teachers, scored candidates.

An entry is found by the facts that its content depends on, never by the run that made it, so a
second run with another target finds what the first one paid for. An entry is complete or absent:
it is made in a directory beside its place, and one rename puts it there.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from glp_export.cache.entry import (
    KEY_DIGITS,
    RECORD,
    Entry,
    damage,
    flush,
    key_of,
    read_entry,
    read_record,
    write_record,
)
from glp_export.cache.locks import Busy, EntryLocks, unusable, usable
from glp_export.core.errors import OutputError
from glp_export.core.scratch import is_no_room

__all__ = ["Cache", "Entry", "default_root"]

_KIND = re.compile(r"[a-z][a-z0-9-]*")
_KEY = re.compile(rf"[0-9a-f]{{{KEY_DIGITS}}}")
_LEFT_OVER = re.compile(rf"\.(?:making|gone)-[0-9a-f]{{{KEY_DIGITS}}}-[0-9a-f]{{32}}")

_log = logging.getLogger(__name__)


def default_root() -> Path:
    """`$GLP_EXPORT_CACHE`, else where caches are on this system: `~/.cache/glp-export` on Linux.

    Raises:
        OutputError: there is no home directory.
    """
    try:
        if named := os.environ.get("GLP_EXPORT_CACHE"):
            return Path(named).expanduser()
        from platformdirs import user_cache_path

        found = user_cache_path("glp-export", appauthor=False)
        # What an environment names relative to nowhere is no place to keep something in.
        return found if found.is_absolute() else Path("~/.cache/glp-export").expanduser()
    except RuntimeError as error:
        raise OutputError(
            "There is no home directory to keep a cache in.",
            fix="Name a directory with --cache DIR or in GLP_EXPORT_CACHE.",
        ) from error


class Cache:
    """A directory of entries that several processes may share.

    What a cache has handed out is in use until this object is gone or its process ends, and no
    other process prunes it meanwhile. Nothing is written before the first entry is asked for.

    Args:
        root: the directory; made when needed. Files in it that are no entries are left alone.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root.expanduser()))
        self._locks = EntryLocks(self.root)

    def get_or_make(
        self, kind: str, facts: Mapping[str, Any], make: Callable[[Path], None]
    ) -> Path:
        """The directory of a complete entry, which is made first if it is not there.

        Several processes that ask for the same entry make it once: the others wait.

        Args:
            kind: what the entry is; small letters, digits and hyphens.
            facts: all that its content depends on; JSON values.
            make: fills the directory that it is given. If it fails, nothing is kept.

        Raises:
            OutputError: the cache cannot be written.
        """
        directory = self._place(kind, facts)
        with self._locks.changing(kind, directory.name):
            self._clean(directory)
            if not self._is_whole(directory):
                self._drop(directory)
                self._make(directory, facts, make)
            self._use(directory)
        return directory

    def find(self, kind: str, facts: Mapping[str, Any]) -> Path | None:
        """The directory of an entry that is there and whole; None else, and nobody is waited for.

        Raises:
            OutputError: it is there, but the cache cannot be written.
        """
        directory = self._place(kind, facts)
        if read_record(directory) is None:
            return None
        with self._locks.changing(kind, directory.name):
            record = read_record(directory)
            if record is None or damage(directory, record):
                return None
            self._use(directory)
        return directory

    def open(self, kind: str, facts: Mapping[str, Any]) -> Path:
        """The directory of an entry that grows: made if absent, its files are never checked.

        Raises:
            OutputError: the cache cannot be written.
        """
        directory = self._place(kind, facts)
        with self._locks.changing(kind, directory.name):
            self._clean(directory)
            record = read_record(directory)
            if record is None and directory.is_dir() and not directory.is_symlink():
                _log.warning("%s: %s was damaged and is written anew", directory, RECORD)
                with usable(self.root):
                    write_record(directory, kind, facts, sealed=False)
            elif record is None:
                self._drop(directory)
                self._make(directory, facts, None)
            elif record.files is not None:
                raise ValueError(f"{kind} entries are sealed: they do not grow")
            self._use(directory)
        return directory

    def entries(self) -> list[Entry]:
        """Everything that is kept, the least recently used first.

        Raises:
            OutputError: the cache cannot be read.
        """
        if not self.root.exists():
            return []
        with usable(self.root):
            found = [entry for path in self._directories(_KEY) if (entry := read_entry(path))]
        return sorted(found, key=lambda entry: (entry.last_used, entry.kind, entry.key))

    def prune(
        self,
        *,
        older_than: timedelta | None = None,
        max_bytes: int | None = None,
        kinds: Collection[str] | None = None,
        dry_run: bool = False,
    ) -> list[Entry]:
        """Remove entries, the least recently used first, and what killed processes left.

        Entries that another process makes or uses stay.

        Args:
            older_than: remove what was last used longer ago.
            max_bytes: remove until the rest is no larger.
            kinds: look at entries of these kinds only; None for all.
            dry_run: remove nothing.

        Returns:
            The entries that are gone, or that would be.

        Raises:
            OutputError: the cache cannot be written.
        """
        if not dry_run:
            self._clean_all()
        entries = [entry for entry in self.entries() if kinds is None or entry.kind in kinds]
        total, now = sum(entry.bytes for entry in entries), datetime.now(UTC)
        removed = []
        for entry in entries:
            old = older_than is not None and now - entry.last_used >= older_than
            in_excess = max_bytes is not None and total > max_bytes
            if (old or in_excess) and self._remove(entry, dry_run):
                removed.append(entry)
                total -= entry.bytes
        return removed

    def _place(self, kind: str, facts: Mapping[str, Any]) -> Path:
        if not _KIND.fullmatch(kind):
            raise ValueError(f"{kind!r} is no kind of entry: small letters, digits and hyphens")
        return self.root / kind / key_of(facts)

    def _is_whole(self, directory: Path) -> bool:
        record = read_record(directory)
        if record is None:
            if os.path.lexists(directory):
                _log.warning("%s has no readable %s; it is made anew", directory, RECORD)
            return False
        if record.files is None:
            raise ValueError(f"{record.kind} entries grow: open them")
        with usable(self.root):
            fault = damage(directory, record)
        if fault:
            _log.warning("%s is damaged (%s); it is made anew", directory, fault)
        return fault is None

    def _make(
        self, directory: Path, facts: Mapping[str, Any], make: Callable[[Path], None] | None
    ) -> None:
        """Fill a directory beside the place, then move it there; without `make` it may grow."""
        making = _beside(directory, "making")
        with usable(self.root):
            making.mkdir(parents=True)
        try:
            if make:
                make(making)
            with usable(self.root):
                write_record(making, directory.parent.name, facts, sealed=make is not None)
                making.rename(directory)
                flush(directory.parent)
        except BaseException as error:
            shutil.rmtree(making, ignore_errors=True)
            if is_no_room(error) and not isinstance(error, OutputError):
                raise unusable(self.root, error) from error
            raise

    def _use(self, directory: Path) -> None:
        self._locks.use(directory.parent.name, directory.name)
        with usable(self.root):
            os.utime(directory / RECORD)

    def _remove(self, entry: Entry, dry_run: bool) -> bool:
        """Remove an entry unless it is busy, or was used since it was listed."""
        with suppress(Busy), self._locks.changing(entry.kind, entry.key, wait=False):
            now = read_entry(entry.path)
            if now is None or now.last_used != entry.last_used:
                return False
            if self._locks.used_by_others(entry.kind, entry.key):
                return False
            if not dry_run:
                self._locks.leave(entry.kind, entry.key)
                self._drop(entry.path)
            return True
        return False

    def _drop(self, directory: Path) -> None:
        """Remove a directory at one stroke for everyone who reads it."""
        if os.path.lexists(directory):
            gone = _beside(directory, "gone")
            with usable(self.root):
                directory.rename(gone)
            _erase(gone)

    def _clean(self, directory: Path) -> None:
        """Remove what a killed maker left: its lock is ours, so it is dead."""
        for path in self._directories(_LEFT_OVER, directory.parent.name):
            if directory.name in path.name:
                _erase(path)

    def _clean_all(self) -> None:
        for path in list(self._directories(_LEFT_OVER)) if self.root.exists() else ():
            key = path.name.split("-")[1]
            with suppress(Busy), self._locks.changing(path.parent.name, key, wait=False):
                _erase(path)

    def _directories(self, name: re.Pattern[str], kind: str = "*") -> Iterator[Path]:
        """Directories of a kind, or of all kinds, whose whole name matches; of left-overs all."""
        for path in self.root.glob(f"{kind}/*"):
            named = _KIND.fullmatch(path.parent.name) and name.fullmatch(path.name)
            if named and (name is _LEFT_OVER or path.is_dir()):
                yield path


def _erase(path: Path) -> None:
    """Delete a directory with all that is in it; of a link, which somebody else made, the link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _beside(directory: Path, what: str) -> Path:
    """A hidden directory on the same file system, of a name that nobody else takes."""
    return directory.with_name(f".{what}-{directory.name}-{uuid4().hex}")
