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

from glp_export.artifact.output_place import (
    aside,
    holds_something,
    making,
    refuse_bad_place,
    refuse_foreign,
    refuse_root,
    refuse_to_replace,
    staging_path,
    writing,
)
from glp_export.cache.entry import flush
from glp_export.core.errors import OutputError

logger = logging.getLogger(__name__)

WORK = "work"
"""Scratch below the staging directory: it survives an interruption and is never shipped."""

_CHECKSUMS = Path("glp") / "SHA256SUMS"


@contextmanager
def locked(output: Path) -> Iterator[None]:
    """Be the only run that works on an output, from before `prepare` until after `commit`.

    The lock is the operating system's, on a hidden file beside the output: a killed run holds none.

    Raises:
        OutputError: another run holds it, or the place cannot be written to.
    """
    refuse_root(output)
    path = aside(output, "lock")
    with making(output):
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
    with making(output):
        refuse_bad_place(output)
        if staging.is_symlink():
            raise OutputError(
                "The directory for unfinished output is a link, and what it leads to is not ours.",
                where=str(staging),
                fix="Remove the link, or choose another output directory.",
            )
        _settle(output)
        if holds_something(output):
            refuse_to_replace(output, overwrite=overwrite, resume=resume)
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
        if holds_something(output):
            if not overwrite:
                raise OutputError(
                    "The output directory was filled while the run was under way.",
                    where=str(output),
                    fix=f"The result is complete in {staging}; move it where you want it.",
                )
            refuse_foreign(output)
        # At one stroke: half a journal would be worse than a whole one or none.
        if (staging / WORK).is_dir():
            (staging / WORK).rename(aside(output, "work"))
        _flush(staging)
        _swap(staging, output)
        shutil.rmtree(aside(output, "work"), ignore_errors=True)
    return output


def finished(output: Path) -> bool:
    """Whether a complete artifact stands at `output`, after settling a commit that was cut short.

    A run that is asked to resume and finds True has nothing to do.
    """
    with writing(output):
        _settle(output)
    return (output / _CHECKSUMS).is_file()


def discard(staging: Path) -> None:
    """Delete a staging directory at one stroke: half of it would look like somebody else's."""
    dropped = aside(staging.with_name(staging.name.removesuffix(".partial")), "dropped")
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


def _try_to_write(directory: Path) -> None:
    """Fail now rather than after hours of training."""
    probe = directory / WORK / ".writable"
    probe.write_bytes(b"\0" * 4096)
    probe.unlink()


def _swap(staging: Path, output: Path) -> None:
    previous = aside(output, "replaced")
    replaced = holds_something(output)
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
        aside(output, "replaced"),
        aside(output, "work"),
    )
    if not holds_something(output):
        complete = (staging / _CHECKSUMS).is_file() and not (staging / WORK).exists()
        if complete:
            staging.rename(output)
        elif previous.is_dir():
            previous.rename(output)
    if work.is_dir() and staging.is_dir() and not (staging / WORK).exists():
        work.rename(staging / WORK)
    for left_over in (previous, work, aside(output, "dropped")):
        shutil.rmtree(left_over, ignore_errors=True)


def _flush(directory: Path) -> None:
    """Write everything through to the disk: a rename must not outlive a power cut without it."""
    for path in [*directory.rglob("*"), directory]:
        flush(path)
