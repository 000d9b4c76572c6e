"""What lies in one entry of the cache: its record, its name, its checksums."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

RECORD = "entry.json"
"""The file that makes a directory an entry; its modification time is when it was last used."""

KEY_DIGITS = 32


class FileSum(BaseModel):
    """What a sealed file must be."""

    model_config = ConfigDict(frozen=True)

    sha256: str
    bytes: int


class Record(BaseModel):
    """`entry.json`.

    Attributes:
        facts: all that the content depends on.
        created: when the entry was put in place.
        files: the sealed files by their path below the entry; None where the entry grows.
    """

    model_config = ConfigDict(frozen=True)

    schema_version: Literal[1] = 1
    kind: str
    facts: dict[str, Any]
    created: AwareDatetime
    files: dict[str, FileSum] | None = None


@dataclass(frozen=True)
class Entry:
    """One entry as it lies on the disk.

    Attributes:
        kind: what it is, `teacher` for one.
        key: its name, made from the facts.
        facts: all that its content depends on.
        bytes: of all its files.
        created: when it was put in place.
        last_used: when it was last asked for.
        path: its directory.
    """

    kind: str
    key: str
    facts: Mapping[str, Any]
    bytes: int
    created: datetime
    last_used: datetime
    path: Path


def key_of(facts: Mapping[str, Any]) -> str:
    """The name of an entry: 32 hex digits of the SHA-256 of its facts as canonical JSON.

    Raises:
        TypeError: a fact is no JSON value.
        ValueError: a fact is NaN or infinite.
    """
    return hashlib.sha256(_canonical(facts).encode()).hexdigest()[:KEY_DIGITS]


def read_record(directory: Path) -> Record | None:
    """The record of an entry; None where there is none that fits its place."""
    try:
        record = Record.model_validate_json((directory / RECORD).read_bytes())
    except (OSError, ValueError):
        return None
    place = directory.parent.name, directory.name
    return record if (record.kind, key_of(record.facts)) == place else None


def read_entry(path: Path) -> Entry | None:
    """What lies there; None where it is no entry, or has just been removed."""
    record = read_record(path)
    if record is None:
        return None
    with suppress(FileNotFoundError):
        return Entry(
            kind=record.kind,
            key=path.name,
            facts=record.facts,
            bytes=_size(path),
            created=record.created,
            last_used=datetime.fromtimestamp((path / RECORD).stat().st_mtime, UTC),
            path=path,
        )
    return None


def write_record(directory: Path, kind: str, facts: Mapping[str, Any], *, sealed: bool) -> None:
    """Write the record of what lies in `directory`, and everything through to the disk.

    Args:
        sealed: keep the checksum of every file; an entry that grows has none.
    """
    record = Record(
        kind=kind,
        facts=json.loads(_canonical(facts)),
        created=datetime.now(UTC).replace(microsecond=0),
        files=_sums(directory) if sealed else None,
    )
    new = directory / f".{RECORD}.new"
    new.write_text(record.model_dump_json(indent=2) + "\n", encoding="utf-8")
    flush(new)
    new.replace(directory / RECORD)
    for path in [*directory.rglob("*"), directory]:
        flush(path)


def damage(directory: Path, record: Record) -> str | None:
    """The first sealed file that is missing or changed; None where all are as they were made."""
    for name, expected in (record.files or {}).items():
        path = directory / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != expected.bytes or _sha256(path) != expected.sha256:
            return f"{name} is changed"
    return None


def flush(path: Path) -> None:
    """Write a file or a directory's list of names through to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(directory: Path) -> int:
    """The bytes of all files below a directory; files that vanish meanwhile do not count."""
    total = 0
    for parent, _, names in os.walk(directory):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(os.path.join(parent, name)).st_size
    return total


def _canonical(facts: Mapping[str, Any]) -> str:
    return json.dumps(dict(facts), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _sums(directory: Path) -> dict[str, FileSum]:
    return {
        path.relative_to(directory).as_posix(): FileSum(
            sha256=_sha256(path), bytes=path.stat().st_size
        )
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path != directory / RECORD
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
