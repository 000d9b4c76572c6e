"""The search's memory on disk: one line for every candidate, written when it is known.

A killed search loses the candidate in hand and nothing else. Several searches may share a
journal: each sees what the others have scored.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from glp_export.compress.plan import Candidate
from glp_export.compress.search.trial import Trial
from glp_export.core.errors import UsageError


class TrialLog:
    """Candidates by what was tried, and the answers that they are compared by.

    The first line holds the settings that the scores depend on. A journal of other settings is
    not continued. The lock beside the file is held for every look and every line.

    Raises:
        UsageError: the journal at `path` belongs to other settings; the message names them.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self._settings = json.loads(json.dumps(dict(settings)))
        self._candidates: dict[Trial, Candidate] = {}
        self._bytes_read = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(f"{path}.lock")
        with self._lock:
            self._settle()

    def get(self, trial: Trial) -> Candidate | None:
        """What came of a trial, if it was carried out before, here or elsewhere."""
        if trial not in self._candidates:
            with self._lock:
                self._read_new_lines()
        return self._candidates.get(trial)

    def known(self, trial: Trial) -> Candidate:
        """What came of a trial that was carried out."""
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
        _write_arrays(self._answers(candidate.trial), arrays)
        with self._lock:
            self._settle()
            self._append(candidate.model_dump(mode="json"))
        self._candidates[candidate.trial] = candidate

    def logits(self, trial: Trial) -> NDArray[np.float32]:
        """The logits (rows, labels) of a trial that was carried out."""
        return self._array(trial, "logits")

    def losses(self, trial: Trial) -> NDArray[np.float32]:
        """The losses (rows,) of a trial that was carried out with a refitted head."""
        return self._array(trial, "losses")

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
        if lines and not self._bytes_read:
            self._require_same(json.loads(lines.pop(0))["settings"])
        for line in lines:
            candidate = Candidate.model_validate_json(line)
            self._candidates[candidate.trial] = candidate
        self._bytes_read += len(whole)

    def _require_same(self, kept: Mapping[str, Any]) -> None:
        changed = sorted(
            name
            for name in kept.keys() | self._settings.keys()
            if kept.get(name) != self._settings.get(name)
        )
        if changed:
            raise UsageError(
                f"the interrupted search had other settings: {', '.join(changed)}",
                where=str(self.path),
                fix="resume with the same settings, or start anew with --overwrite",
            )

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def _answers(self, trial: Trial) -> Path:
        name = hashlib.sha256(repr(trial).encode()).hexdigest()[:32]
        return self.path.parent / "answers" / f"{name}.npz"

    def _array(self, trial: Trial, name: str) -> NDArray[np.float32]:
        with np.load(self._answers(trial)) as arrays:
            array: NDArray[np.float32] = arrays[name]
        return array


def _write_arrays(path: Path, arrays: Mapping[str, NDArray[np.float32]]) -> None:
    """Write arrays so that a reader finds them whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    with unfinished.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(path)
