"""The search's memory on disk: one line for every candidate, written when it is known.

A killed search loses the candidate in hand and nothing else. Several searches may share a
journal: each sees what the others have scored.

Every line and every file of arrays has a checksum over what it says, the trial and the settings
that it depends on. What does not fit is passed over with a warning and computed anew: a score that
a disk or a person has changed would take other layers away, and nobody would see it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from glp_export.cache.locks import usable
from glp_export.compress.plan import Candidate
from glp_export.compress.search.trial import Trial

logger = logging.getLogger(__name__)

_SUM = "sha256"
"""The key of a line's checksum, and the name of the array that holds that of a file of arrays."""


class TrialLog:
    """Candidates by what was tried, and the answers that they are compared by.

    The first line holds the settings that the scores depend on. Lines of other settings are not
    used: each has the settings in its checksum. Version 0.1 wrote no checksums; its lines are
    taken where the first line has these settings. The lock beside the file is held for every look
    and every line.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self._settings = json.loads(json.dumps(dict(settings)))
        self._candidates: dict[Trial, Candidate] = {}
        self._unsigned: set[Trial] = set()  # of version 0.1, whose arrays have no checksum either
        self._whole: set[Trial] = set()  # whose arrays were found to be what was written
        self._ours = False
        self._bytes_read = 0
        self._lock = FileLock(f"{path}.lock")
        with self._locked():
            self._settle()

    def get(self, trial: Trial) -> Candidate | None:
        """The outcome of a trial, if it was run before, here or elsewhere.

        None too where its arrays are lost or damaged: it has to be run again.
        """
        if trial not in self._candidates:
            with self._locked():
                self._read_new_lines()
        if trial in self._candidates and trial not in self._whole:
            fault = self._damage(trial)
            if fault:
                _warn(self._answers(trial), fault)
                del self._candidates[trial]
            else:
                self._whole.add(trial)
        return self._candidates.get(trial)

    def known(self, trial: Trial) -> Candidate:
        """The outcome of a trial."""
        return self._candidates[trial]

    def add(
        self,
        candidate: Candidate,
        logits: NDArray[np.float32],
        losses: NDArray[np.float32] | None = None,
    ) -> None:
        """Keep a candidate, its logits (rows, labels) and losses (rows,) on the disk.

        The arrays are written first: a candidate that is known has them.
        """
        arrays = {"logits": logits} | ({} if losses is None else {"losses": losses})
        trial = candidate.trial
        digest = self._arrays_digest(trial, arrays)
        _write_arrays(self._answers(trial), {**arrays, _SUM: np.array(digest)})
        record = candidate.model_dump(mode="json")
        with self._locked():
            self._settle()
            self._append({**record, _SUM: self._line_digest(record)})
        self._candidates[trial] = candidate
        self._whole.add(trial)
        self._unsigned.discard(trial)

    def logits(self, trial: Trial) -> NDArray[np.float32]:
        """The logits (rows, labels) of a trial that was run."""
        return self._array(trial, "logits")

    def losses(self, trial: Trial) -> NDArray[np.float32]:
        """The losses (rows,) of a trial that was run with a refitted head."""
        return self._array(trial, "losses")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone with the file; its directory is made again where somebody emptied the cache."""
        with usable(self.path.parent):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._lock:
                yield

    def __len__(self) -> int:
        return len(self._candidates)

    def _settle(self) -> None:
        """Make the file one that can be appended to: a torn last line goes, a first line is there.

        Whoever began a torn line is dead: the lock is ours.
        """
        self._read_new_lines()
        if self._size() > self._bytes_read:
            os.truncate(self.path, self._bytes_read)
        if not self._bytes_read:
            self._append({"settings": self._settings})

    def _append(self, record: Mapping[str, Any]) -> None:
        line = (json.dumps(record) + "\n").encode()
        with self.path.open("ab", buffering=0) as stream:
            if stream.write(line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            os.fsync(stream.fileno())
        self._bytes_read += len(line)

    def _read_new_lines(self) -> None:
        """Learn what was added since the last look, as far as it was written whole."""
        size = self._size()
        if size < self._bytes_read:  # someone deleted it: what stands there now is another file
            self._bytes_read = 0
        if size == self._bytes_read:
            return
        with self.path.open("rb") as stream:
            stream.seek(self._bytes_read)
            content = stream.read()
        whole = content[: content.rfind(b"\n") + 1]
        lines = whole.splitlines()
        first = self._bytes_read == 0
        if lines and first:
            self._ours = self._has_our_settings(lines.pop(0))
        for number, line in enumerate(lines, 2 if first else 1):
            try:
                self._learn(line)
            except (ValueError, TypeError, AttributeError, RecursionError):
                place = f"line {number}" if first else "a new line"
                _warn(self.path, f"{place} is damaged, or belongs to another search")
        self._bytes_read += len(whole)

    def _has_our_settings(self, line: bytes) -> bool:
        try:
            kept = json.loads(line)["settings"]
        except (ValueError, TypeError, KeyError, RecursionError):
            _warn(self.path, "its first line is damaged")
            return False
        if kept == self._settings:
            return True
        _warn(self.path, "it was written by a search of other settings")
        return False

    def _learn(self, line: bytes) -> None:
        """Take what a line says.

        Raises:
            ValueError: it is no candidate, its checksum is not its own, or it has none where
                nothing else says that it belongs here.
        """
        record = json.loads(line)
        digest = record.pop(_SUM, None)
        if digest is None and not self._ours:
            raise ValueError("nothing vouches for the line")
        if digest is not None and digest != self._line_digest(record):
            raise ValueError("the checksum is not that of the line")
        candidate = Candidate.model_validate(record)
        trial = candidate.trial
        self._candidates[trial] = candidate
        self._whole.discard(trial)
        (self._unsigned.add if digest is None else self._unsigned.discard)(trial)

    def _line_digest(self, record: Mapping[str, Any]) -> str:
        content = json.dumps([self._settings, dict(record)], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def _arrays_digest(self, trial: Trial, arrays: Mapping[str, NDArray[np.float32]]) -> str:
        content = json.dumps([self._settings, repr(trial)], sort_keys=True)
        digest = hashlib.sha256(content.encode())
        for name in sorted(arrays):
            array = np.ascontiguousarray(arrays[name])
            digest.update(f"|{name}|{array.dtype.str}|{array.shape}|".encode())
            digest.update(array.tobytes())
        return digest.hexdigest()

    def _damage(self, trial: Trial) -> str | None:
        """What is wrong with a trial's arrays; None where they are what was written."""
        try:
            with np.load(self._answers(trial), allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
        except FileNotFoundError:
            return "it is missing"
        except Exception as error:  # a damaged archive raises nearly anything
            return f"it cannot be read ({type(error).__name__})"
        digest = arrays.pop(_SUM, None)
        if digest is None:
            return None if trial in self._unsigned and "logits" in arrays else "it has no checksum"
        if str(digest) != self._arrays_digest(trial, arrays):
            return "its checksum is not that of its content"
        return None

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _answers(self, trial: Trial) -> Path:
        name = hashlib.sha256(repr(trial).encode()).hexdigest()[:32]
        return self.path.parent / "answers" / f"{name}.npz"

    def _array(self, trial: Trial, name: str) -> NDArray[np.float32]:
        with usable(self.path.parent), np.load(self._answers(trial)) as arrays:
            array: NDArray[np.float32] = arrays[name]
        return array


def _warn(path: Path, fault: str) -> None:
    logger.warning("%s: %s; it is passed over, and what is needed of it computed anew", path, fault)


def _write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays so that a reader finds them whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)  # somebody may have emptied the cache
    unfinished = path.with_suffix(f".{os.getpid()}")
    with unfinished.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(path)
