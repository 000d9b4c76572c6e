"""The demo's grammar: its texts are repeatable, its labels are right, its splits are apart."""

from __future__ import annotations

import re
import time
from collections import Counter

import pytest

from glp_export.tasks.demo_grammar import (
    BAD,
    CONCLUSIONS,
    GOOD,
    HE,
    LABELS,
    SHE,
    demo_rows,
    demo_splits,
    sentences,
    vocabulary,
)

TURNING = {"was not", "was hardly", "was anything but", "everyone doubted", "nobody agreed"}
JUDGEMENT = re.compile(
    r"(?:(everyone \w+|nobody \w+) that )?the (\w+) "
    rf"(was(?: very| rather| not| hardly| anything but)?) ({'|'.join((*GOOD, *BAD))})"
)


def words(text: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", text.lower())


def read_things(opinions: str) -> dict[str, bool]:
    """Understand the opinions, without a look at how they were written: is each thing good?"""
    things = {}
    for stance, name, copula, adjective in JUDGEMENT.findall(opinions):
        turns = (stance in TURNING) + (copula in TURNING)
        things[name] = (adjective in GOOD) == (turns % 2 == 0)
    if like := re.search(r"(unlike|just like|same goes for) the (\w+)", opinions):
        (known,) = things.values()
        things[like[2]] = known != (like[1] == "unlike")
    if better := re.search(r"the (\w+) was (?:even|far) (better|worse)", opinions):
        things[better[1]] = better[2] == "better"
    return things


def read_choice(choice: str, things: dict[str, bool]) -> dict[str, set[bool]]:
    """Understand who ended up with what: is what each person has good, bad, or some of both?"""
    good = list(things.values())
    held = {
        "the former": {good[0]},
        "the latter": {good[1]},
        "the better one": {any(good)},
        "the worse one": {all(good)},
        "both": set(good),
    } | {f"the {name}": {is_good} for name, is_good in things.items()}
    first, second = (f"the {name}" for name in things)
    other = {"the former": "the latter", "the better one": "the worse one", first: second}
    other |= {that: this for this, that in other.items()}
    if left := re.match(r"(\w+) skipped (.*), so", choice):
        return {left[1]: held[other[left[2]]]}
    if left := re.match(r"(\w+) wanted (.*), but (\w+) had it", choice):
        return {left[1]: held[other[left[2]]], left[3]: held[left[2]]}
    had = re.findall(r"(\w+) (?:looked around and )?had (both|the \w+(?: one)?)", choice)
    return {person: held[what] for person, what in had}


def read(text: str) -> str:
    """Answer the demo's question the slow way."""
    *opinions, choice, review = text.rstrip(".").split(". ")
    people = read_choice(choice, read_things(". ".join(opinions).lower()))
    writer = review.split()[0]
    fares = {**people}
    fares |= {("She" if name in SHE else "He"): fare for name, fare in people.items()}
    return "mixed" if len(fares[writer]) == 2 else ["negative", "positive"][fares[writer].pop()]


def test_labels_are_what_a_reader_understands() -> None:
    for row in demo_rows(7, 3000):
        assert read(row["text"]) == row["label"], row["text"]


@pytest.mark.parametrize(
    ("plain", "turned"),
    [
        (
            "The soup was good. The tea was bad. Anna had the former. She wrote a review.",
            "The soup was not good. The tea was bad. Anna had the former. She wrote a review.",
        ),
        (
            "Everyone agreed that the film was awful, just like the book. Ben had the book. "
            "He wrote a review.",
            "Everyone doubted that the film was awful, just like the book. Ben had the book. "
            "He wrote a review.",
        ),
    ],
)
def test_a_negation_flips_the_label(plain: str, turned: str) -> None:
    assert {read(plain), read(turned)} == {"positive", "negative"}


def test_a_seed_gives_the_same_text() -> None:
    assert demo_rows(5, 200) == demo_rows(5, 200)
    assert list(sentences(5, 200)) == list(sentences(5, 200))
    assert demo_rows(5, 200) != demo_rows(6, 200)
    assert list(sentences(5, 200)) != list(sentences(6, 200))


def test_splits_have_no_text_in_common() -> None:
    train, validation = demo_splits(1, train=1200, validation=600)
    texts = [row["text"] for row in (*train, *validation)]
    assert (len(train), len(validation)) == (1200, 600)
    assert len(set(texts)) == 1800


def test_pretraining_text_holds_no_story_of_the_task() -> None:
    pretraining = "\n".join(sentences(0, 20_000)).lower()
    assert not any(row["text"].lower() in pretraining for row in demo_rows(0, 1000))


def test_labels_are_balanced_in_each_split() -> None:
    train, validation = demo_splits(2, train=1200, validation=600)
    for split in (train, validation, train[:100]):
        counts = Counter(row["label"] for row in split)
        assert set(counts) == set(LABELS)
        assert max(counts.values()) - min(counts.values()) <= 2


def test_no_single_word_gives_the_answer_away() -> None:
    rows = [row for row in demo_rows(4, 3000) if row["label"] != "mixed"]
    share = Counter(row["label"] for row in rows)["positive"] / len(rows)
    with_word: dict[str, list[bool]] = {}
    for row in rows:
        for word in set(words(row["text"])):
            with_word.setdefault(word, []).append(row["label"] == "positive")
    for word, positive in with_word.items():
        if len(positive) >= 200 and word not in {"better", "worse"}:
            assert abs(sum(positive) / len(positive) - share) < 0.15, word


def test_every_word_is_in_the_vocabulary_and_used() -> None:
    texts = [*sentences(0, 5000), *(row["text"] for row in demo_rows(0, 1000))]
    assert {word for text in texts for word in words(text)} == set(vocabulary())


def test_a_row_states_no_conclusion_and_is_short() -> None:
    for row in demo_rows(9, 1000):
        assert not CONCLUSIONS & set(words(row["text"]))
        assert len(words(row["text"])) <= 32
        assert any(name in row["text"] for name in (*SHE, *HE))


def test_five_thousand_rows_take_about_a_second() -> None:
    start = time.process_time()
    demo_rows(0, 5000)
    # 0.6 s of one core when measured; process time, so that a busy machine does not fail it.
    assert time.process_time() - start < 2.0
