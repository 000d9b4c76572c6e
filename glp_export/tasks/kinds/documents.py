"""Questions with their documents, cut into windows, and the answers that stand in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import DataError
from glp_export.serve.spans import windows_for
from glp_export.tasks.kinds.base import Columns, LabelColumn
from glp_export.tasks.kinds.units import ragged

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from glp_export.tasks.raw import RawSplit

COLUMNS = ("question", "context")
ANSWERS = "answers"


@dataclass(frozen=True)
class Windows:
    """Windows with what their answers are read by and scored against.

    Attributes:
        examples: (windows,) which example each is of.
        begins: of every token the place in the document where it begins; -1 for what is not of it.
        ends: likewise where it ends.
        contexts: the document of each window.
        golds: the answers that count as right.
    """

    examples: NDArray[np.int64]
    begins: list[NDArray[np.int64]]
    ends: list[NDArray[np.int64]]
    contexts: list[str]
    golds: list[list[str]]

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def count(self) -> int:
        """How many examples they are of."""
        return len(np.unique(self.examples))


@dataclass(frozen=True)
class AnswerReader:
    """Answers as they are, once every question has one."""

    labels: tuple[str, ...] = ()

    def targets(self, column: LabelColumn) -> NDArray[Any]:
        """Texts and places of the answers, one mapping a row.

        Raises:
            DataError: a question without an answer, or an answer without its place.
        """
        targets = []
        for row, value in enumerate(column.values):
            answers = _answers(value, column.place(row))
            if not answers or not all(said for said, _ in answers):
                raise DataError(
                    "A question has no answer.",
                    where=column.place(row),
                    fix="remove the row: answers are scored as SQuAD 1.1 does it, where every "
                    "question has one",
                )
            texts, starts = zip(*answers, strict=True)
            targets.append({"text": list(texts), "answer_start": list(starts)})
        return ragged(targets)


def _answers(value: Any, place: str) -> list[tuple[str, int]]:
    """Texts and places of a row's answers: a mapping of two lists or of one answer, or mappings.

    Raises:
        DataError: a text or a place is missing.
    """
    if not value:
        return []
    if isinstance(value, Mapping):
        texts, starts = value["text"], value["answer_start"]
        lists = isinstance(texts, list) and isinstance(starts, list)
        found = list(zip_longest(texts, starts)) if lists else [(texts, starts)]
    else:
        found = [(one["text"], one["answer_start"]) for one in value]
    if not all(isinstance(text, str) and isinstance(start, int) for text, start in found):
        raise DataError(
            "An answer has no text, or no place.",
            where=place,
            fix='write {"text": ["…"], "answer_start": [12]}, as many texts as places',
        )
    return found


def read_answers(column: LabelColumn, known: Sequence[str] = ()) -> AnswerReader:
    """Make the reader; there is nothing to learn of the training answers."""
    return AnswerReader()


def find_columns(split: RawSplit, text: Sequence[str], label: str | None) -> Columns | None:
    """A question, its document, and its answers with their texts and places.

    Raises:
        DataError: an answer that does not stand where the row says.
    """
    rows = split.rows
    names, answers = tuple(text) or COLUMNS, label or ANSWERS
    if len(names) != 2 or not {*names, answers} <= set(rows.column_names):
        return None
    feature = rows.features[answers]
    feature = getattr(feature, "feature", feature)  # of a list, or `datasets` before version 4
    feature = feature[0] if isinstance(feature, list) else feature  # a list in these
    if not isinstance(feature, Mapping) or not {"text", "answer_start"} <= set(feature):
        return None
    for row, (context, own) in enumerate(zip(rows[names[1]][:], rows[answers][:], strict=True)):
        place = f"{split.source}, row {row + 1}, column '{answers}'"
        for said, start in _answers(own, place):
            stands = context is None or context[max(0, start) : start + len(said)] == said
            if not stands:
                raise DataError(
                    f"The answer {said!r:.60} does not stand at {start} of the document.",
                    where=place,
                    fix="answer_start counts characters of the document from 0; correct it",
                )
    return Columns(names, answers)


def encode_windows(
    batch: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, max_length: int
) -> dict[str, Any]:
    """Windows of every question's document; where one lacks the answer, its first token is it."""
    cut = windows_for(max_length)
    with _cut_on_the_right(tokenizer):
        encoding = tokenizer(
            _shortened(batch["text"], tokenizer, cut.question),
            batch["text_pair"],
            truncation="only_second",
            max_length=max_length,
            stride=cut.stride,
            padding=False,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
    samples = encoding.pop("overflow_to_sample_mapping")
    offsets = encoding.pop("offset_mapping")
    made: dict[str, list[Any]] = {
        name: [] for name in ("start_positions", "end_positions", "begins", "ends")
    }
    for window, sample in enumerate(samples):
        places = [
            place if sequence == 1 else (-1, -1)
            for place, sequence in zip(offsets[window], encoding.sequence_ids(window), strict=True)
        ]
        begins, ends = ([place[side] for place in places] for side in (0, 1))
        answers = batch["label"][sample]
        first, last = _tokens_of(answers["text"][0], answers["answer_start"][0], begins, ends)
        for name, value in zip(made, (first, last, begins, ends), strict=True):
            made[name].append(value)
    return {
        **encoding,
        **made,
        "row": [batch["row"][sample] for sample in samples],
        "context": [batch["text_pair"][sample] for sample in samples],
        "golds": [batch["label"][sample]["text"] for sample in samples],
        "length": [len(ids) for ids in encoding["input_ids"]],
    }


@contextmanager
def _cut_on_the_right(tokenizer: PreTrainedTokenizerBase) -> Iterator[None]:
    """Questions and windows are cut so, as serving cuts them, wherever it cuts other texts."""
    side, tokenizer.truncation_side = tokenizer.truncation_side, "right"
    try:
        yield
    finally:
        tokenizer.truncation_side = side


def _shortened(
    questions: Sequence[str], tokenizer: PreTrainedTokenizerBase, most: int
) -> list[str]:
    """Questions of so many tokens at most: a document has to have room beside one."""
    offsets = tokenizer(
        list(questions),
        add_special_tokens=False,
        truncation=True,
        max_length=most,
        return_offsets_mapping=True,
    )["offset_mapping"]
    return [
        question[: places[-1][1]] if len(places) == most else question
        for question, places in zip(questions, offsets, strict=True)
    ]


def _tokens_of(
    answer: str, start: int, begins: Sequence[int], ends: Sequence[int]
) -> tuple[int, int]:
    """First and last token of an answer; (0, 0) where the window does not have all of it."""
    stop = start + len(answer)
    inside = [
        token
        for token, (begin, end) in enumerate(zip(begins, ends, strict=True))
        if begin >= 0 and begin < stop and end > start
    ]
    if not inside or begins[inside[0]] > start or ends[inside[-1]] < stop:
        return 0, 0
    return inside[0], inside[-1]


def windows_of(rows: Dataset, labels: Sequence[str]) -> Windows:
    """The truth of encoded rows."""
    begins, ends = (
        [np.asarray(places, dtype=np.int64) for places in rows[name][:]]
        for name in ("begins", "ends")
    )
    examples = np.asarray(rows["row"][:], dtype=np.int64)
    return Windows(examples, begins, ends, rows["context"][:], rows["golds"][:])
