"""What a kind of task has to know, and where the labels of its data stand."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import ModelError
from glp_export.serve.long_pairs import Tokens, shortened
from glp_export.tasks.kinds.learning import own_loss, sentence_features
from glp_export.tasks.metrics import Metric
from glp_export.tasks.own_metric import is_own, own_metric

if TYPE_CHECKING:
    from pathlib import Path

    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from glp_export.tasks.raw import RawSplit

Outputs = Mapping[str, NDArray[Any]]
"""What a model or a graph gives for a padded batch, by the name of the output."""

Batch = Mapping[str, NDArray[np.int64]]
"""The padded batch: `input_ids`, `attention_mask` and more, each (batch, length)."""

FindFile = Callable[[str], "Path | None"]
"""From the name of a file of a model to where it lies; None where the model has none."""

NO_LABEL = -100
"""The label of a token that has none, as transformers' losses pass it over."""


class Columns(NamedTuple):
    """The columns of a user's data that a task reads; `label` is empty where there is none."""

    text: tuple[str, ...]
    label: str


class Choices(NamedTuple):
    """The decisions that answers come down to.

    Attributes:
        options: (decisions, options): the largest of a row is what is decided for.
        rows: (decisions,): to which row of the answers each belongs.
        names: (decisions, options): what the options stand for; None where their places say it.
    """

    options: NDArray[Any]
    rows: NDArray[np.int64]
    names: NDArray[Any] | None = None

    @property
    def decided(self) -> NDArray[Any]:
        """(decisions,): what is decided for."""
        best = self.options.argmax(axis=-1)
        if self.names is None:
            return best
        return np.take_along_axis(self.names, best[:, None], axis=-1)[:, 0]


@dataclass(frozen=True)
class LabelColumn:
    """The labels of one split as they stand in the user's data.

    Attributes:
        values: one per row; a column of a large data set makes them as they are asked for.
        names: names of the ids 0, 1, … where the data set declares them, else None.
        column: the column's name.
        source: file or split that it was read from.
    """

    values: Sequence[Any]
    names: tuple[str, ...] | None
    column: str
    source: str

    def place(self, row: int) -> str:
        """Where row `row`, counted from 0, stands; people count rows from 1."""
        return f"{self.source}, row {row + 1}, column '{self.column}'"


class LabelReader(Protocol):
    """Turns a column of labels into what a model is trained on. Made from the training labels."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels in the order of their ids; empty where there are none."""

    def targets(self, column: LabelColumn) -> NDArray[Any]:
        """What the normalised ``label`` column holds, one value a row.

        Raises:
            DataError: a label that is missing, no label at all, or unknown; it names the row.
        """


def read_logits(outputs: Outputs, batch: Batch) -> NDArray[np.float32]:
    """The logits as they are, (batch, width): one row a text."""
    return np.asarray(outputs["logits"], dtype=np.float32)


