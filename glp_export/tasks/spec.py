"""What data a run is asked to use, as the user said it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from glp_export.core.errors import UsageError

NO_LABELS = "none"
"""As `label_column`: the data is texts alone, whatever other columns it has."""

LIMITS = ("max_train_samples", "max_dev_samples", "max_test_samples")


@dataclass(frozen=True)
class DataSpec:
    """The user's words for a data set: a task's name, a hub id, a directory or two files.

    Attributes:
        task: one of the GLUE tasks or ``demo``. With `dataset` or files, a GLUE task lends its
            columns, labels and metric to that data.
        dataset: hub id, a directory with a train and a validation file, or a file of texts
            without labels.
        dataset_config: configuration of a hub data set.
        train_file: training examples; goes with `validation_file`.
        validation_file: test examples; goes with `train_file`, or with labels beside a
            `dataset` of texts alone.
        text_columns: one or two columns of text; inferred when left out.
        label_column: inferred when left out; `NO_LABELS` for texts alone.
        metric: key of ``METRICS``; the task's or the kind's own when left out.
        kind: key of ``KINDS``; read off the labels when left out.
        dev_fraction: share of the training examples that is held back to choose by.
        max_train_samples: keeps that many training examples, before dev is held back.
        max_dev_samples: keeps that many of the held-back examples.
        max_test_samples: keeps that many test examples, of every test set.
        seed: of the sampling and the split.
        offline: never reaches for the network.
        revision: branch, tag or commit of a hub data set.
        cache_dir: where hub data sets are kept.
        token: of the hub, for private data sets.
        trust_remote_code: lets a hub data set run its own code (`datasets` before version 4 only).
    """

    task: str | None = None
    dataset: str | None = None
    dataset_config: str | None = None
    train_file: str | None = None
    validation_file: str | None = None
    text_columns: tuple[str, ...] | None = None
    label_column: str | None = None
    metric: str | None = None
    kind: str | None = None
    dev_fraction: float = 0.15
    max_train_samples: int | None = None
    max_dev_samples: int | None = None
    max_test_samples: int | None = None
    seed: int = 41
    offline: bool = False
    revision: str | None = None
    cache_dir: str | None = None
    token: str | None = None
    trust_remote_code: bool = False

    def check(self) -> None:
        """Refuse what contradicts itself, before anything is read.

        Raises:
            UsageError: flags that exclude each other, or a number out of its range.
        """
        self._check_source()
        self._check_columns()
        self._check_numbers()

    def _check_source(self) -> None:
        files = (self.train_file, self.validation_file)
        alone = self.dataset is not None and Path(self.dataset).expanduser().is_file()
        if self.dataset and any(files) and not (alone and not self.train_file):
            raise UsageError(
                "The data is named twice, as a data set and as files.",
                where="--dataset with --train-file/--validation-file",
                fix="keep one of them",
            )
        if any(files) and not all(files) and not self.dataset:
            there, missing = ("--train-file", "--validation-file")[:: 1 if self.train_file else -1]
            raise UsageError(
                f"{there} comes without {missing}: "
                "one is needed to learn from and the other to be tested on.",
                where=there,
                fix=f"add {missing} FILE; a test set is never cut from the training file",
            )
        if self.train_file and self.train_file == self.validation_file:
            raise UsageError(
                "The same file is named to learn from and to be tested on.",
                where=f"--train-file and --validation-file {self.train_file}",
                fix="name another file to test on",
            )
        if not (self.task or self.dataset or any(files)):
            raise UsageError(
                "No data is named.",
                fix="give --task NAME, --dataset ID|DIRECTORY, "
                "or --train-file FILE with --validation-file FILE; --task demo needs no data",
            )
        if self.task == "demo" and (self.dataset or any(files)):
            raise UsageError(
                "The demo task makes its own data.",
                where="--task demo",
                fix="leave away either --task demo or the data",
            )

    def _check_columns(self) -> None:
        columns = self.text_columns
        if columns is not None and not (
            1 <= len(columns) <= 2 and len(set(columns)) == len(columns)
        ):
            raise UsageError(
                f"A task reads one or two different text columns; {len(columns)} are named.",
                where=f"--text-columns {' '.join(columns)}",
                fix="name one or two columns",
            )
        if columns and self.label_column in columns:
            raise UsageError(
                f"Column '{self.label_column}' is named as text and as label.",
                where=f"--label-column {self.label_column}",
                fix="name another column for one of them",
            )

    def _check_numbers(self) -> None:
        if not (math.isfinite(self.dev_fraction) and 0 < self.dev_fraction < 1):
            raise UsageError(
                "The share held back to choose by must lie between 0 and 1.",
                where=f"--dev-fraction {self.dev_fraction}",
                fix="0.15 is the paper's",
            )
        if self.seed < 0:
            raise UsageError(
                "A seed is 0 or more.", where=f"--seed {self.seed}", fix="name another seed"
            )
        for name in LIMITS:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(
                    "At least one example has to be kept.",
                    where=f"--{name.replace('_', '-')} {value}",
                    fix="name a larger number, or leave the flag away for all examples",
                )
