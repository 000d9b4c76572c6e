"""From what the user named to a task with checked, normalised splits."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from glp_export.core.errors import DataError, UsageError
from glp_export.core.text import plain
from glp_export.tasks.checksum import rows_checksum
from glp_export.tasks.columns import columns_of, is_text, texts_in_words
from glp_export.tasks.duplicates import repeats_in_words
from glp_export.tasks.encoding import quiet_datasets
from glp_export.tasks.glue import GLUE_TASKS
from glp_export.tasks.kinds import (
    KINDS,
    Columns,
    LabelReader,
    TaskKind,
    metric_names,
)
from glp_export.tasks.kinds.classification import listing
from glp_export.tasks.kinds.units import ragged
from glp_export.tasks.label_names import label_key, match_labels, near_duplicates
from glp_export.tasks.metrics import AGREEMENT
from glp_export.tasks.own_metric import check_perfect, is_own, load_function
from glp_export.tasks.raw import RawData, RawSplit, is_number
from glp_export.tasks.reading import (
    TEXT_COLUMNS,
    Reading,
    check_metric,
    check_texts,
    in_order_of,
    label_column,
    understand,
)
from glp_export.tasks.sources import DEMO, read_source, require_places
from glp_export.tasks.spec import DataSpec
from glp_export.tasks.splits import Units, drawn
from glp_export.tasks.task import Task, TaskData
from glp_export.tasks.texts_alone import (
    TEST_FRACTION,
    cut_test,
    find_texts,
    groups_of,
    label_name,
    lacks_labels,
)
from glp_export.tasks.unlabeled import blank_labels, with_labels

if TYPE_CHECKING:
    from datasets import Dataset
    from numpy.typing import NDArray


def load_task_data(spec: DataSpec, own: Task | None = None) -> TaskData:
    """Read, check and split the data of a task.

    `fit` and `select` are the training examples, `test` the validation examples. Samples and
    splits keep the proportions of the labels and depend on nothing but the data and the seed.
    Of texts alone the labels are blank: a model's answers have to be entered.

    Args:
        spec: what the user named.
        own: what the model that is to answer was made for, where it has a head: where the data has
            the same labels in another order or letter case, they take its ids; texts alone take
            its kind and its labels.

    Raises:
        UsageError: flags that contradict each other, an unknown name, a metric that does not fit.
        DataError: data that cannot be fetched, read or used; it names the file, row or column.
    """
    require_data(spec)
    glue = GLUE_TASKS.get(spec.task or "")
    with quiet_datasets():
        named = spec.text_columns or (glue.text_columns if glue else ())
        raw = read_source(spec, glue, named).with_text(named)
        if lacks_labels(raw, spec):
            return _texts_alone(raw, spec, own)
        if raw.test is None:  # of a kind whose texts are their own labels
            raw = cut_test(raw, find_texts(raw.train, named), spec.seed)
        labels = own.labels if own else ()
        reading = understand(raw, spec, glue, labels)
        texts = _numbers_for_text(raw, reading.task)
        if texts:
            raw = read_source(spec, glue, texts).with_text(texts)
        fit, select = _training_splits(raw.train, reading, spec)
        data = TaskData(
            task=reading.task,
            fit=fit,
            select=select,
            test=_test_split(raw.tested, reading, spec),
            other_tests={
                name: _test_split(split, reading, spec) for name, split in raw.others.items()
            },
            source=raw.source,
            hub=raw.hub,
        )
        if is_own(data.task.metric):
            check_perfect(reading.kind.metric(data.task.metric), np.asarray(data.select["label"]))
        notes = repeats_in_words(data.fit, data.select, {"test": data.test, **data.other_tests})
        notes = (*reading.notes, *_near_duplicates_in_words(data.task), *notes)
        return replace(data, checksum=_checksum(data), notes=notes)


def require_data(spec: DataSpec) -> None:
    """Check what can be said of data before any of it is read.

    Raises:
        UsageError: flags that contradict each other, or an unknown name.
        DataError: a file or directory that is not there, or a directory without a split.
    """
    spec.check()
    _check_names(spec)
    require_places(spec)


def read_labelled(raw: RawData, spec: DataSpec, limit: int) -> tuple[Task, Dataset]:
    """The task of training rows, and so many of them at most, normalised; no test row is read.

    Raises:
        DataError: its columns or its labels cannot be told or used.
    """
    reading = understand(raw, spec, None, ())
    rows, targets = reading.examples(raw.train)
    kept = _units(reading.kind, rows, targets).sample(limit, spec.seed)
    return reading.task, rows.select(kept)


def _texts_alone(raw: RawData, spec: DataSpec, own: Task | None) -> TaskData:
    """The data of a fine-tuned model without any labels: of its kind, and with its labels.

    Raises:
        DataError: there is no such model, or its answers are no labels of texts.
        UsageError: the metric does not fit.
    """
    kind = KINDS[own.kind] if own else None
    if own is None or kind is None or kind.predictions is None:
        raise DataError(
            "The texts have no labels, and "
            + (f"{own.kind} is not learned without." if own else "no fine-tuned model gives them."),
            where=raw.source,
            fix="give rows with labels, and name their column with --label-column NAME"
            + ("" if own else "; or a model that was fine-tuned to label texts, as the teacher"),
        )
    columns = find_texts(raw.train, spec.text_columns or ())
    for split in raw.splits:  # before rows are drawn: an error names a row of the file
        find_texts(split, columns)
        check_texts(split, columns)
    test, labelled, share = raw.test, raw.labelled, spec.dev_fraction
    if test is not None and label_name(test):
        test, labelled = None, test
    if test is None:
        raw = cut_test(replace(raw, test=None), columns, spec.seed)
        share = min(0.5, share / (1 - TEST_FRACTION))
    task = Task(raw.name, kind.name, columns, "", own.labels, AGREEMENT)
    other_metric = spec.metric or kind.metric_for(own.labels)
    check_metric(replace(task, metric=other_metric))
    train = _blank(raw.train, task)
    names = TEXT_COLUMNS[: len(columns)]
    kept = train.select(groups_of(train, names).sample(spec.max_train_samples, spec.seed))
    fit, select = groups_of(kept, names).hold_back(share, spec.seed)
    if not len(select):
        raise _none_to_choose_by(len(kept), "they are one text", raw.train.source)
    data = TaskData(
        task=task,
        fit=kept.select(fit),
        select=drawn(kept.select(select), spec.max_dev_samples, spec.seed),
        test=drawn(_blank(raw.tested, task), spec.max_test_samples, spec.seed),
        other_tests={"labelled": _labelled(labelled, task, spec)} if labelled else {},
        source=raw.source,
        hub=raw.hub,
        labelled=False,
        other_metric=other_metric,
    )
    repeats = repeats_in_words(data.fit, data.select, {"test": data.test, **data.other_tests})
    unread = () if spec.text_columns else texts_in_words(raw.train, Columns(columns, ""))
    return replace(data, checksum=_checksum(data), notes=(_AGREEMENT_NOTE, *unread, *repeats))


_AGREEMENT_NOTE = (
    "the texts have no labels: scores are agreement with the unpruned model as it was given, whose "
    "own is 1 by definition; how often it is right is not known from them"
)


def _blank(split: RawSplit, task: Task) -> Dataset:
    """Normalised texts with labels that stand for none."""
    rows = split.rows.select_columns(list(task.text_columns))
    names = dict(zip(task.text_columns, TEXT_COLUMNS, strict=False))
    rows = rows.rename_columns({old: new for old, new in names.items() if old != new})
    return with_labels(rows, blank_labels(rows, task), task)


def _labelled(split: RawSplit, task: Task, spec: DataSpec) -> Dataset:
    """Test rows with labels, which have to be those of the model.

    Raises:
        DataError: they are others.
    """
    kind = KINDS[task.kind]
    label = columns_of(kind, split, task.text_columns, None).label
    reader = kind.reader(label_column(split, label), task.labels)
    if match_labels(task.labels, reader.labels).verdict == "same":
        reader = in_order_of(reader, task.labels)
    elif reader.labels:
        spelled = {label_key(name): name for name in reader.labels}
        known = tuple(spelled.pop(label_key(name), name) for name in task.labels)
        if spelled:
            raise DataError(
                f"The labels are {listing(reader.labels)}, those of the model "
                f"{listing(task.labels)}.",
                where=f"{split.source}, column '{label}'",
                fix="write the labels as the model has them, or leave the file away",
            )
        reader = cast(LabelReader, replace(cast(Any, reader), labels=known))
    return _test_split(split, Reading(replace(task, label_column=label), kind, reader), spec)


def _numbers_for_text(raw: RawData, task: Task) -> tuple[str, ...]:
    """The columns of text if one file has digits alone in one of them, where others have words."""
    columns = tuple(name for name in (*task.text_columns, task.label_column) if name)
    of_text = tuple(name for name in columns if is_text(raw.train.rows, name))
    numbers = (is_number(split.rows, name) for split in raw.splits for name in of_text)
    return of_text if any(numbers) else ()


def _near_duplicates_in_words(task: Task) -> tuple[str, ...]:
    """What a user should know of labels that look like one."""
    return tuple(
        f"{listing([plain(name) for name in group])} differ in letter case or spaces alone, and "
        "are taken for different labels"
        for group in near_duplicates(task.labels)
    )


def require_enough(data: TaskData, batch_size: int) -> None:
    """Check that training fills at least one batch.

    Raises:
        DataError: `fit` has fewer examples than a batch.
    """
    if len(data.fit) < batch_size:
        raise DataError(
            f"{len(data.fit)} examples to train on are fewer than one batch of {batch_size}.",
            where=data.source,
            fix=f"ask for --batch-size {max(1, len(data.fit))} or less, add training examples, "
            "or raise --max-train-samples",
        )


def _check_names(spec: DataSpec) -> None:
    for what, name, known in (
        ("task", spec.task, [*GLUE_TASKS, DEMO]),
        ("metric", spec.metric, metric_names()),
        ("kind", spec.kind, KINDS),
    ):
        if what == "metric" and is_own(name):
            load_function(str(name))
        elif name is not None and name not in known:
            raise UsageError(
                f"There is no {what} '{name}'.",
                where=f"--{what} {name}",
                fix=_suggestion(name, known),
            )


def _suggestion(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name.lower(), known, n=2)
    choice = f"there are {', '.join(known)}"
    return f"did you mean {' or '.join(close)}? {choice}" if close else choice


def _training_splits(split: RawSplit, reading: Reading, spec: DataSpec) -> tuple[Dataset, Dataset]:
    rows, targets = reading.examples(split)
    limit, classes = spec.max_train_samples, len(reading.task.labels)
    if limit is not None and limit < classes:
        raise UsageError(
            f"{limit} training examples cannot show {classes} labels.",
            where=f"--max-train-samples {limit}",
            fix=f"keep at least {2 * classes}",
        )
    kind = reading.kind
    kept = _units(kind, rows, targets).sample(limit, spec.seed)
    rows, targets = rows.select(kept), targets[kept]
    fit, select = _units(kind, rows, targets).hold_back(spec.dev_fraction, spec.seed)
    if not len(select):
        lack = "no label has two" if kind.groups is None else f"see what {kind.name} needs"
        raise _none_to_choose_by(len(kept), lack, split.source)
    held = _units(kind, rows.select(select), targets[select])
    chosen = select[held.sample(spec.max_dev_samples, spec.seed)]
    return rows.select(fit), rows.select(chosen)


def _none_to_choose_by(count: int, lack: str, source: str) -> DataError:
    return DataError(
        f"{count} training examples leave none to choose by: {lack}.",
        where=source,
        fix="add training examples, or raise --max-train-samples",
    )


def _test_split(split: RawSplit, reading: Reading, spec: DataSpec) -> Dataset:
    rows, targets = reading.examples(split)
    return rows.select(_units(reading.kind, rows, targets).sample(spec.max_test_samples, spec.seed))


def _units(kind: TaskKind, rows: Dataset, targets: NDArray[Any]) -> Units:
    if kind.groups is None:
        return Units(kind.strata(targets))
    members = kind.groups(rows)
    stops = np.cumsum(np.bincount(members))[:-1]
    of_groups = np.split(targets[np.argsort(members, kind="stable")], stops)
    return Units(kind.strata(ragged(of_groups)), members)


def _checksum(data: TaskData) -> str:
    facts = asdict(data.task)
    if facts["positive"] == 1:  # as in every checksum from before there was another
        del facts["positive"]
    splits = {"fit": data.fit, "select": data.select, "test": data.test, **data.other_tests}
    return rows_checksum(facts, splits)