@dataclass(frozen=True)
class TaskKind:
    """One kind of task. A new kind is one file that makes this record, and a row in ``KINDS``.

    *Answers* are what all of the package hands around of a model: float32, one row for each
    encoded row, ``(rows, width)``; where every token has its answer, ``(rows, tokens, width)``,
    padded with zeros to the longest. *Truth* is what they are scored against, whatever the kind
    makes of the encoded rows; its length is that of the answers.

    Attributes:
        name: key in ``KINDS``.
        auto_class: class of `transformers` that loads the model with its head.
        export_task: the exporter's name for the task.
        ort_class: class of `optimum.onnxruntime` that loads the exported file.
        problem_type: what the model's configuration calls it; None for a head that has one loss.
        metrics: that can score it.
        default_metric: name of the one that is taken where it fits.
        label_feature: makes the type of the normalised ``label`` column.
        recognises: whether a column of training labels looks like this kind.
        reader: makes the label reader from the training labels and the labels that the task is
            known to have, in the order of their ids.
        strata: ``(rows,)`` group numbers that a sample keeps the proportions of, from the targets.
        encode: one batch of normalised columns, and ``row``, the number of each, to model inputs,
            the `targets` and ``length``. It may give several encoded rows for one.
        judge: answers and their truth to the predictions and labels that a metric takes, one an
            example.
        imitation: the loss between a model's outputs for a batch and the answers of its teacher:
            outputs, answers, the collated batch and the temperature to a scalar tensor.
        refit: fits a linear head to the features of rows and their truth, and gives its loss
            ``(rows,) float32`` on each of other rows with theirs. With `refit_to_teacher` it gets
            the teacher's answers beside the truth, both in a tuple.
        outputs: names of the model's outputs that its answers are made of.
        read: makes the answers of those, and of the padded batch.
        columns: finds the columns of data that has another form than text beside a label, from
            those that are named; None where the data is not of that form.
        needs: what `columns` looks for, in words.
        pairs: whether it needs two columns of text; else one or two will do.
        check: refuses a split that cannot be used, from it, its text columns and its label's.
        targets: encoded columns that the loss reads.
        truth: encoded rows and the task's labels to the truth.
        count: how many examples a truth is of, where one may have several encoded rows.
        choices: answers and attention mask to the decisions in them; None where they are numbers.
        predictions: answers to labels, as the ``label`` column has them, so that a teacher can
            label texts; None where it cannot.
        loss: the task's own, from outputs and batch; None where labels teach nothing, and the
            model that is given is the teacher as it is.
        features: what a head is refitted to, from the last hidden states (batch, length, width)
            and the collated batch: one row or several for each.
        prepare: sets a tokenizer up for this kind's input.
        named: whether its outputs are labels that have names.
        scaled: whether the answers are numbers as large as the labels, learned by squared error.
        shift_axis: the axis of the answers along which a common shift changes nothing.
        width: of the answers, where it is not one for each label.
        fits_head: whether the head is made for the task's labels; else the checkpoint's own is
            taken, and answers are as wide as it makes them.
        asked: whether it is taken only where it is asked for: neither its data nor the head of
            its models tells it from other kinds.
        blank: whether training reads nothing of the label column, so that texts without labels
            are as good.
        lone: whether a text is read alone, also where a row of the data has two.
        refit_to_teacher: see `refit`.
        of_tokens: whether it answers for tokens and not for texts, so that answers of models that
            cut texts into other tokens cannot be compared.
        groups: rows of the data to ``(rows,)`` numbers of what belongs together and is split
            nowhere; None where every row stands alone. Strata are those of groups then: of the
            targets of each.
        numbers: the part of the answers that is compared number by number.
        batch_size: encoded rows that are answered together; fewer where outputs are large.
        kind_from_files: the name of the kind that a model's own files say, found by the function
            that finds them; None where they say nothing. Where this kind is asked for, it becomes
            that one.
        extra_files: writes what other libraries read beside a checkpoint: its directory, the
            longest input in tokens, and a function that finds a file of the given model by name.
        hub_task: the Hub's name for it.
    """

    name: str
    auto_class: str
    export_task: str
    ort_class: str
    problem_type: str | None
    metrics: tuple[Metric, ...]
    default_metric: str
    label_feature: Callable[[], Any]
    recognises: Callable[[LabelColumn], bool]
    reader: Callable[[LabelColumn, Sequence[str]], LabelReader]
    strata: Callable[[NDArray[Any]], NDArray[np.int64]]
    encode: Callable[[Mapping[str, Any], PreTrainedTokenizerBase, int], dict[str, Any]]
    judge: Callable[[NDArray[Any], Any], tuple[Any, Any]]
    imitation: Callable[[Any, Any, Mapping[str, Any], float], Any]
    refit: Callable[[Any, Any, Any, Any], NDArray[np.float32]]
    hub_task: str
    outputs: tuple[str, ...] = ("logits",)
    read: Callable[[Outputs, Batch], NDArray[np.float32]] = read_logits
    columns: Callable[[RawSplit, Sequence[str], str | None], Columns | None] | None = None
    needs: str = ""
    pairs: bool = False
    check: Callable[[RawSplit, Sequence[str], str], None] | None = None
    targets: tuple[str, ...] = ("labels",)
    truth: Callable[[Dataset, Sequence[str]], Any] = lambda rows, labels: np.asarray(
        rows["labels"][:]
    )
    count: Callable[[Any], int] = len
    choices: Callable[[NDArray[Any], NDArray[Any]], Choices] | None = None
    predictions: Callable[[NDArray[Any]], NDArray[Any]] | None = None
    loss: Callable[[Any, Mapping[str, Any]], Any] | None = own_loss
    features: Callable[[Any, Mapping[str, Any]], Any] = sentence_features
    prepare: Callable[[PreTrainedTokenizerBase], None] = lambda tokenizer: None
    named: bool = True
    scaled: bool = False
    shift_axis: int | None = None
    width: int | None = None
    fits_head: bool = True
    asked: bool = False
    blank: bool = False
    lone: bool = False
    refit_to_teacher: bool = False
    of_tokens: bool = False
    groups: Callable[[Dataset], NDArray[np.int64]] | None = None
    numbers: Callable[[NDArray[Any]], NDArray[Any]] = lambda answers: answers
    batch_size: int = 32
    kind_from_files: Callable[[FindFile], str | None] | None = None
    extra_files: Callable[[Path, int, FindFile], None] | None = None

    def metric(self, name: str) -> Metric:
        """One of its metrics by name, or a function of the user's (`module:function`).

        Raises:
            KeyError: it has none of that name.
            UsageError: there is no such function.
        """
        if is_own(name):
            return own_metric(name, self.name)
        return {metric.name: metric for metric in self.metrics}[name]

    def metrics_for(self, labels: Sequence[str]) -> list[Metric]:
        """Those that can score these labels."""
        return [metric for metric in self.metrics if metric.fits(self.name, labels)]

    def metric_for(self, labels: Sequence[str]) -> str:
        """The name of the one that is taken unless another is asked for."""
        fitting = [metric.name for metric in self.metrics_for(labels)]
        return self.default_metric if self.default_metric in fitting else fitting[0]


