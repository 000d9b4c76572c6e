"""An output directory that is complete or absent.

A run writes into `OUT.partial`, beside OUT and so on the same file system, and one rename moves
it into place. Killed at any moment, OUT is complete or absent, and `OUT.partial` keeps what a
later `--resume` needs. Where OUT is replaced, the old one is moved aside first and deleted last;
`prepare` and `finished` settle what a run left that was killed between those steps.
"""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glp_export.cache.entry import flush
from glp_export.core.errors import OutputError

logger = logging.getLogger(__name__)

WORK = "work"
"""Scratch below the staging directory: it survives an interruption and is never shipped."""

_CHECKSUMS = Path("glp") / "SHA256SUMS"

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}
# safetensors, torch and ONNX Runtime wrap the operating system's error and keep only its words.
_NO_ROOM_WORDS = ("no space left on device", "disk quota exceeded", "file too large")


def staging_path(output: Path) -> Path:
    """The directory that a run for `output` writes into."""
    whole = Path(os.path.abspath(output))
    return whole.with_name(whole.name + ".partial")


@contextmanager
def locked(output: Path) -> Iterator[None]:
    """Be the only run that works on an output, from before `prepare` until after `commit`.

    The lock is the operating system's, on a hidden file beside the output: a killed run holds none.

    Raises:
        OutputError: another run holds it, or the place cannot be written to.
    """
    _refuse_root(output)
    path = _aside(output, "lock")
    with _making(output):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = _lock(path)
    if descriptor is None:
        raise OutputError(
            "Another run works on this output directory.",
            where=str(staging_path(output)),
            fix="Wait until it has ended, or choose another output directory.",
        )
    try:
        yield
    finally:
        # Removed while it is held: whoever opened it meanwhile sees that it is gone.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _lock(path: Path) -> int | None:
    """Lock a file without waiting; its descriptor, None where another run has it."""
    try:
        import fcntl
    except ImportError:  # Windows has no such lock
        return os.open(path, os.O_RDWR | os.O_CREAT)
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise OutputError(  # it would make a file somewhere else
                "The lock of the output directory is a link.",
                where=str(path),
                fix="Remove it, or choose another output directory.",
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        except OSError as error:  # a file system without locks
            logger.warning("%s: no lock can be held here (%s)", path, error.strerror)
            return descriptor
        if _is_at(path, descriptor):
            return descriptor
        os.close(descriptor)  # the run before removed it as it ended: lock the new one


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        there, held = os.stat(path), os.fstat(descriptor)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)


def prepare(output: Path, *, overwrite: bool = False, resume: bool = False) -> Path:
    """Make the staging directory of a run, after checking that nothing is in its way.

    Args:
        output: the directory that the run shall leave.
        overwrite: replace a finished artifact, and drop an interrupted run.
        resume: go on with the interrupted run if there is one, its files untouched.

    Returns:
        The staging directory, which exists.

    Raises:
        OutputError: something is in the way, or the place cannot be written to.
    """
    staging = staging_path(output)
    with _making(output):
        _refuse_bad_place(output)
        if staging.is_symlink():
            raise OutputError(
                "The directory for unfinished output is a link, and what it leads to is not ours.",
                where=str(staging),
                fix="Remove the link, or choose another output directory.",
            )
        _settle(output)
        if _holds_something(output):
            _refuse_to_replace(output, overwrite=overwrite, resume=resume)
        if staging.exists() and not resume:
            _drop(staging, overwrite=overwrite)
        (staging / WORK).mkdir(parents=True, exist_ok=True)
        _try_to_write(staging)
    return staging


def commit(staging: Path, output: Path, *, overwrite: bool = False) -> Path:
    """Move a finished staging directory into place and return `output`.

    Scratch goes first, then everything is flushed to disk, then a rename makes it visible.

    Raises:
        OutputError: the output directory was filled meanwhile, or cannot be written.
    """
    with writing(output):
        if _holds_something(output):
            if not overwrite:
                raise OutputError(
                    "The output directory was filled while the run was under way.",
                    where=str(output),
                    fix=f"The result is complete in {staging}; move it where you want it.",
                )
            _refuse_foreign(output)
        # At one stroke: half a journal would be worse than a whole one or none.
        if (staging / WORK).is_dir():
            (staging / WORK).rename(_aside(output, "work"))
        _flush(staging)
        _swap(staging, output)
        shutil.rmtree(_aside(output, "work"), ignore_errors=True)
    return output


def finished(output: Path) -> bool:
    """Whether a complete artifact stands at `output`, after settling a commit that was cut short.

    A run that is asked to resume and finds True has nothing to do.
    """
    with writing(output):
        _settle(output)
    return (output / _CHECKSUMS).is_file()


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
def _making(output: Path) -> Iterator[None]:
    """`writing`, for the moment when the directory is made: then any failure is the place's."""
    try:
        with writing(output):
            yield
    except OSError as error:
        raise OutputError(
            f"The output directory cannot be made: {error.strerror}.",
            where=str(error.filename or output),
            fix="Choose another directory.",
        ) from error


