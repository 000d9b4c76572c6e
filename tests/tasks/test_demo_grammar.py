"""The demo's grammar: its texts are repeatable, its labels are right, its splits are apart."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from glp_export.tasks.demo_grammar import (
    BAD,
    CONCLUSIONS,
    GOOD,
    LABELS,
    demo_rows,
    demo_splits,
    sentences,
    vocabulary,
)

TURNING = {"was not", "was hardly", "was anything but", "everyone doubted", "nobody agreed"}
JUDGEMENT = re.compile(
    r"(?:(everyone \w+|nobody \w+) that )?the \w+ "
    rf"(was(?: very| rather| not| hardly| anything but)?) ({'|'.join((*GOOD, *BAD))})"
)


def words(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text.lower())


def read(text: str) -> str:
    """Answer the demo's question the slow way, without a look at how the text was written."""
    text = text.lower()
    good = [
        (adjective in GOOD) == (((stance in TURNING) + (copula in TURNING)) % 2 == 0)
        for stance, copula, adjective in JUDGEMENT.findall(text)
    ]
    if "was no different" in text:
        good.append(good[0])
    if "was the opposite" in text:
        good.append(not good[0])
    first, second = good
    if re.search("only the former|the latter hardly", text):
        counting = {first}
    elif re.search("^although|, but |only the latter|the former hardly", text):
        counting = {second}
    elif ", although " in text:
        counting = {first}
    else:
        counting = {first, second}
    return "mixed" if len(counting) == 2 else "positive" if counting.pop() else "negative"


def test_labels_are_what_a_reader_understands():
    for row in demo_rows(7, 3000):
        assert read(row["text"]) == row["label"], row["text"]


@pytest.mark.parametrize(
    ("plain", "turned"),
    [
        (
            "The soup was good, and the tea was lovely.",
            "The soup was not good, but the tea was bad.",
        ),
        ("Although the film was bad, the play was great.",
         "Although the film was bad, everyone doubted that the play was great."),
        ("The tent was dull. The barn was no different. Only the latter mattered.",
         "The tent was dull. The barn was the opposite. Only the latter mattered."),
    ],
)  # fmt: skip
def test_a_turn_of_phrase_flips_the_verdict(plain, turned):
    assert {read(plain), read(turned)} == {"positive", "negative"}


def test_a_seed_gives_the_same_text():
    assert demo_rows(5, 200) == demo_rows(5, 200)
    assert list(sentences(5, 200)) == list(sentences(5, 200))
    assert demo_rows(5, 200) != demo_rows(6, 200)
    assert list(sentences(5, 200)) != list(sentences(6, 200))


def test_splits_have_no_text_in_common():
    train, validation = demo_splits(1, train=1200, validation=600)
    texts = [row["text"] for row in (*train, *validation)]
    assert (len(train), len(validation)) == (1200, 600)
    assert len(set(texts)) == 1800


def test_no_review_of_the_task_is_pretrained_on():
    task = {row["text"].lower() for row in demo_rows(0, 1000)}
    for text in sentences(0, 20_000):
        review = re.sub(r"^a \w+ review: ", "", text.lower()).partition(" so ")[0]
        assert review not in task


def test_labels_are_balanced_in_each_split():
    train, validation = demo_splits(2, train=1200, validation=600)
    for split in (train, validation, train[:100]):
        counts = Counter(row["label"] for row in split)
        assert set(counts) == set(LABELS)
        assert max(counts.values()) - min(counts.values()) <= 2


def test_no_single_word_tells_a_positive_review_from_a_negative_one():
    rows = [row for row in demo_rows(4, 6000) if row["label"] != "mixed"]
    with_word: dict[str, list[bool]] = {}
    for row in rows:
        for word in set(words(row["text"])):
            with_word.setdefault(word, []).append(row["label"] == "positive")
    for word, positive in with_word.items():
        if len(positive) >= 300:
            assert 0.25 < sum(positive) / len(positive) < 0.75, word


def test_every_word_is_in_the_vocabulary_and_used():
    texts = [*sentences(0, 5000), *(row["text"] for row in demo_rows(0, 1000))]
    assert {word for text in texts for word in words(text)} == set(vocabulary())


def test_a_row_states_no_conclusion_and_is_short():
    for row in demo_rows(9, 1000):
        assert not CONCLUSIONS & set(words(row["text"]))
        assert len(words(row["text"])) <= 32
