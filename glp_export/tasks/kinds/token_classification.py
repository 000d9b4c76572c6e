"""A label a word, as in recognising names: words come as lists, and so do their tags."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.errors import DataError
from glp_export.tasks.kinds.base import (
    NO_LABEL,
    Columns,
    LabelColumn,
    TaskKind,
    standardise,
)
from glp_export.tasks.kinds.classification import in_order, label_name, listing
from glp_export.tasks.kinds.lists import is_list_of, list_of
from glp_export.tasks.kinds.tag_metrics import TAG_METRICS
from glp_export.tasks.kinds.units import (
    balanced,
    imitate_tokens,
    labelled_tokens,
    ragged,
    read_token_logits,
    token_choices,
)

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from glp_export.tasks.raw import RawSplit

NAME = "token-classification"
WORD_COLUMNS = ("tokens", "words", "token", "text")
TAG_COLUMNS = ("ner_tags", "tags", "labels", "label", "pos_tags", "chunk_tags")
"""Names that such columns usually have; the first that is there is taken."""

IDS = ("int64", "int32", "int16", "int8")

OUTSIDE = "O"
"""The tag of a word that is part of nothing; what a word gets that the model does not see."""

MOST_UNITS = 4096
"""Words that a head is refitted to, and judged on, at most."""


@dataclass(frozen=True)
class Tagged:
    """Words with their tags, and where their answers stand.

    Attributes:
        tags: ids of every word of each row.
        places: of every word, the token that answers for it; -1 where the model does not see it.
        names: of the tags by id.
    """

    tags: list[NDArray[np.int64]]
    places: list[NDArray[np.int64]]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.tags)

    @property
    def seen(self) -> list[NDArray[np.int64]]:
        """Ids of those words that the model sees."""
        return [tags[places >= 0] for tags, places in zip(self.tags, self.places, strict=True)]


@dataclass(frozen=True)
class TagReader:
    """Tags to ids.

    Attributes:
        labels: in the order of their ids.
        seen: those that the training examples have; no other can be learned.
    """

    labels: tuple[str, ...]
    seen: frozenset[str]

    def targets(self, column: LabelColumn) -> NDArray[Any]:
        """Ids of every word, a list for each row.

        Raises:
            DataError: a tag that is missing, or that the training examples lack.
        """
        ids = {label: index for index, label in enumerate(self.labels) if label in self.seen}
        rows = []
        for row, names in enumerate(_names(column)):
            unknown = [name for name in names if name not in ids]
            if unknown:
                raise DataError(
                    f"Tag '{unknown[0]}' does not occur in the training examples.",
                    where=column.place(row),
                    fix="correct it, remove the row, or add training examples that have it; "
                    f"training has {listing(sorted(self.seen))}",
                )
            rows.append([ids[name] for name in names])
        return ragged(rows)


def _names(column: LabelColumn) -> list[list[str]]:
    """Every row's tags as strings.

    Raises:
        DataError: a row without tags, or a word without one.
    """
    rows: list[list[str]] = []
    for row, values in enumerate(column.values):
        names = [label_name(value, column.names) for value in values or ()]
        if None in names or values is None:
            raise DataError(
                "A word has no tag.",
                where=column.place(row),
                fix="tag the word, or remove the row",
            )
        rows.append([str(name) for name in names])
    return rows


def read_tags(column: LabelColumn, known: Sequence[str] = ()) -> TagReader:
    """Find the tags of the training examples; ids follow a declaration, else the alphabet.

    Raises:
        DataError: a word without a tag, or one tag for all words.
    """
    seen = frozenset(name for names in _names(column) for name in names)
    if len(seen) < 2:
        raise DataError(
            f"All words of the training examples have the tag {listing(sorted(seen))}; "
            "there is nothing to tell apart.",
            where=f"{column.source}, column '{column.column}'",
            fix="add examples with other tags, or name another column with --label-column",
        )
    return TagReader(column.names or in_order(seen), seen)


def find_word_columns(split: RawSplit, text: Sequence[str], label: str | None) -> Columns | None:
    """A column of word lists and one of tag lists that are as long.

    Raises:
        DataError: a row has another number of tags than of words.
    """
    rows = split.rows
    lists = [name for name in rows.column_names if is_list_of(rows, name, "string", *IDS)]
    words = [name for name in text or WORD_COLUMNS if name in lists]
    if not words or len(text) > 1 or not is_list_of(rows, words[0], "string"):
        return None
    others = [name for name in lists if name != words[0]]
    wanted = (label,) if label else TAG_COLUMNS
    usual = [name for name in wanted if name in others]
    if not usual and (label or len(others) != 1):
        return None
    tags = (usual or others)[0]
    counts = [list(map(_length, rows[name][:])) for name in (words[0], tags)]
    differing = [row for row, (one, other) in enumerate(zip(*counts, strict=True)) if one != other]
    if differing:
        if not (text or label) and len(differing) > len(rows) / 2:
            return None  # lists of another meaning
        row = differing[0]
        raise DataError(
            f"The row has {counts[0][row]} words and {counts[1][row]} tags.",
            where=f"{split.source}, row {row + 1}, columns '{words[0]}' and '{tags}'",
            fix="give every word one tag, or remove the row",
        )
    return Columns((words[0],), tags)


def _length(values: Any) -> int:
    return -1 if values is None else len(values)


def _prepare(tokenizer: PreTrainedTokenizerBase) -> None:
    """Let a byte-level tokenizer begin every word with a space, as its words in a text have it."""
    if not getattr(tokenizer, "is_fast", False):
        raise DataError(
            "A slow tokenizer cannot tell which token is of which word.",
            fix="give a model with a tokenizer.json",
        )
    if getattr(tokenizer, "add_prefix_space", True):
        return
    backend = tokenizer.backend_tokenizer
    settings = json.loads(backend.to_str())
    if settings["pre_tokenizer"].get("type") == "ByteLevel":
        settings["pre_tokenizer"]["add_prefix_space"] = True
        from tokenizers.pre_tokenizers import ByteLevel

        backend.pre_tokenizer = ByteLevel(
            add_prefix_space=True,
            trim_offsets=settings["pre_tokenizer"]["trim_offsets"],
            use_regex=settings["pre_tokenizer"].get("use_regex", True),
        )
    tokenizer.add_prefix_space = True
    tokenizer.init_kwargs["add_prefix_space"] = True


def _encode(
    batch: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, Any]:
    """The first token of a word has its label; its others, and special ones, have none."""
    encoding = tokenizer(
        batch["text"],
        is_split_into_words=True,
        truncation=True,
        max_length=max_length,
        padding=False,
    )
    labels, places = [], []
    for row, tags in enumerate(batch["label"]):
        first = first_tokens(encoding.word_ids(row), len(tags))
        own = [NO_LABEL] * len(encoding["input_ids"][row])
        for tag, place in zip(tags, first, strict=True):
            if place >= 0:
                own[place] = tag
        labels.append(own)
        places.append(first)
    lengths = [len(ids) for ids in encoding["input_ids"]]
    return {
        **encoding,
        "labels": labels,
        "tags": batch["label"],
        "places": places,
        "length": lengths,
    }


def first_tokens(word_ids: Sequence[int | None], words: int) -> list[int]:
    """The first token of every word; -1 for one that was cut off, or of which nothing is left."""
    first = [-1] * words
    for token, word in enumerate(word_ids):
        if word is not None and first[word] < 0:
            first[word] = token
    return first


def _truth(rows: Dataset, labels: Sequence[str]) -> Tagged:
    tags, places = (
        [np.asarray(values, dtype=np.int64) for values in rows[name][:]]
        for name in ("tags", "places")
    )
    return Tagged(tags, places, tuple(labels))


def _judge(answers: NDArray[Any], truth: Tagged) -> tuple[list[list[str]], list[list[str]]]:
    """Tags of every word, those that the model does not see as part of nothing."""
    decided = answers.argmax(axis=-1)
    predicted = [
        [truth.names[row[place]] if place >= 0 else OUTSIDE for place in places]
        for row, places in zip(decided, truth.places, strict=True)
    ]
    return predicted, [[truth.names[tag] for tag in tags] for tags in truth.tags]


def _strata(targets: NDArray[Any]) -> NDArray[np.int64]:
    """Rows that have anything else than the most frequent tag, and those that have not."""
    common = np.bincount([tag for row in targets for tag in row]).argmax()
    return np.asarray([any(tag != common for tag in row) for row in targets], dtype=np.int64)


def _refit(
    seen: Sequence[NDArray[Any]], known: Tagged, new: Sequence[NDArray[Any]], wanted: Tagged
) -> NDArray[np.float32]:
    """Cross-entropy of a logistic regression on words, of which half at most are of no name.

    A row's loss is the sum over its words, over the mean number of words a row, so that the mean
    over rows is that over words.
    """
    from sklearn.linear_model import LogisticRegression

    labels, truths = np.concatenate(known.seen), np.concatenate(wanted.seen)
    owners = np.repeat(np.arange(len(wanted)), [len(row) for row in wanted.seen])
    fitted, judged = balanced(labels, MOST_UNITS), balanced(truths, 2 * MOST_UNITS)
    before, after = standardise(np.concatenate(seen)[fitted], np.concatenate(new)[judged])
    head = LogisticRegression(C=0.01, max_iter=300).fit(before, labels[fitted])
    odds = head.predict_log_proba(after)
    column = {label: index for index, label in enumerate(head.classes_)}
    # A tag that the fitted words lack cannot be foreseen: it costs what the least likely does.
    losses = [
        -(row[column[label]] if label in column else row.min())
        for row, label in zip(odds, truths[judged], strict=True)
    ]
    sums = np.bincount(owners[judged], weights=losses, minlength=len(wanted))
    return np.asarray(sums * len(wanted) / len(judged), dtype=np.float32)


def _label_feature() -> Any:
    return list_of("int64")


TOKEN_CLASSIFICATION = TaskKind(
    name=NAME,
    auto_class="AutoModelForTokenClassification",
    export_task="token-classification",
    ort_class="ORTModelForTokenClassification",
    hub_task="token-classification",
    problem_type=None,
    metrics=TAG_METRICS,
    default_metric="seqeval_f1",
    label_feature=_label_feature,
    columns=find_word_columns,
    needs="a column of word lists and one of as many tags",
    recognises=lambda column: False,
    reader=read_tags,
    strata=_strata,
    prepare=_prepare,
    encode=_encode,
    read=read_token_logits,
    truth=_truth,
    judge=_judge,
    choices=token_choices,
    imitation=imitate_tokens,
    features=labelled_tokens,
    refit=_refit,
    shift_axis=-1,
)