def standardise(
    seen: NDArray[Any], new: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale features to mean 0 and deviation 1 over the rows that are fitted."""
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(seen)
    return scaler.transform(seen), scaler.transform(new)


def cross_entropy(
    classes: Iterable[Any], log_probabilities: NDArray[Any], wanted: NDArray[Any]
) -> list[float]:
    """The loss of every row; a class that is not known costs what the least likely one does.

    Args:
        classes: those that the fitted rows had, by column.
        log_probabilities: (rows, classes).
        wanted: the classes that are right, (rows,).
    """
    column = {label: index for index, label in enumerate(classes)}
    return [
        -(row[column[label]] if label in column else row.min())
        for row, label in zip(log_probabilities, wanted, strict=True)
    ]


def value_type(dtype: str) -> Any:
    """The type of a column of values."""
    from datasets import Value

    return Value(dtype)


def is_missing(value: Any) -> bool:
    """Whether a cell is empty: JSON's null, a NaN, or nothing between two separators."""
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def encode_text(
    batch: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, Any]:
    """Tokenise ``text``[, ``text_pair``]: truncated, not padded, with the ``length`` in tokens.

    Of a pair the longer text is cut first.
    """
    first, second = batch["text"], batch.get("text_pair")
    if second is not None:
        pairs = [
            _shortened(*pair, tokenizer, max_length) for pair in zip(first, second, strict=True)
        ]
        first, second = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    encoding = tokenizer(first, second, truncation=True, max_length=max_length, padding=False)
    return {**encoding, "length": [len(ids) for ids in encoding["input_ids"]]}


def encode_with_numbers(
    batch: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, Any]:
    """As `encode_text`, with labels in float32, as logits are: a loss wants both sides alike."""
    labels = np.asarray(batch["label"], dtype=np.float32)
    return {**encode_text(batch, tokenizer, max_length), "labels": labels}


def _shortened(
    first: str, second: str, tokenizer: PreTrainedTokenizerBase, max_length: int
) -> tuple[str, str]:
    """A pair without what is cut off of both texts anyway."""

    def tokens(text: str) -> Tokens:
        found = tokenizer(
            text, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )
        return Tokens(found["input_ids"], found["offset_mapping"])

    return shortened(first, second, max_length, tokens, tokenizer.truncation_side)


def require_fast(tokenizer: PreTrainedTokenizerBase) -> None:
    """Check that a tokenizer tells where its tokens come from.

    Raises:
        ModelError: it does not.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            "A slow tokenizer cannot tell where in a text its tokens stand.",
            fix="give a model with a tokenizer.json",
        )
