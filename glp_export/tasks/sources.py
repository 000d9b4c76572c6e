"""Where a data specification leads: the demo grammar, the hub, a directory or two files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from glp_export.core.errors import DataError
from glp_export.tasks.files import (
    find_splits,
    read_alone,
    read_directory,
    read_files,
    require_file,
)
from glp_export.tasks.glue import GLUE_DATASET, GLUE_TASKS, GlueTask
from glp_export.tasks.hub import read_hub
from glp_export.tasks.raw import TEST_SPLITS, RawData, RawSplit
from glp_export.tasks.spec import DataSpec

DEMO = "demo"
# The demo's sentences are one fixed data set, like any other; a run's seed only splits them.
DEMO_SEED = 0
DEMO_TRAIN = 4000
DEMO_VALIDATION = 1000

_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def read_source(spec: DataSpec, glue: GlueTask | None, text_columns: Sequence[str] = ()) -> RawData:
    """Read the splits that `spec` names.

    Args:
        spec: checked by `DataSpec.check`.
        glue: the GLUE task that `spec` names, if it does; it knows how its splits are called.
        text_columns: that hold text, also where a file's are of digits alone.

    Raises:
        DataError: data that is not there, cannot be fetched, or cannot be read.
    """
    with _rights_explained():
        raw = _read(spec, glue, text_columns)
    return replace(raw, name=spec.task) if spec.task else raw


def require_places(spec: DataSpec) -> None:
    """Check that files and directories which `spec` names are there; nothing is read.

    Raises:
        DataError: one is not there, or a directory lacks a split.
    """
    with _rights_explained():
        for named in filter(None, (spec.train_file, spec.validation_file)):
            require_file(_path(named))
        if not spec.dataset:
            return
        path = _path(spec.dataset)
        if path.is_dir():
            find_splits(path, _test_names(spec))
        elif not path.is_file() and not _HUB_ID.fullmatch(spec.dataset):
            raise _no_directory(path)


@contextmanager
def _rights_explained() -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise DataError(
            "The data may not be read by this user.",
            where=str(error.filename),
            fix="change its rights, or run as a user who may",
        ) from error


def _test_names(spec: DataSpec) -> tuple[str, ...]:
    glue = GLUE_TASKS.get(spec.task or "")
    return tuple(dict.fromkeys((*(glue.test_splits if glue else ()), *TEST_SPLITS)))


def _read(spec: DataSpec, glue: GlueTask | None, texts: Sequence[str]) -> RawData:
    own = glue.test_splits if glue else ()
    tests = _test_names(spec)
    others = glue.other_splits if glue else ()
    if spec.train_file and spec.validation_file:
        return read_files(_path(spec.train_file), _path(spec.validation_file), texts)
    if spec.dataset:
        path = _path(spec.dataset)
        if path.is_dir():
            return read_directory(path, tests, others, texts)
        if path.is_file():
            labelled = _path(spec.validation_file) if spec.validation_file else None
            return read_alone(path, labelled, texts)
        if not _HUB_ID.fullmatch(spec.dataset):
            raise _no_directory(path)
        return read_hub(spec.dataset, spec.dataset_config, spec, tests, others)
    if glue:
        # The hub's own test split has no labels, so it is no candidate here.
        return read_hub(GLUE_DATASET, glue.config, spec, own, others)
    return _demo()


def _path(given: str) -> Path:
    return Path(given).expanduser()


def _no_directory(path: Path) -> DataError:
    return DataError("No such directory.", where=f"--dataset {path}", fix="correct the path")


def _demo() -> RawData:
    from datasets import Dataset

    from glp_export.tasks.demo_grammar import demo_splits

    splits = demo_splits(DEMO_SEED, train=DEMO_TRAIN, validation=DEMO_VALIDATION)
    train, validation = (Dataset.from_list(rows) for rows in splits)
    source = "the demo grammar of glp-export"
    return RawData(
        DEMO, source, RawSplit(train, f"{source}, train"), RawSplit(validation, f"{source}, test")
    )
