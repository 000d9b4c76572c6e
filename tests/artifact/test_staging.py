from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from glp_export.artifact import (
    ArtifactLayout,
    commit,
    export_onnx,
    finished,
    locked,
    prepare,
    writing,
)
from glp_export.artifact.output_place import staging_path
from glp_export.core.errors import OutputError
from tests.exported import EXPORT_TASK, Exported

JOURNAL = Path("work") / "journal.jsonl"


def fill(staging: Path, content: str) -> Path:
    """What a run leaves before it commits."""
    layout = ArtifactLayout(staging)
    layout.card.write_text(content)
    (staging / JOURNAL).write_text(content)
    layout.write_checksums()
    return staging


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def old(output: Path) -> Path:
    """A finished artifact at `output`."""
    return commit(fill(prepare(output), "old"), output)


def siblings(output: Path) -> set[str]:
    return {path.name for path in output.parent.iterdir()}


def test_commit_makes_it_visible_at_once_and_drops_the_scratch(output: Path) -> None:
    staging = prepare(output)
    assert not output.exists()
    assert (staging / "work").is_dir()
    commit(fill(staging, "new"), output)
    assert siblings(output) == {"out"}
    assert not (output / "work").exists()
    ArtifactLayout(output).verify_checksums()


def test_directories_above_are_made(tmp_path: Path) -> None:
    output = tmp_path / "a" / "b" / "out"
    commit(fill(prepare(output), "new"), output)
    assert finished(output)


def test_empty_directory_is_not_in_the_way(output: Path) -> None:
    output.mkdir()
    commit(fill(prepare(output), "new"), output)
    assert finished(output)


def test_relative_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commit(fill(prepare(Path("out")), "new"), Path("out"))
    assert finished(tmp_path / "out")


def test_finished_artifact_is_not_replaced_unasked(old: Path) -> None:
    with pytest.raises(OutputError, match="not empty") as caught:
        prepare(old)
    assert caught.value.exit_code == 8
    assert "--overwrite" in str(caught.value)


def test_nothing_left_to_resume(old: Path) -> None:
    with pytest.raises(OutputError, match="nothing is left to resume"):
        prepare(old, resume=True)


def test_overwrite_keeps_the_old_one_until_the_new_one_is_there(old: Path) -> None:
    staging = prepare(old, overwrite=True)
    assert (old / "README.md").read_text() == "old"
    commit(fill(staging, "new"), old, overwrite=True)
    assert (old / "README.md").read_text() == "new"
    assert siblings(old) == {"out"}


def test_overwrite_deletes_nothing_that_is_not_ours(output: Path) -> None:
    output.mkdir()
    (output / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="no artifact of glp-export"):
        prepare(output, overwrite=True)
    assert (output / "thesis.tex").exists()


def test_interrupted_run_is_neither_dropped_nor_resumed_unasked(output: Path) -> None:
    (prepare(output) / JOURNAL).write_text("step 1")
    with pytest.raises(OutputError, match="interrupted run") as caught:
        prepare(output)
    assert "--resume" in str(caught.value)
    assert (prepare(output, resume=True) / JOURNAL).read_text() == "step 1"
    assert not (prepare(output, overwrite=True) / JOURNAL).exists()


def test_resume_without_an_interrupted_run_begins_one(output: Path) -> None:
    assert prepare(output, resume=True).is_dir()


def test_partial_directory_of_somebody_else_is_not_deleted(output: Path) -> None:
    staging_path(output).mkdir()
    (staging_path(output) / "download").write_text("half a film")
    with pytest.raises(OutputError, match="something else"):
        prepare(output, overwrite=True)


def test_what_is_left_of_a_run_killed_as_it_began_is_dropped(output: Path) -> None:
    staging_path(output).mkdir()
    assert (prepare(output, overwrite=True) / "work").is_dir()


def test_a_run_that_is_dropped_is_gone_at_one_stroke(
    output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(prepare(output), "old")

    def killed(place: Path, **kinds: object) -> None:
        if Path(place).is_dir():
            (Path(place) / JOURNAL).unlink()
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare(output, overwrite=True)
    assert not staging_path(output).exists()
    prepare(output)
    assert {path.name for path in output.parent.iterdir()} == {"out.partial"}


def test_file_in_the_way(output: Path) -> None:
    output.write_text("")
    with pytest.raises(OutputError, match="must be a directory"):
        prepare(output, overwrite=True)


def test_link_in_the_way(output: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    output.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="a file or a link"):
        prepare(output)


def test_working_directory_is_no_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match="you work in"):
        prepare(Path("."))


def test_output_filled_while_the_run_was_under_way(output: Path) -> None:
    staging = fill(prepare(output), "ours")
    output.mkdir()
    (output / "theirs").write_text("")
    with pytest.raises(OutputError, match="filled while") as caught:
        commit(staging, output)
    assert str(staging) in str(caught.value)
    assert (staging / "README.md").exists()
    assert (staging / JOURNAL).exists()


