"""Local data: a directory with a train and a validation file, or the two files by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glp_export.core.errors import DataError
from glp_export.tasks.file_open import name_and_ending
from glp_export.tasks.formats import ENDINGS, FORMATS, read_lines, read_rows
from glp_export.tasks.raw import RawData, RawSplit

if TYPE_CHECKING:
    from datasets import Dataset

_SAVED = ("dataset_dict.json", "state.json")
"""What `datasets` puts beside splits, or one split, that it saved."""


def read_directory(
    directory: Path,
    test_splits: Sequence[str],
    other_splits: Sequence[str] = (),
    text_columns: Sequence[str] = (),
) -> RawData:
    """Read ``train.*`` and the first of the test splits that has a file.

    Args:
        directory: holds one file a split, named for it.
        test_splits: names of the split that tests, the preferred one first.
        other_splits: further test sets, read where they are there.
        text_columns: that hold text, also where it is of digits alone.

    Raises:
        DataError: no train or no validation file, two for one split, or one that cannot be read.
    """
    train, test = find_splits(directory, test_splits)
    others = {name: found for name in other_splits if (found := _find(directory, name))}
    return RawData(
        name=directory.resolve().name,
        source=str(directory),
        train=read_split(train, text_columns),
        test=read_split(test, text_columns),
        others={name: read_split(path, text_columns) for name, path in others.items()},
    )


def find_splits(directory: Path, test_splits: Sequence[str]) -> tuple[Path, Path]:
    """The file to learn from and the one to be tested on; see `read_directory`.

    Raises:
        DataError: one of them is not there, or there are two for one split.
    """
    train = _training_file(directory)
    tests = [found for found in (_find(directory, name) for name in test_splits) if found]
    if not tests:
        raise DataError(
            "The directory has a training file but no validation file; "
            f"it holds {_contents(directory)}.",
            where=str(directory),
            fix=f"add one named {', '.join(test_splits)} with one of the endings {ENDINGS}; "
            "a test set is never cut from the training examples",
        )
    return train, tests[0]


def read_training_file(directory: Path) -> RawData:
    """Read ``train.*`` alone.

    Raises:
        DataError: there is none, or it cannot be read.
    """
    train = _training_file(directory)
    return RawData(directory.resolve().name, str(directory), read_split(train), None)


def _training_file(directory: Path) -> Path:
    """``train.*`` of a directory.

    Raises:
        DataError: there is none, or there are two.
    """
    train = _find(directory, "train")
    places = (directory, directory / "train")
    if train is None and any((at / name).is_file() for at in places for name in _SAVED):
        raise DataError(
            "The directory is what `save_to_disk` of datasets wrote, in a form of its own.",
            where=str(directory),
            fix="write a file for each split: datasets.load_from_disk(DIR)['train']"
            ".to_parquet('NEW/train.parquet'), and the same with validation",
        )
    if train is None:
        raise DataError(
            f"The directory has no training file; it holds {_contents(directory)}.",
            where=str(directory),
            fix=f"name it train with one of the endings {ENDINGS}, "
            "or give --train-file FILE and --validation-file FILE",
        )
    return train


def read_files(train: Path, validation: Path, text_columns: Sequence[str] = ()) -> RawData:
    """Read two files named by the user; the data is called after the first, or its directory.

    Raises:
        DataError: a file that is missing, empty or cannot be read.
    """
    path = train.resolve()
    name, _ = name_and_ending(path)
    return RawData(
        name=path.parent.name if name == "train" else name,
        source=f"{train}, {validation}",
        train=read_split(train, text_columns),
        test=read_split(validation, text_columns),
    )


def read_alone(
    texts: Path, labelled: Path | None = None, text_columns: Sequence[str] = ()
) -> RawData:
    """Read one file of texts, a table or a text a line (.txt), and one with labels beside it.

    Raises:
        DataError: a file that is missing, empty or cannot be read.
    """
    name, _ = name_and_ending(texts.resolve())
    if texts.suffix.lower() == ".txt":
        lines = read_lines(texts, text_columns[0] if text_columns else "text")
        train = RawSplit(_filled(lines, texts), str(texts))
    else:
        train = read_split(texts, text_columns)
    return RawData(
        name=name or texts.stem,
        source=", ".join(map(str, filter(None, (texts, labelled)))),
        train=train,
        test=None,
        labelled=read_split(labelled, text_columns) if labelled else None,
    )


def read_split(path: Path, text_columns: Sequence[str] = ()) -> RawSplit:
    """Read one file.

    Raises:
        DataError: it is missing, empty, of an unknown format or broken; names the broken row.
    """
    require_file(path)
    return RawSplit(_filled(read_rows(path, text_columns), path), str(path))


def require_file(path: Path) -> None:
    """Check that a file is there.

    Raises:
        DataError: it is not, or a directory is.
    """
    if not path.is_file():
        what = "A directory stands where a file is needed" if path.is_dir() else "No such file"
        raise DataError(f"{what}.", where=str(path), fix="correct the path")


def _filled(rows: Dataset, path: Path) -> Dataset:
    if not len(rows):
        raise DataError(
            "The file has no rows.", where=str(path), fix="fill it, or name another file"
        )
    return rows


def _find(directory: Path, split: str) -> Path | None:
    named = {(split, ending) for ending in FORMATS}
    found = sorted(
        path for path in directory.iterdir() if name_and_ending(path) in named and path.is_file()
    )
    if len(found) > 1:
        raise DataError(
            f"Split '{split}' has several files: {', '.join(path.name for path in found)}.",
            where=str(directory),
            fix="keep one of them, or name the files with --train-file and --validation-file",
        )
    return found[0] if found else None


def _contents(directory: Path, most: int = 8) -> str:
    names = sorted(path.name for path in directory.iterdir())
    if not names:
        return "nothing"
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if names[most:] else "")