def _aside(output: Path, what: str) -> Path:
    """Where something waits for its deletion: hidden, and no name that a user would pick."""
    whole = Path(os.path.abspath(output))
    return whole.with_name(f".{whole.name}.glp-{what}")


def _holds_something(output: Path) -> bool:
    return output.is_dir() and any(output.iterdir())


def _refuse_root(output: Path) -> None:
    """The root of a file system, which has nothing beside it."""
    whole = Path(os.path.abspath(output))
    if whole.parent == whole or os.path.ismount(output):
        raise OutputError(
            "The output directory is a mount point, which cannot be put in place at one stroke.",
            where=str(output),
            fix=f"Choose a directory below it: {whole / 'artifact'}",
        )


def _refuse_bad_place(output: Path) -> None:
    """Places that a rename cannot fill, or that must not be replaced."""
    whole = Path(os.path.abspath(output))
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise OutputError(
            "The output must be a directory, and this is a file or a link.",
            where=str(output),
            fix="Choose another name, or remove it.",
        )
    _refuse_root(output)
    if Path.cwd().resolve().is_relative_to(whole.resolve()):
        raise OutputError(
            "The output directory is the one that you work in.",
            where=str(output),
            fix="Choose a directory below it.",
        )


def _refuse_to_replace(output: Path, *, overwrite: bool, resume: bool) -> None:
    if overwrite:
        _refuse_foreign(output)
        return
    what = "The output directory is not empty."
    if resume and staging_path(output).exists():
        what = "The output directory is complete, and the interrupted run would replace it."
    elif resume:
        what = "The output directory is complete: nothing is left to resume."
    raise OutputError(
        what, where=str(output), fix="Choose another, or replace it with --overwrite."
    )


def discard(staging: Path) -> None:
    """Delete a staging directory at one stroke: half of it would look like somebody else's."""
    dropped = _aside(staging.with_name(staging.name.removesuffix(".partial")), "dropped")
    shutil.rmtree(dropped, ignore_errors=True)
    staging.rename(dropped)
    shutil.rmtree(dropped, ignore_errors=True)


def _drop(staging: Path, *, overwrite: bool) -> None:
    """Delete what an earlier run left, if that is asked for and if a run left it."""
    if not overwrite:
        raise OutputError(
            "An interrupted run for this output directory is still there.",
            where=str(staging),
            fix="Go on with it (--resume), or drop it (--overwrite).",
        )
    ours = (staging / WORK).is_dir() or (staging / "glp").is_dir()
    # A run that was killed as it made the directory left it empty.
    if not ours and (not staging.is_dir() or any(staging.iterdir())):
        raise OutputError(
            "The directory for unfinished output holds something else; it is not deleted.",
            where=str(staging),
            fix="Move it away, or choose another output directory.",
        )
    discard(staging)


def _refuse_foreign(output: Path) -> None:
    """Overwriting deletes a whole directory: only one that this tool has made."""
    if not (output / "glp").is_dir():
        raise OutputError(
            "The output directory holds files that are no artifact of glp-export; "
            "--overwrite does not delete those.",
            where=str(output),
            fix="Remove the directory yourself, or choose another.",
        )


def _try_to_write(directory: Path) -> None:
    """Fail now rather than after hours of training."""
    probe = directory / WORK / ".writable"
    probe.write_bytes(b"\0" * 4096)
    probe.unlink()


def _swap(staging: Path, output: Path) -> None:
    previous = _aside(output, "replaced")
    replaced = _holds_something(output)
    if replaced:
        output.rename(previous)
    try:
        staging.rename(output)  # replaces an empty directory too
    except OSError:
        if replaced:
            previous.rename(output)
        raise
    if replaced:
        shutil.rmtree(previous, ignore_errors=True)


def _settle(output: Path) -> None:
    """Bring a commit that was killed between its steps to its end, or take it back."""
    staging, previous, work = (
        staging_path(output),
        _aside(output, "replaced"),
        _aside(output, "work"),
    )
    if not _holds_something(output):
        complete = (staging / _CHECKSUMS).is_file() and not (staging / WORK).exists()
        if complete:
            staging.rename(output)
        elif previous.is_dir():
            previous.rename(output)
    if work.is_dir() and staging.is_dir() and not (staging / WORK).exists():
        work.rename(staging / WORK)
    for left_over in (previous, work, _aside(output, "dropped")):
        shutil.rmtree(left_over, ignore_errors=True)


def _flush(directory: Path) -> None:
    """Write everything through to the disk: a rename must not outlive a power cut without it."""
    for path in [*directory.rglob("*"), directory]:
        flush(path)


def _free_megabytes(path: Path) -> int:
    existing = next((place for place in (path, *path.parents) if place.exists()), Path("/"))
    return shutil.disk_usage(existing).free // 1_000_000
