"""Opening the files of local data, plain or gzipped, and what is said of one that is broken."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from glp_export.core.errors import DataError

GZIP = ".gz"


def name_and_ending(path: Path) -> tuple[str, str]:
    """What a file is called and how it ends: ("train", ".jsonl.gz") of train.jsonl.gz."""
    if path.suffix.lower() != GZIP:
        return path.stem, path.suffix.lower()
    inner = Path(path.stem)
    return inner.stem, inner.suffix.lower() + GZIP


def open_bytes(path: Path) -> BinaryIO:
    """The content of a file; that of a gzipped one unpacked as it is read."""
    return cast(BinaryIO, gzip.open(path)) if path.suffix.lower() == GZIP else path.open("rb")


def open_text(path: Path) -> TextIO:
    """The same as UTF-8 text, without a byte order mark and with the line ends that it has."""
    return io.TextIOWrapper(open_bytes(path), encoding="utf-8-sig", newline="")


def broken(path: Path, place: str, fault: str) -> DataError:
    """A file that breaks at some place: `row 3`, `line 4`, `the header`."""
    return DataError(
        f"The file is broken: {place} {fault}.",
        where=f"{path}, {place}",
        fix="correct it, or write the file anew",
    )
