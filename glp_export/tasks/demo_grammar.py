"""A little language in which meaning is composed, and the task that the demo learns from it.

A story is about two things. The narrator judges them, one or two people choose between them, and
one of these people writes a review. The demo's task: is the review positive, negative or mixed?

    Although everyone doubted that the soup was awful, the bread was not bad at all.
    Anna skipped the former, so she had the other one. She wrote a review.          -> positive

No word gives the answer away. It takes negation ("was hardly good"), stance ("everyone doubted
that"), contrast ("unlike the bread"), comparison ("the better one"), reference ("the former",
"it", "she") and conjunction ("both"), each applied to what the ones before it yield.

The encoder of the demo is pretrained on `sentences`: stories which go on to say what follows from
them ("So Anna was glad."). A checksum of the story decides whether it belongs to the pretraining
text or to the task, so that neither ever holds a story of the other.
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
    ("hotel", "cabin", "castle", "tent", "hostel", "palace", "villa", "lodge", "inn", "flat"),
)
GOOD = ("good", "great", "lovely", "superb", "charming", "perfect", "splendid", "delightful")
BAD = ("bad", "awful", "dreadful", "horrid", "poor", "terrible", "dismal", "disappointing")
SHE = ("Anna", "Clara", "Emma", "Julia", "Mary", "Nina", "Sofia", "Vera")
HE = ("Ben", "David", "Felix", "Jonas", "Leo", "Max", "Oscar", "Paul")

# --- clauses: what they say, and whether they keep what they are said about, or turn it around ----

COPULAS = (
    ("was", True),
    ("was very", True),
    ("was rather", True),
    ("was not", False),
    ("was hardly", False),
    ("was anything but", False),
)
STANCES = (
    ("everyone agreed that", True),
    ("nobody doubted that", True),
    ("everyone doubted that", False),
    ("nobody agreed that", False),
)
# {1} is a clause about the first thing, {2} one about the second; {a} and {b} are their names;
# {better} says on which side of the second thing the first one is.
ALIKE = (
    "{1}, and {2}",
    "{1}. {2}",
    "{1}, and the same goes for the {b}",
    "{1}, just like the {b}",
    "the {a} was even {better} than the {b}, and {2}",
)
UNLIKE = (
    "{1}, and {2}",
    "{1}. {2}",
    "{1}, but {2}",
    "although {1}, {2}",
    "{1}, unlike the {b}",
    "the {a} was {better} than the {b}, as {2}",
)
# {p} and {q} are people, {p_she} a pronoun; {r} and {s} are what they chose, {not_r} the rest.
ALONE = (
    "{p} had {r}",
    "{p} looked at both and had {r}",
    "{p} skipped {not_r}, so {p_she} had the other one",
)
TOGETHER = (
    "{p} had {r}, and {q} had {s}",
    "{p} had {r}, while {q} had {s}",
    "{p} wanted {not_r}, but {q} had it, so {p_she} had the other one",
)
REVIEW = "{writer} wrote a review"

# What follows from a story. These words stand in no story: who reads one has drawn a conclusion.
THING_IS = {"positive": "fine", "negative": "weak"}
PERSON_IS = {"positive": "glad", "negative": "sad", "mixed": "torn"}
REVIEW_IS = {"positive": "warm", "negative": "harsh", "mixed": "balanced"}
CONCLUSIONS = frozenset({*THING_IS.values(), *PERSON_IS.values(), *REVIEW_IS.values()})
