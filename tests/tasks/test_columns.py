from __future__ import annotations

from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, Value

from glp_export.core.errors import DataError
from glp_export.tasks.columns import find_columns, texts_in_words
from glp_export.tasks.raw import RawSplit


def split(**columns: list[Any]) -> RawSplit:
    return RawSplit(Dataset.from_dict(columns), "reviews.csv")


WORDS = ["one", "two", "three", "four"]
CLASSES = ["x", "y", "x", "y"]
NUMBERS = [1, 2, 1, 2]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"text": WORDS, "label": CLASSES}, (("text",), "label")),
        ({"label": NUMBERS, "review": WORDS}, (("review",), "label")),
        (
            {"premise": WORDS, "hypothesis": WORDS, "label": NUMBERS},
            (("premise", "hypothesis"), "label"),
        ),
        ({"utterance": WORDS, "Intent": CLASSES}, (("utterance",), "Intent")),
        ({"target": CLASSES, "label": NUMBERS, "t": WORDS}, (("t",), "label")),
        ({"text": WORDS, "stars": NUMBERS}, (("text",), "stars")),
        ({" text": WORDS, " label": CLASSES}, ((" text",), " label")),
        ({"idx": [0, 1, 2, 3], "text": WORDS, "stars": NUMBERS}, (("text",), "stars")),
        ({"doc_id": WORDS, "text": WORDS, "label": NUMBERS}, (("text",), "label")),
        ({"pairID": WORDS, "a": WORDS, "b": WORDS, "label": NUMBERS}, (("a", "b"), "label")),
        ({"text": WORDS, "label": NUMBERS, "label_text": CLASSES}, (("text",), "label")),
    ],
)
def test_columns_are_told_by_name_and_content(
    columns: dict[str, list[Any]], expected: tuple[tuple[str, ...], str]
) -> None:
    assert find_columns(split(**columns)) == expected


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("hypothesis", "label", "premise"), ("premise", "hypothesis")),
        (("question2", "label", "question1"), ("question1", "question2")),
        (("text_b", "text_a", "label"), ("text_a", "text_b")),
        (("context", "label", "question"), ("question", "context")),
        (("Sentence2", "label", "Sentence1"), ("Sentence1", "Sentence2")),
        (("source", "premise", "hypothesis", "label"), ("premise", "hypothesis")),
    ],
)
def test_pairs_are_read_in_the_order_of_their_names(
    names: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    columns = {name: CLASSES if name == "label" else WORDS for name in names}
    assert find_columns(split(**columns)).text == expected


@pytest.mark.parametrize(
    "beside",
    ["source", "domain", "lang", "url", "date", "created_at", "author", "split", "data_source"],
)
@pytest.mark.parametrize("first", [True, False])
def test_where_a_text_comes_from_is_no_second_text(beside: str, first: bool) -> None:
    columns = {"label": NUMBERS, "review": WORDS, beside: ["x", "y", "x", "z"]}
    rows = split(**dict(reversed(columns.items())) if first else columns)
    found = find_columns(rows)
    assert found == (("review",), "label")
    (note,) = texts_in_words(rows, found)
    assert "'review'" in note
    assert f"--text-columns review {beside}" in note


@pytest.mark.parametrize("names", [("title", "body"), ("b2", "a1")])
def test_two_texts_of_other_names_are_a_pair_and_that_is_said(names: tuple[str, str]) -> None:
    rows = split(**dict.fromkeys(names, WORDS), label=NUMBERS)
    found = find_columns(rows)
    assert found.text == names
    (note,) = texts_in_words(rows, found)
    assert all(f"'{name}'" in note for name in names)
    assert f"--text-columns {names[0]}" in note


def test_a_second_text_of_few_values_is_read_only_where_names_say_so() -> None:
    topics = ["sport", "sport", "news", "news"] * 2
    texts, labels = [f"text {number}" for number in range(8)], NUMBERS * 2
    rows = split(text=texts, topic=topics, label=labels)
    with pytest.raises(DataError, match="--text-columns") as caught:
        find_columns(rows)
    assert "'topic'" in caught.value.what
    assert find_columns(rows, ("text", "topic")).text == ("text", "topic")
    assert find_columns(rows, paired=True).text == ("text", "topic")
    assert find_columns(split(question=texts, context=topics, label=labels)).text == (
        "question",
        "context",
    )


def test_two_texts_that_both_say_where_they_come_from_are_refused() -> None:
    rows = split(url=WORDS, source=WORDS, label=NUMBERS)
    with pytest.raises(DataError, match="--text-columns") as caught:
        find_columns(rows)
    assert all(name in caught.value.what for name in ("url", "source"))


def test_a_declared_class_label_of_any_name_is_the_label() -> None:
    features = Features({"text": Value("string"), "topic": ClassLabel(names=["x", "y"])})
    rows = Dataset.from_dict({"text": WORDS, "topic": [0, 1, 0, 1]}, features=features)
    assert find_columns(RawSplit(rows, "hub")) == (("text",), "topic")


def test_what_the_user_names_is_taken() -> None:
    rows = split(title=WORDS, body=WORDS, summary=WORDS, label=NUMBERS, topic=CLASSES)
    assert find_columns(rows, ("body",), "topic") == (("body",), "topic")
    assert find_columns(rows, ("body",)) == (("body",), "label")


@pytest.mark.parametrize(
    ("columns", "text", "label", "fault"),
    [
        ({"text": WORDS, "label": CLASSES}, ("body",), None, "no column 'body'"),
        ({"text": WORDS, "label": CLASSES}, None, "topic", "no column 'topic'"),
        ({"text": NUMBERS, "label": CLASSES}, ("text",), None, "'text' holds int64, not text"),
        ({"text": NUMBERS, "label": CLASSES}, None, None, "No column holds text"),
        ({"text": WORDS, "topic": CLASSES}, None, None, "No column can be told to be the label"),
        ({"text": WORDS, "a": NUMBERS, "b": NUMBERS}, None, None, "No column can be told"),
        (
            {"a": WORDS, "b": WORDS, "c": WORDS, "label": NUMBERS},
            None,
            None,
            "More than two columns hold text",
        ),
        ({"tokens": [["a"]] * 4, "label": NUMBERS}, None, None, "No column holds text"),
        ({"text": WORDS, "label": CLASSES}, None, "Label ", "there is 'label'"),
        ({"text": WORDS, "Text": WORDS, "label": NUMBERS}, None, None, "one name"),
        (
            {"text": WORDS, "label": NUMBERS, "category": ["x", "x", "y", "y"]},
            None,
            None,
            "'category' may be a label too",
        ),
    ],
)
def test_a_failure_lists_the_columns_that_are_there(
    columns: dict[str, list[Any]], text: tuple[str, ...] | None, label: str | None, fault: str
) -> None:
    with pytest.raises(DataError) as caught:
        find_columns(split(**columns), text, label)
    assert fault in caught.value.what
    assert all(name in caught.value.what for name in columns)
    assert caught.value.where == "reviews.csv"
    assert "--text-columns" in str(caught.value.fix)
