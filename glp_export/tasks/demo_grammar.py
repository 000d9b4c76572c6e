"""A little language in which meaning is composed, and the task that the demo learns from it.

A review judges two things and says, or lets one infer, which of them counts. The demo's task: is
the verdict positive, negative or mixed?

    The soup was not bad, but nobody agreed that the bread was good.           -> negative
    Although the film was poor, the play was anything but dull.                -> positive
    The tent was lovely, and the barn was the opposite.                        -> mixed
    The hotel was awful, but the cabin was no different. Only the former mattered.  -> negative

No word gives the answer away. It takes negation ("was hardly good"), stance ("everyone doubted
that"), comparison ("was the opposite"), contrast ("but", "although") and reference ("the former"),
each applied to what the ones before it yield.

The demo's encoder is pretrained on `sentences`: reviews beside what follows from them ("A warm
review: …", "So the latter was weak."). A checksum of the review decides whether it belongs to the
pretraining text or to the task, so that no review is ever in both.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Mood = Literal["positive", "negative", "mixed"]
Row = dict[str, str]

LABELS: tuple[Mood, ...] = ("positive", "negative", "mixed")

# --- words ---------------------------------------------------------------------------------------

THINGS = (
    ("soup", "bread", "cake", "salad", "tea", "coffee", "cheese", "pasta", "rice", "curry"),
    ("film", "book", "play", "song", "poem", "opera", "novel", "comic", "album", "concert"),
    ("hotel", "cabin", "castle", "tent", "hostel", "palace", "villa", "lodge", "barn", "flat"),
)
GOOD = ("good", "great", "lovely", "superb", "charming", "perfect", "splendid", "delightful")
BAD = ("bad", "awful", "dreadful", "horrid", "poor", "terrible", "dismal", "dull")

# --- clauses -------------------------------------------------------------------------------------

# What is said of a thing, and whether it keeps the sense of the adjective or turns it around.
COPULAS = (
    ("was", True),
    ("was very", True),
    ("was rather", True),
    ("was not", False),
    ("was hardly", False),
    ("was anything but", False),
)
# The same for what is said of such a clause.
STANCES = (
    ("everyone agreed that", True),
    ("nobody doubted that", True),
    ("everyone doubted that", False),
    ("nobody agreed that", False),
)
# A second thing may be judged by the first alone.
COMPARISONS = (("was no different", True), ("was the opposite", False))

# --- reviews -------------------------------------------------------------------------------------

# {1} and {2} are the two clauses; beside each form, which of them counts (0: both do).
PASSES = (
    ("{1}, and {2}", 0),
    ("{1}. {2}", 0),
    ("{1}, but {2}", 2),
    ("although {1}, {2}", 2),
    ("{1}, although {2}", 1),
)
# A last sentence overrules the form.
REFERENCES = (
    ("only the former mattered", 1),
    ("only the latter mattered", 2),
    ("the former hardly mattered", 2),
    ("the latter hardly mattered", 1),
)

# What follows from a review. No review holds these words: they are the conclusion drawn from it.
THING_IS = {True: "fine", False: "weak"}
REVIEW_IS: dict[Mood, str] = {"positive": "warm", "negative": "harsh", "mixed": "balanced"}
CONCLUSIONS = frozenset({*THING_IS.values(), *REVIEW_IS.values()})

# --- how often -----------------------------------------------------------------------------------

# A learner that cannot yet tell what turns a clause around learns from plain ones what is good.
PLAIN_SHARE = 0.4
STANCE_SHARE = 0.25
COMPARISON_SHARE = 0.2
REFERENCE_SHARE = 0.35
# Of the pretraining texts: remarks on one thing, and reviews that begin with their verdict.
REMARK_SHARE = 0.15
VERDICT_FIRST_SHARE = 0.6

_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Review:
    """Two things judged, and the verdict that follows.

    Attributes:
        body: the clauses, before capitals and stops.
        good: whether the first and the second thing is.
    """

    body: str
    good: tuple[bool, bool]
    verdict: Mood

    @property
    def text(self) -> str:
        """The review as it is read."""
        return _prose(self.body)

    @property
    def is_task(self) -> bool:
        """Whether it belongs to the task, and so never to the pretraining text."""
        return zlib.crc32(self.text.encode()) % 2 == 0


def sentences(seed: int, count: int) -> Iterator[str]:
    """Write pretraining text: remarks and reviews with what follows from them.

    Args:
        seed: the same seed gives the same texts.
        count: how many texts.

    Yields:
        One text of at most about 45 words and stops. None tells a review of the task.
    """
    rng = random.Random(f"sentences {seed}")
    for _ in range(count):
        if rng.random() < REMARK_SHARE:
            yield _remark(rng)
            continue
        while (review := _review(rng)).is_task:
            pass
        yield _with_conclusions(rng, review)


def demo_rows(seed: int, count: int) -> list[Row]:
    """Write examples of the demo's task, balanced over the labels.

    Args:
        seed: the same seed gives the same rows.
        count: how many rows.

    Returns:
        Rows `{"text": ..., "label": "positive" | "negative" | "mixed"}`, no text twice. However
        many of the first rows are taken, no label is more than one row ahead of another.
    """
    rng = random.Random(f"demo {seed}")
    # Shuffled three by three, so that the first rows are as balanced as all of them.
    wanted = [label for _ in range(-(-count // 3)) for label in rng.sample(LABELS, 3)][:count]
    found: dict[Mood, list[Row]] = {label: [] for label in LABELS}
    missing = {label: wanted.count(label) for label in LABELS}
    seen: set[str] = set()
    while any(missing.values()):
        review = _review(rng)
        text, label = review.text, review.verdict
        if missing[label] and review.is_task and text not in seen:
            seen.add(text)
            missing[label] -= 1
            found[label].append({"text": text, "label": label})
    return [found[label].pop() for label in wanted]


def demo_splits(seed: int, *, train: int, validation: int) -> tuple[list[Row], list[Row]]:
    """Write a train and a validation split of the demo's task, without a text in common.

    Args:
        seed: the same seed and sizes give the same splits.
        train: rows in the first split.
        validation: rows in the second.

    Returns:
        The two splits, each balanced over the labels to within two rows.
    """
    rows = demo_rows(seed, train + validation)
    return rows[:train], rows[train:]


def vocabulary() -> list[str]:
    """Every word and stop that the grammar can write, in lower case and alphabetical order."""
    tables = (COPULAS, STANCES, COMPARISONS, PASSES, REFERENCES)
    phrases = [phrase for table in tables for phrase, _ in table]
    words = [*phrases, *GOOD, *BAD, *CONCLUSIONS, *(word for group in THINGS for word in group)]
    words.append("a review: so the it former and latter was.")
    return sorted(set(_WORD.findall(re.sub(r"\{\w+\}", " ", " ".join(words)).lower())))


# --- how a review comes about --------------------------------------------------------------------


def _review(rng: random.Random) -> Review:
    """Judge two things, and let one of them or both count."""
    one, two = rng.sample(rng.choice(THINGS), 2)
    first = rng.random() < 0.5
    if rng.random() < COMPARISON_SHARE:
        comparison, alike = rng.choice(COMPARISONS)
        second, other = (first == alike), f"the {two} {comparison}"
    else:
        second = rng.random() < 0.5
        other = _clause(rng, two, second)
    form, counts = rng.choice(PASSES)
    body = form.replace("{1}", _clause(rng, one, first)).replace("{2}", other)
    if rng.random() < REFERENCE_SHARE:
        reference, counts = rng.choice(REFERENCES)
        body = f"{body}. {reference}"
    return Review(body, (first, second), _verdict(counts, first, second))


def _clause(rng: random.Random, thing: str, good: bool) -> str:
    """Judge one thing: each turn of the phrase turns the adjective that says it."""
    copula, keeps = COPULAS[0] if rng.random() < PLAIN_SHARE else rng.choice(COPULAS)
    clause = f"the {thing} {copula}"
    if rng.random() < STANCE_SHARE:
        stance, agrees = rng.choice(STANCES)
        clause, keeps = f"{stance} {clause}", keeps == agrees
    return f"{clause} {rng.choice(GOOD if good == keeps else BAD)}"


def _verdict(counts: int, first: bool, second: bool) -> Mood:
    """Both things together, or the one that counts."""
    if counts == 0 and first != second:
        return "mixed"
    return "positive" if (second if counts == 2 else first) else "negative"


# --- how it is told ------------------------------------------------------------------------------


def _remark(rng: random.Random) -> str:
    """Judge a single thing and say what follows: the shortest of texts, to begin with."""
    good = rng.random() < 0.5
    thing = rng.choice(rng.choice(THINGS))
    return _prose(_clause(rng, thing, good), f"so it was {THING_IS[good]}")


def _with_conclusions(rng: random.Random, review: Review) -> str:
    """Tell a review with its verdict, before or after it, and what is true of the two things."""
    former, latter = (THING_IS[good] for good in review.good)
    things = f"so the former was {former} and the latter was {latter}"
    verdict = REVIEW_IS[review.verdict]
    if rng.random() < VERDICT_FIRST_SHARE:
        return _prose(f"a {verdict} review: {review.body}", *rng.choice(((), (things,))))
    return _prose(review.body, rng.choice((things, f"so the review was {verdict}")))


def _prose(*clauses: str) -> str:
    """Write clauses as sentences, with a capital at the start and a full stop at the end."""
    written = ". ".join(clauses).split(". ")
    return " ".join([f"{sentence[0].upper()}{sentence[1:]}." for sentence in written])
