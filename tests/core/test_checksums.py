from __future__ import annotations

import errno
from pathlib import Path

import pytest

from glp_export.artifact import ArtifactLayout
from glp_export.core.checksums import CHECKSUMS, enter, settle, verify_files
from glp_export.core.errors import ModelError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An artifact of two files, and a third that is not listed."""
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    ArtifactLayout(tmp_path).write_checksums()
    (tmp_path / "added").write_text("later")
    return tmp_path


def test_only_the_files_that_are_named_are_checked(root: Path) -> None:
    (root / "b").write_text("changed")
    verify_files(root, ["a"])
    with pytest.raises(ModelError, match="b is not the file"):
        verify_files(root, ["a", "b"])
    with pytest.raises(ModelError, match="b is not the file"):
        verify_files(root)


def test_nothing_vouches_for_a_file_that_is_not_listed(root: Path) -> None:
    verify_files(root)
    for asked in ({"names": ["added"]}, {"names": [], "perhaps": ["added"]}):
        with pytest.raises(ModelError, match="added is not listed"):
            verify_files(root, **asked)


def test_what_an_artifact_need_not_have_may_be_absent_unless_it_is_listed(root: Path) -> None:
    verify_files(root, ["a"], perhaps=["c"])
    (root / "b").unlink()
    with pytest.raises(ModelError, match=r"b is listed in .* and is missing"):
        verify_files(root, ["a"], perhaps=["b"])


def test_what_was_made_anew_is_entered_and_nothing_else_is_vouched_for(root: Path) -> None:
    (root / "b").write_text("changed")
    enter(root, ["added"])
    verify_files(root, ["a", "added"])
    with pytest.raises(ModelError, match="b is not the file"):
        verify_files(root)


def test_entering_leaves_the_list_as_it_would_have_been_written(root: Path) -> None:
    (root / "a").write_text("anew")
    enter(root, ["a", "added"])
    entered = (root / "glp" / "SHA256SUMS").read_text()
    ArtifactLayout(root).write_checksums()
    assert (root / "glp" / "SHA256SUMS").read_text() == entered


def test_a_list_that_leaves_files_of_the_model_out_is_no_list(root: Path) -> None:
    layout = ArtifactLayout(root)
    layout.verify_checksums()
    (root / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"config\.json is not listed"):
        layout.verify_checksums()


@pytest.mark.parametrize("mark", [b"\xff", b"\x0b", b"\x00"])
def test_a_list_with_a_damaged_byte_is_refused(root: Path, mark: bytes) -> None:
    path = root / CHECKSUMS
    content = path.read_bytes()
    for place in (3, content.index(b"\n"), len(content) - 2):
        path.write_bytes(content[:place] + mark + content[place + 1 :])
        with pytest.raises(ModelError):
            verify_files(root)


class Killed(BaseException):
    """Ends a process between two steps, as far as a test can see."""


def test_files_put_into_place_are_vouched_for_at_any_moment(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace
    steps = 0
    for last in range(4):
        (root / "a.new").write_text(f"new {last}")
        moves = iter(range(4))

        def until_killed(path: Path, target: Path, last: int = last, moves=moves) -> Path:
            if next(moves) == last:
                raise Killed
            return replace(path, target)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", until_killed)
            try:
                enter(root, ["b"], new={"a": root / "a.new"})
            except Killed:
                steps += 1
        verify_files(root)
        settle(root)
        verify_files(root)
        assert not (root / "glp" / ".SHA256SUMS.new").exists()
    assert steps == 3
    assert (root / "a").read_text() == "new 3"
    (root / "a").write_text("changed")
    with pytest.raises(ModelError, match="a is not the file"):
        verify_files(root)


@pytest.mark.parametrize("name", ["a", CHECKSUMS])
def test_a_file_that_may_not_be_read_is_named(
    root: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def refused(path: Path, *given: object, **more: object) -> object:
        if path == root / name:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return opened(path, *given, **more)

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(ModelError, match="Permission denied") as refusal:
        verify_files(root)
    assert refusal.value.where == str(root / name)