def test_parent_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        prepare(tmp_path / "file" / "out")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a place nobody can write to")
def test_place_that_nobody_can_write_to() -> None:
    with pytest.raises(OutputError, match="cannot be"):
        prepare(Path("/proc/self/out"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_directory_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(OutputError, match="Permission denied"):
            prepare(tmp_path / "out")
    finally:
        tmp_path.chmod(0o700)


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it, nothing is tidied up."""


def kill_at(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Die right before the n-th change that a commit makes to the file system."""
    count = 0

    def dying(original):  # type: ignore[no-untyped-def]
        def call(*arguments, **options):  # type: ignore[no-untyped-def]
            nonlocal count
            count += 1
            if count >= step:
                raise Killed
            return original(*arguments, **options)

        return call

    monkeypatch.setattr(Path, "rename", dying(Path.rename))
    monkeypatch.setattr(shutil, "rmtree", dying(shutil.rmtree))
    monkeypatch.setattr(os, "fsync", dying(os.fsync))


def state_of(output: Path) -> str:
    """Absent, or the content of what is there, which must be whole."""
    if not output.exists():
        return "absent"
    ArtifactLayout(output).verify_checksums()
    assert not (output / "work").exists()
    return ArtifactLayout(output).card.read_text()


@pytest.mark.parametrize("step", range(1, 12))
@pytest.mark.parametrize("replacing", [False, True])
def test_killed_at_any_step_it_is_complete_or_absent_and_resumes(
    output: Path, replacing: bool, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if replacing:
        commit(fill(prepare(output), "old"), output)
    staging = fill(prepare(output, overwrite=replacing), "new")
    with monkeypatch.context() as patch:
        kill_at(step, patch)
        with contextlib.suppress(Killed):
            commit(staging, output, overwrite=replacing)
    assert state_of(output) in {"new", "old" if replacing else "absent", "absent"}

    if not finished(output) or state_of(output) == "old":
        resumed = prepare(output, resume=True, overwrite=replacing)
        assert (resumed / JOURNAL).read_text() == "new"  # nothing has to be trained again
        commit(fill(resumed, "new"), output, overwrite=replacing)
    assert state_of(output) == "new"
    assert siblings(output) == {"out"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 128 kB; the tiny model alone is larger."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(disk)], capture_output=True
    )
    if made.returncode:
        pytest.skip("mounting a file system is not allowed here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_full_disk_ends_an_export_with_nothing_half_written(
    bert: Exported, small_disk: Path
) -> None:
    staging = prepare(small_disk / "out")
    layout = ArtifactLayout(staging)
    with pytest.raises(OutputError, match="No space left") as caught:
        export_onnx(bert.checkpoint, layout.onnx_model, export_task=EXPORT_TASK)
    assert caught.value.exit_code == 8
    assert "MB free" in str(caught.value)
    assert not (small_disk / "out").exists()
    assert layout.files() == []


def test_disk_that_is_full_from_the_start(small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space"):
        (small_disk / "filler").write_bytes(b"\0" * 200_000)
    with pytest.raises(OutputError, match="No space left"):
        prepare(small_disk / "out")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_write_that_finds_no_space(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="No space left"),
        writing(tmp_path),
        open("/dev/full", "w") as device,
    ):
        device.write("x")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("I/O error: No space left on device (os error 28)"),  # safetensors
        RuntimeError("system error number 28: No space left on device"),  # ONNX Runtime
    ],
)
def test_libraries_say_it_in_their_own_words(tmp_path: Path, error: Exception) -> None:
    with pytest.raises(OutputError, match="No space left") as caught, writing(tmp_path):
        raise error
    assert caught.value.__cause__ is error


def test_other_errors_pass_through(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unrelated"), writing(tmp_path):
        raise ValueError("unrelated")
    elsewhere = PermissionError(errno.EACCES, "Permission denied", "/data/train.jsonl")
    with pytest.raises(PermissionError), writing(tmp_path / "out"):
        raise elsewhere


def test_a_second_run_on_one_output_ends_with_8_until_the_first_is_over(output: Path) -> None:
    with locked(output):
        with pytest.raises(OutputError, match="Another run") as caught, locked(output):
            pass
        assert caught.value.exit_code == 8
        staging = fill(prepare(output), "new")
        commit(staging, output)
    assert siblings(output) == {"out"}
    with locked(output):
        pass
    assert siblings(output) == {"out"}


def test_the_lock_of_a_killed_run_is_free(output: Path) -> None:
    child = os.fork()
    if not child:
        with locked(output):
            os._exit(9)
    os.waitpid(child, 0)
    with locked(output):
        assert output.parent.is_dir()
    assert siblings(output) == set()


def test_a_staging_directory_that_is_a_link_is_refused(output: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    staging_path(output).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="link"):
        prepare(output, resume=True)


def test_a_lock_that_is_a_link_makes_no_file_elsewhere(output: Path, tmp_path: Path) -> None:
    (tmp_path / ".out.glp-lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="a link"), locked(output):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_where_the_staging_directory_belongs_is_not_deleted(output: Path) -> None:
    staging_path(output).write_text("mine")
    with pytest.raises(OutputError):
        prepare(output, overwrite=True)
    assert staging_path(output).read_text() == "mine"
