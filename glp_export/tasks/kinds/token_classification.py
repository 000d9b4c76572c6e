"""A label a word, as in recognising names: words come as lists, and so do their tags."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.tasks.kinds.base import NO_LABEL, TaskKind, cross_entropy, require_fast, standardise
from glp_export.tasks.kinds.lists import list_of
from glp_export.tasks.kinds.tag_metrics import TAG_METRICS
from glp_export.tasks.kinds.tags import find_word_columns, read_tags
from glp_export.tasks.kinds.units import (
    balanced,
    imitate_tokens,
    labelled_tokens,
    read_token_logits,
    token_choices,
)

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

NAME = "token-classification"
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


def _prepare(tokenizer: PreTrainedTokenizerBase) -> None:
    """Let a byte-level tokenizer begin every word with a space, as its words in a text have it.

    Raises:
        ModelError: the tokenizer does not tell which token is of which word.
    """
    require_fast(tokenizer)
    backend = tokenizer.backend_tokenizer
    own = json.loads(backend.to_str())["pre_tokenizer"] or {}
    if own.get("type") != "ByteLevel" or own["add_prefix_space"]:
        return
    from tokenizers.pre_tokenizers import ByteLevel

    backend.pre_tokenizer = ByteLevel(
        add_prefix_space=True, trim_offsets=own["trim_offsets"], use_regex=own["use_regex"]
    )
    # transformers' own copy of the setting, which it checks and saves.
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
    losses = cross_entropy(head.classes_, odds, truths[judged])
    sums = np.bincount(owners[judged], weights=losses, minlength=len(wanted))
    return np.asarray(sums * len(wanted) / len(judged), dtype=np.float32)


TOKEN_CLASSIFICATION = TaskKind(
    name=NAME,
    auto_class="AutoModelForTokenClassification",
    export_task="token-classification",
    ort_class="ORTModelForTokenClassification",
    hub_task="token-classification",
    problem_type=None,
    metrics=TAG_METRICS,
    default_metric="seqeval_f1",
    label_feature=lambda: list_of("int64"),
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
    of_tokens=True,
)
