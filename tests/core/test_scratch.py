from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import pytest

from glp_export.core.errors import OutputError
from glp_export.core.scratch import scratch_directory


def test_it_is_gone_afterwards_and_other_errors_are_their_own() -> None:
    used = []

    def work() -> None:
        with scratch_directory("glp-test-") as directory:
            (directory / "file").write_text("x")
            used.append(directory)
            raise KeyError("labels")

    with pytest.raises(KeyError):
        work()
    assert not used[0].exists()


def test_where_there_is_none_to_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not" / "there"))
    with pytest.raises(OutputError, match="TMPDIR"), scratch_directory("glp-test-"):
        raise AssertionError


def test_a_disk_that_is_full_is_told_by_the_file_that_did_not_fit(tmp_path: Path) -> None:
    def fill(named: bool) -> None:
        with scratch_directory("glp-test-") as directory:
            place = directory if named else tmp_path
            raise OSError(errno.ENOSPC, "No space left on device", str(place / "model.onnx"))

    with pytest.raises(OutputError, match="temporary"):
        fill(named=True)
    with pytest.raises(OSError, match="No space left"):
        fill(named=False)
