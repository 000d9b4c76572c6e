"""What a model is asked to do, and the examples that say how well it does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from glp_export.tasks.label_names import match_labels

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Task:
    """One task: where its text and labels stand, and how it is scored.

    Attributes:
        name: short name, for titles and file names: ``rte``, ``trec``, ``demo``.
        kind: key of ``KINDS``.
        text_columns: the one or two text columns, by their names in the user's data.
        label_column: the label's column, by its name in the user's data.
        labels: the data's own labels as strings, in the order of their ids; empty for regression.
        metric: key of ``METRICS``, or `module:function`.
        positive: id of the class that F1 is of, where there are two.
    """

    name: str
    kind: str
    text_columns: tuple[str, ...]
    label_column: str
    labels: tuple[str, ...]
    metric: str
    positive: int = 1

    @property
    def num_labels(self) -> int:
        """Width of the model's output: one per label, and one for a task without labels."""
        return len(self.labels) or 1

    @property
    def label2id(self) -> dict[str, int]:
        """Label to id, as a model's configuration wants it."""
        return {label: index for index, label in enumerate(self.labels)}

    @property
    def id2label(self) -> dict[int, str]:
        """Id to label, as a model's configuration wants it."""
        return dict(enumerate(self.labels))


def same_task(one: Task, other: Task) -> bool:
    """Whether two tasks are of one kind and have the same labels, in any order and letter case."""
    if one.kind != other.kind:
        return False
    return match_labels(one.labels, other.labels).verdict == "same"


@dataclass(frozen=True)
class HubData:
    """A data set of the hub, as it was read.

    Attributes:
        id: such as ``nyu-mll/glue``.
        config: its configuration, if it has several.
        split: the one that tests.
        revision: that was asked for, if any.
    """

    id: str
    config: str | None
    split: str
    revision: str | None = None


@dataclass(frozen=True)
class TaskData:
    """A task with its examples, in columns ``text``[, ``text_pair``] and ``label``.

    Attributes:
        task: what is to be done.
        fit: trains the candidates.
        select: chooses between them.
        test: read once, for the report.
        other_tests: further sets to report, by split name (MNLI's mismatched one).
        source: hub id or path of the data, for the model card.
        hub: what `source` is on the hub; None for data of one's own.
        checksum: sha256 over the task and the content of every split, as 64 hex digits.
        notes: what makes scores on this data doubtful, in sentences.
        labelled: whether the rows have labels; else those of a model are entered, and the metric
            is agreement with it.
        other_metric: key of ``METRICS`` that other sets are scored by; empty for the task's.
    """

    task: Task
    fit: Dataset
    select: Dataset
    test: Dataset
    other_tests: Mapping[str, Dataset] = field(default_factory=dict)
    source: str = ""
    hub: HubData | None = None
    checksum: str = ""
    notes: tuple[str, ...] = ()
    labelled: bool = True
    other_metric: str = ""

    @property
    def train(self) -> Dataset:
        """``fit`` and ``select`` together: what every contender sees in its final training."""
        from datasets import concatenate_datasets

        return concatenate_datasets([self.fit, self.select])
