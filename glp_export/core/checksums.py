"""The list of SHA-256 sums that keeps an artifact honest, as `sha256sum -c` reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from glp_export.core.errors import ModelError, reason_of

CHECKSUMS = "glp/SHA256SUMS"
"""Its name below an artifact's root."""

_COMING = "glp/.SHA256SUMS.new"
"""The list that is to come, where a process was killed while it put files into their place."""

_CHUNK = 1 << 20


def file_sha256(path: Path) -> str:
    """SHA-256 of a file as 64 hexadecimal digits, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def verify_files(
    root: Path, names: Iterable[str] | None = None, *, perhaps: Iterable[str] = ()
) -> None:
    """Check that files are there and are what they were when the list was written.

    Args:
        root: of the artifact.
        names: the files to check, as listed; by default every one that is listed. Files that are
            not listed are let be then: a deployment may put its own beside ours.
        perhaps: more files, which an artifact need not have; checked if they are there or listed.

    Raises:
        ModelError: the list is missing or unreadable, or a file is missing, changed or, where it
            was named, not listed; it is named.
    """
    listed = listed_files(root)
    there = [name for name in perhaps if name in listed or (root / name).is_file()]
    for name in (*(listed if names is None else names), *there):
        path = root / name
        if name not in listed:
            raise _unlisted(name, path)
        if not path.is_file():
            raise ModelError(
                f"{name} is listed in {CHECKSUMS} and is missing.",
                where=str(path),
                fix="Copy the whole directory again, or make the artifact again.",
            )
        digest = _digest(path)
        if digest != listed[name] and digest != _coming(root).get(name):
            raise ModelError(
                f"{name} is not the file that was exported: its SHA-256 differs.",
                where=str(path),
                fix="Copy it again; if it was edited on purpose, make the artifact again.",
            )


def _digest(path: Path) -> str:
    """SHA-256 of a file of an artifact.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        return file_sha256(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> ModelError:
    return ModelError(
        f"A file of the artifact cannot be read: {reason_of(error)}.",
        where=str(path),
        fix="See to it that you may read it, or copy the whole directory again.",
    )


def stamp(root: Path) -> str | None:
    """What tells the artifact at a place from another one there; None where there is none."""
    try:
        return file_sha256(root / CHECKSUMS)
    except OSError:
        return None


@contextmanager
def staying(*roots: Path) -> Iterator[None]:
    """Refuse what was seen of artifacts of which one was replaced meanwhile: it is of both.

    Raises:
        ModelError: so it is, whatever else went wrong.
    """
    before = {root: stamp(root) for root in roots}
    fault: Exception | None = None
    try:
        yield
    except Exception as error:
        fault = error
    for root, was in before.items():
        if stamp(root) != was:
            raise ModelError(
                "The artifact was replaced while it was looked at.",
                where=str(root),
                fix="Run it again when whatever writes there has ended.",
            ) from fault
    if fault is not None:
        raise fault


def require_listed(root: Path, name: str) -> None:
    """Check that the list vouches for a file.

    Raises:
        ModelError: the list is missing or unreadable, or does not have it.
    """
    if name not in listed_files(root):
        raise _unlisted(name, root / name)


def _coming(root: Path) -> dict[str, str]:
    """What the list that is to come vouches for; nothing where there is none."""
    try:
        return _read_list(root / _COMING)
    except ModelError:
        return {}


def _unlisted(name: str, path: Path) -> ModelError:
    return ModelError(
        f"{name} is not listed in {CHECKSUMS}, so nothing vouches for it.",
        where=str(path),
        fix="Copy the whole directory again, or make the artifact again.",
    )


def enter(root: Path, names: Iterable[str], *, new: Mapping[str, Path] | None = None) -> None:
    """Enter files that were made anew into the list, and leave every other line as it is.

    Killed at any moment it leaves an artifact whose files are vouched for: the list that is to
    come stands beside the old one before any file changes.

    Args:
        root: of the artifact.
        names: of files that stand in their place already, below the root.
        new: of files that are put into their place now, with where they are.

    Raises:
        ModelError: the list is missing or unreadable.
        OSError: a file cannot be read, or the list cannot be written.
    """
    moved = new or {}
    listed = listed_files(root)
    listed.update({name: file_sha256(root / name) for name in names})
    listed.update({name: file_sha256(path) for name, path in moved.items()})
    ordered = sorted(listed, key=PurePosixPath)
    lines = "".join(f"{listed[name]}  {name}\n" for name in ordered)
    coming = root / _COMING
    half = coming.with_name(f"{coming.name}.partial")
    half.write_text(lines, encoding="utf-8")
    half.replace(coming)
    for name, path in moved.items():
        path.replace(root / name)
    coming.replace(root / CHECKSUMS)


def settle(root: Path) -> None:
    """Bring to its end what `enter` was killed at, or take back what it only began.

    Raises:
        OSError: the list cannot be written.
    """
    coming = root / _COMING
    wanted = _coming(root)
    if wanted and all(
        (root / name).is_file() and file_sha256(root / name) == digest
        for name, digest in wanted.items()
    ):
        coming.replace(root / CHECKSUMS)
    coming.unlink(missing_ok=True)


def listed_files(root: Path) -> dict[str, str]:
    """Every file that the list vouches for: its name, as listed, to its SHA-256.

    Raises:
        ModelError: the list is missing or unreadable.
    """
    path = root / CHECKSUMS
    if not path.is_file():
        raise ModelError(
            f"The directory has no {CHECKSUMS}, so it is no complete artifact.",
            where=str(root),
            fix="Make it with `glp-export prune-and-export`.",
        )
    return _read_list(path)


def _read_list(path: Path) -> dict[str, str]:
    listed = {}
    # What is no UTF-8 is no line of the list, and says so itself.
    try:
        content = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise _unreadable(path, error) from error
    for number, line in enumerate(content.split("\n"), 1):
        if not line:
            continue
        digest, separator, name = line.partition("  ")
        if len(digest) != 64 or not separator or not _stays_inside(name):
            raise ModelError(
                "The line is not a SHA-256 and a file name of the artifact.",
                where=f"{path}, line {number}",
                fix="Make the artifact again.",
            )
        listed[name] = digest
    return listed


def _stays_inside(name: str) -> bool:
    pure = PurePosixPath(name)
    return bool(name) and not pure.is_absolute() and ".." not in pure.parts
