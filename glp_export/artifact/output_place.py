"""Where an output goes: what may be wrong with a place, and what is said where writing fails."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glp_export.core.errors import OutputError

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
# safetensors, torch and ONNX Runtime wrap the operating system's error and keep only its words.
_NO_ROOM_WORDS = ("no space left on device", "disk quota exceeded", "file too large")


def staging_path(output: Path) -> Path:
    """The directory that a run for `output` writes into."""
    whole = Path(os.path.abspath(output))
    return whole.with_name(whole.name + ".partial")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write below `path` into an OutputError; other errors pass through.

    Raises:
        OutputError: no space is left, or the place is not writable.
    """
    try:
        yield
    except OutputError:
        raise
    except Exception as error:
        translated = _translate(error, path)
        if translated is None:
            raise
        raise translated from error


def _translate(error: BaseException, path: Path) -> OutputError | None:
    code = error.errno if isinstance(error, OSError) else None
    where = Path(str(getattr(error, "filename", None) or path))
    if code in _NO_ROOM or any(words in str(error).lower() for words in _NO_ROOM_WORDS):
        return OutputError(
            "No space left to write the output.",
            where=f"{where} ({_free_megabytes(where)} MB free)",
            fix="Make room, or choose a directory on another disk; --resume goes on from here.",
        )
    if code in _NOT_ALLOWED and _is_near(where, path):
        return OutputError(
            f"The output cannot be written: {os.strerror(code or 0)}.",
            where=str(where),
            fix="Choose a directory that you may write to.",
        )
    return None


def _is_near(where: Path, path: Path) -> bool:
    """Whether a place belongs to the output: a file of the user's data is not ours to explain."""
    place, whole = Path(os.path.abspath(where)), Path(os.path.abspath(path))
    return place == whole.parent or any(
        place.is_relative_to(ours) for ours in (whole, staging_path(whole))
    )


@contextmanager
def making(output: Path, what: str = "output directory") -> Iterator[None]:
    """`writing`, for the moment when an output is made: then any failure is the place's.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        with writing(output):
            yield
    except OSError as error:
        raise OutputError(
            f"The {what} cannot be made: {error.strerror}.",
            where=str(error.filename or output),
            fix="Choose another directory.",
        ) from error


def write_file(path: Path, text: str) -> None:
    """Write a text file where a user wants it, with the directories that it needs.

    Raises:
        OutputError: it cannot be written.
    """
    with making(path, "file"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def aside(output: Path, what: str) -> Path:
    """Where something waits for its deletion: hidden, and no name that a user would pick."""
    whole = Path(os.path.abspath(output))
    return whole.with_name(f".{whole.name}.glp-{what}")


def holds_something(output: Path) -> bool:
    """Whether it is a directory with anything in it."""
    return output.is_dir() and any(output.iterdir())


def refuse_root(output: Path) -> None:
    """Refuse the root of a file system, which has nothing beside it.

    Raises:
        OutputError: it is one.
    """
    whole = Path(os.path.abspath(output))
    if whole.parent == whole or os.path.ismount(output):
        raise OutputError(
            "The output directory is a mount point, which cannot be put in place at one stroke.",
            where=str(output),
            fix=f"Choose a directory below it: {whole / 'artifact'}",
        )


def refuse_bad_place(output: Path) -> None:
    """Refuse a place that a rename cannot fill, or that must not be replaced.

    Raises:
        OutputError: it is one.
    """
    whole = Path(os.path.abspath(output))
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise OutputError(
            "The output must be a directory, and this is a file or a link.",
            where=str(output),
            fix="Choose another name, or remove it.",
        )
    refuse_root(output)
    if Path.cwd().resolve().is_relative_to(whole.resolve()):
        raise OutputError(
            "The output directory is the one that you work in.",
            where=str(output),
            fix="Choose a directory below it.",
        )


def refuse_to_replace(output: Path, *, overwrite: bool, resume: bool) -> None:
    """Refuse a directory that holds something, unless it is an artifact that may be replaced.

    Raises:
        OutputError: it is one.
    """
    if overwrite:
        refuse_foreign(output)
        return
    what = "The output directory is not empty."
    if resume and staging_path(output).exists():
        what = "The output directory is complete, and the interrupted run would replace it."
    elif resume:
        what = "The output directory is complete: nothing is left to resume."
    raise OutputError(
        what, where=str(output), fix="Choose another, or replace it with --overwrite."
    )


def refuse_foreign(output: Path) -> None:
    """Refuse a directory that this tool has not made: overwriting deletes it whole.

    Raises:
        OutputError: it is one.
    """
    if not (output / "glp").is_dir():
        raise OutputError(
            "The output directory holds files that are no artifact of glp-export; "
            "--overwrite does not delete those.",
            where=str(output),
            fix="Remove the directory yourself, or choose another.",
        )


def _free_megabytes(path: Path) -> int:
    existing = next((place for place in (path, *path.parents) if place.exists()), Path("/"))
    return shutil.disk_usage(existing).free // 1_000_000
