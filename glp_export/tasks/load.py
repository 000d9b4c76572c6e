"""From what the user named to a task with checked, normalised splits."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from glp_export.core.errors import DataError, UsageError
from glp_export.core.text import plain
from glp_export.tasks.arrow_columns import Cells
from glp_export.tasks.checksum import rows_checksum
from glp_export.tasks.columns import columns_of, find_columns, is_text
from glp_export.tasks.duplicates import repeats_in_words
from glp_export.tasks.encoding import quiet_datasets
from glp_export.tasks.glue import GLUE_TASKS, GlueTask
from glp_export.tasks.kinds import (
    KINDS,
    Columns,
    LabelColumn,
    LabelReader,
    TaskKind,
    metric_names,
)
from glp_export.tasks.kinds.classification import TEXT_CLASSIFICATION, listing
from glp_export.tasks.kinds.units import ragged
from glp_export.tasks.label_checks import check_words
from glp_export.tasks.label_names import label_key, match_labels, near_duplicates, places_in
from glp_export.tasks.labels import add_labels
from glp_export.tasks.metrics import AGREEMENT
from glp_export.tasks.own_metric import check_perfect, is_own, load_function
from glp_export.tasks.raw import RawData, RawSplit, is_number
from glp_export.tasks.sources import DEMO, read_source, require_places
from glp_export.tasks.spec import DataSpec
from glp_export.tasks.splits import Units, sample
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

TEXT_COLUMNS = ("text", "text_pair")


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
        reading = _understand(raw, spec, glue, labels)
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
    reading = _understand(raw, spec, None, ())
    rows, targets = reading.examples(raw.train)
    kept = _units(reading.kind, rows, targets).sample(limit, spec.seed)
    return reading.task, rows.select(kept)


def _texts_alone(raw: RawData, spec: DataSpec, own: Task | None) -> TaskData:
    """The data of a fine-tuned model without any labels: of its kind, and with its labels.

    Raises:
        DataError: there is no such model, or its answers are no labels of texts.
    """
    kind = KINDS[own.kind] if own else None
    if own is None or kind is None or kind.predictions is None:
        raise DataError(
            "The texts have no labels, and "
            + (f"{own.kind} is not learned without." if own else "no fine-tuned model gives them."),
            where=raw.source,
            fix="give a model that was fine-tuned to label texts and is the teacher as it is, or "
            "name the labels with --label-column NAME",
        )
    columns = find_texts(raw.train, spec.text_columns or ())
    for split in raw.splits:  # before rows are drawn: an error names a row of the file
        find_texts(split, columns)
        _check_texts(split, columns)
    test, labelled, share = raw.test, raw.labelled, spec.dev_fraction
    if test is not None and label_name(test):
        test, labelled = None, test
    if test is None:
        raw = cut_test(replace(raw, test=None), columns, spec.seed)
        share = min(0.5, share / (1 - TEST_FRACTION))
    task = Task(raw.name, kind.name, columns, "", own.labels, AGREEMENT)
    train = _blank(raw.train, task)
    names = TEXT_COLUMNS[: len(columns)]
    kept = train.select(groups_of(train, names).sample(spec.max_train_samples, spec.seed))
    fit, select = groups_of(kept, names).hold_back(share, spec.seed)
    data = TaskData(
        task=task,
        fit=kept.select(fit),
        select=_any_of(kept.select(select), spec.max_dev_samples, spec.seed),
        test=_any_of(_blank(raw.tested, task), spec.max_test_samples, spec.seed),
        other_tests={"labelled": _labelled(labelled, task, spec)} if labelled else {},
        source=raw.source,
        hub=raw.hub,
        labelled=False,
        other_metric=spec.metric or kind.metric_for(own.labels),
    )
    repeats = repeats_in_words(data.fit, data.select, {"test": data.test, **data.other_tests})
    return replace(data, checksum=_checksum(data), notes=(_AGREEMENT_NOTE, *repeats))


_AGREEMENT_NOTE = (
    "the texts have no labels: scores are agreement with the unpruned model as it was given, whose "
    "own is 1 by definition; how often it is right is not known from them"
)


def _any_of(rows: Dataset, count: int | None, seed: int) -> Dataset:
    return rows.select(sample(np.zeros(len(rows), dtype=np.int64), count, seed))


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
    reader = kind.reader(_label_column(split, label), task.labels)
    if match_labels(task.labels, reader.labels).verdict == "same":
        reader = _ordered(reader, task.labels)
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
    return _test_split(split, _Reading(replace(task, label_column=label), kind, reader), spec)


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


@dataclass(frozen=True)
class _Reading:
    """How the rows of this data are read: settled on the training examples, used on all splits."""

    task: Task
    kind: TaskKind
    reader: LabelReader
    notes: tuple[str, ...] = ()

    def examples(self, split: RawSplit) -> tuple[Dataset, NDArray[Any]]:
        """Normalised rows of a split, and their targets."""
        columns_of(self.kind, split, self.task.text_columns, self.task.label_column)
        targets = self.reader.targets(_label_column(split, self.task.label_column))
        names = dict(zip(self.task.text_columns, TEXT_COLUMNS, strict=False))
        _check_texts(split, self.task.text_columns)
        if self.kind.check is not None:
            self.kind.check(split, self.task.text_columns, self.task.label_column)
        rows = split.rows.select_columns(list(names))
        rows = rows.rename_columns({old: new for old, new in names.items() if old != new})
        return add_labels(rows, targets, self.kind), targets


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


def _understand(
    raw: RawData, spec: DataSpec, glue: GlueTask | None, labels: Sequence[str]
) -> _Reading:
    text = spec.text_columns or (glue.text_columns if glue else ())
    label = spec.label_column or (glue.label_column if glue else None)
    asked = spec.kind or (glue.kind if glue else None)
    kind, columns = _recognised(raw.train, text, label, asked)
    column = _label_column(raw.train, columns.label)
    notes = check_words(column) if not asked and kind is TEXT_CLASSIFICATION else ()
    known = glue.labels if glue else ()
    reader = _ordered(kind.reader(column, known), labels or known)
    usual = glue.metric if glue and glue.kind == kind.name else kind.metric_for(reader.labels)
    metric = spec.metric or usual
    positive = positive_id(spec.task, reader.labels)
    task = Task(raw.name, kind.name, columns.text, columns.label, reader.labels, metric, positive)
    _check_metric(task)
    return _Reading(task, kind, reader, notes)


def positive_id(task: str | None, labels: Sequence[str]) -> int:
    """The id of the class that F1 is of: 1, or that of GLUE's own one in an order of a model's."""
    glue = GLUE_TASKS.get(task or "")
    known = glue.labels if glue else ()
    places = places_in(labels, known) if len(known) == 2 else None
    return places[1] if places else 1


def _ordered(reader: LabelReader, known: Sequence[str]) -> LabelReader:
    """A reader with ids in a known order, where its labels are the same ones."""
    match = match_labels(known, reader.labels)
    if not reader.labels or match.verdict != "same":
        return reader
    by_id = dict(zip(match.rows, reader.labels, strict=True))
    ordered: LabelReader = replace(
        cast(Any, reader), labels=tuple(by_id[index] for index in range(len(by_id)))
    )
    return ordered


def _recognised(
    split: RawSplit, text: Sequence[str], label: str | None, name: str | None
) -> tuple[TaskKind, Columns]:
    """The kind that was named, or the first whose form the data has, and its columns."""
    if name:
        return KINDS[name], columns_of(KINDS[name], split, text, label)
    unasked = [kind for kind in KINDS.values() if not kind.asked]
    for kind in unasked:
        if kind.columns and (columns := kind.columns(split, text, label)):
            return kind, columns
    columns = find_columns(split, text, label)
    column = _label_column(split, columns.label)
    kinds = (kind for kind in unasked if not kind.columns and kind.recognises(column))
    return next(kinds), columns


def _check_metric(task: Task) -> None:
    if is_own(task.metric):
        KINDS[task.kind].metric(task.metric)  # it says what does not fit
        return
    fitting = [metric.name for metric in KINDS[task.kind].metrics_for(task.labels)]
    if task.metric in fitting:
        return
    labels = f" with {len(task.labels)} labels" if task.labels else ""
    raise UsageError(
        f"The metric '{task.metric}' does not fit {task.kind}{labels}.",
        where=f"--metric {task.metric}, for task '{task.name}'",
        fix=f"take --metric {' or '.join(fitting)}",
    )


def _label_column(split: RawSplit, name: str) -> LabelColumn:
    if not name:  # a kind of task that has no labels
        return LabelColumn([None] * len(split.rows), None, name, split.source)
    feature = split.rows.features[name]
    names = getattr(getattr(feature, "feature", feature), "names", None)
    values = Cells(split.rows, name)
    return LabelColumn(values, tuple(names) if names else None, name, split.source)


def _check_texts(split: RawSplit, columns: Collection[str]) -> None:
    for name in columns:
        if split.rows.data.column(name).null_count:
            row = next(row for row, text in enumerate(Cells(split.rows, name)) if text is None)
            raise DataError(
                "A row has no text.",
                where=f"{split.source}, row {row + 1}, column '{name}'",
                fix="fill it in or remove the row; an empty text is allowed",
            )
        if (lacking := _lacks_word(split.rows, name)) is not None:
            raise DataError(
                "A word of a row is missing.",
                where=f"{split.source}, row {lacking + 1}, column '{name}'",
                fix="fill it in, or remove the row",
            )
    # One empty text is an input like any other; a column of them is the wrong column.
    if len(split.rows) > 1 and not any(_has_words(split.rows, name) for name in columns):
        raise DataError(
            "All texts are empty.",
            where=f"{split.source}, column '{next(iter(columns), '')}'",
            fix="name another column with --text-columns, or fill them in",
        )


def _lacks_word(rows: Dataset, name: str) -> int | None:
    """The first row whose list of words has an empty place; None of none, and of texts."""
    if is_text(rows, name):
        return None
    cells = Cells(rows, name)
    return next((row for row, words in enumerate(cells) if words and None in words), None)


def _has_words(rows: Dataset, name: str) -> bool:
    """Whether any text is more than spaces; the words of a text may stand in a list."""
    return any(
        cell.strip() if isinstance(cell, str) else cell is not None and len(cell)
        for cell in Cells(rows, name)
    )


def _training_splits(split: RawSplit, reading: _Reading, spec: DataSpec) -> tuple[Dataset, Dataset]:
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
        raise DataError(
            f"{len(kept)} training examples leave none to choose by: {lack}.",
            where=split.source,
            fix="add training examples, or raise --max-train-samples",
        )
    held = _units(kind, rows.select(select), targets[select])
    chosen = select[held.sample(spec.max_dev_samples, spec.seed)]
    return rows.select(fit), rows.select(chosen)


def _test_split(split: RawSplit, reading: _Reading, spec: DataSpec) -> Dataset:
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
