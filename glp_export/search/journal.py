"""The search's memory on disk: one line for every candidate, written when it is known.

A killed search loses the candidate in hand and nothing else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glp_export.errors import UsageError
from glp_export.search.plan import Candidate
from glp_export.search.trial import Trial


class Journal:
    """Candidates by what was tried, and the distances that they are compared by.

    The first line holds the settings that the scores depend on. A journal of other settings is
    not continued.

    Raises:
        UsageError: the journal at `path` belongs to other settings; the message names them.
    """

    def __init__(self, path: Path, settings: Mapping[str, Any]) -> None:
        self.path = path
        self._settings = json.loads(json.dumps(dict(settings)))
        self._candidates: dict[Trial, Candidate] = {}
        if path.exists():
            self._read()
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._append({"settings": self._settings})

    def get(self, trial: Trial) -> Candidate | None:
        """What came of a trial, if it was carried out before."""
        return self._candidates.get(trial)

    def known(self, trial: Trial) -> Candidate:
        """What came of a trial that was carried out."""
        return self._candidates[trial]

    def add(self, candidate: Candidate, distances: NDArray[np.float32] | None = None) -> None:
        """Keep a candidate and its distances (rows,); they are on the disk when this returns."""
        if distances is not None:
            _write_array(self._distances_path(candidate.trial), distances)
        self._append(candidate.model_dump(mode="json"))
        self._candidates[candidate.trial] = candidate

    def distances(self, trial: Trial) -> NDArray[np.float32]:
        """The distances (rows,) of a trial that was carried out."""
        distances: NDArray[np.float32] = np.load(self._distances_path(trial))
        return distances

    def __len__(self) -> int:
        return len(self._candidates)

    def _append(self, record: Mapping[str, Any]) -> None:
        with self.path.open("a") as stream:
            stream.write(json.dumps(record) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def _read(self) -> None:
        lines = _complete_lines(self.path)
        if not lines:
            self.path.unlink()
            return
        kept = json.loads(lines[0])["settings"]
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
        for line in lines[1:]:
            candidate = Candidate.model_validate_json(line)
            self._candidates[candidate.trial] = candidate

    def _distances_path(self, trial: Trial) -> Path:
        layers = "-".join(map(str, trial.removed))
        return self.path.parent / "distances" / f"{layers}_{trial.share:.6g}_{trial.repeat}.npy"


def _write_array(path: Path, values: NDArray[np.float32]) -> None:
    """Write an array so that a reader finds it whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}")
    with unfinished.open("wb") as stream:
        np.save(stream, values)
        stream.flush()
        os.fsync(stream.fileno())
    unfinished.replace(path)


def _complete_lines(path: Path) -> list[str]:
    """The lines that were written whole; a torn last one is cut off the file."""
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with path.open("r+b") as stream:
            stream.truncate(len(whole))
    return whole.decode().splitlines()
