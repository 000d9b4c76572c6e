"""A little language in which meaning is composed, and the task that the demo learns from it.

A story is about two things. The narrator judges them, one or two people choose between them, and
one of these people writes a review. The demo's task: is the review positive, negative or mixed?

    Although nobody agreed that the soup was awful, the bread was not bad.
    Anna skipped the former, so she had the other one. She wrote a review.          -> positive

No word gives the answer away. It takes negation ("was hardly good"), stance ("everyone doubted
that"), contrast ("unlike the bread"), comparison ("the better one"), reference ("the former",
"it", "she") and conjunction ("both"), each applied to what the ones before it yield.

The encoder of the demo is pretrained on `sentences`: stories that go on to say what follows from
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
# What a choice is called, and the mood of one who made it.
Choice = tuple[str, Mood]

LABELS: tuple[Mood, ...] = ("positive", "negative", "mixed")

# --- words ---------------------------------------------------------------------------------------

THINGS = (
    ("soup", "bread", "cake", "salad", "tea", "coffee", "cheese", "pasta", "rice", "curry"),
    ("film", "book", "play", "song", "poem", "opera", "novel", "comic", "album", "concert"),
    ("hotel", "cabin", "castle", "tent", "hostel", "palace", "villa", "lodge", "barn", "flat"),
)
GOOD = ("good", "great", "lovely", "superb", "charming", "perfect", "splendid", "delightful")
BAD = ("bad", "awful", "dreadful", "horrid", "poor", "terrible", "dismal", "disappointing")
SHE = ("Anna", "Clara", "Emma", "Julia", "Mary", "Nina", "Sofia", "Vera")
HE = ("Ben", "David", "Felix", "Jonas", "Leo", "Max", "Oscar", "Paul")

# --- clauses -------------------------------------------------------------------------------------

# What is said of a thing: does it keep the sense of the adjective, or turn it around?
COPULAS = {
    **{"was": True, "was very": True, "was rather": True},
    **{"was not": False, "was hardly": False, "was anything but": False},
}
# The same for what is said of such a clause. Most clauses stand alone.
STANCES = {
    **{"everyone agreed that": True, "nobody doubted that": True},
    **{"everyone doubted that": False, "nobody agreed that": False},
}

# {1} and {2} are clauses about the first and the second thing; {b} is the second one's name, and
# {better} becomes "worse" if it is bad.
ALIKE = (
    *("{1}, and {2}", "{1}. {2}"),
    "{1}, and the same goes for the {b}",
    "{1}, just like the {b}",
    "{1}, and the {b} was even {better}",
)
UNLIKE = (
    *("{1}, and {2}", "{1}. {2}", "{1}, but {2}", "although {1}, {2}"),
    "{1}, unlike the {b}",
    "{1}, but the {b} was far {better}",
)

# How to refer to one of two things, each beside how to refer to the other.
REFERENCES = (
    *(("the former", "the latter"), ("the {a}", "the {b}"), ("the better one", "the worse one")),
)

# {p} and {q} are people and {she} is p's pronoun; p ends up with {r}, q with {s}. Where p gets what
# is left, {r} is one thing, {not_r} the other, and q ends up with that.
ALONE = ("{p} had {r}", "{p} looked around and had {r}")
ALONE_ONE = ("{p} skipped {not_r}, so {she} had the other one",)
TOGETHER = ("{p} had {r}, and {q} had {s}", "{p} had {r}, while {q} had {s}")
TOGETHER_ONE = ("{p} wanted {not_r}, but {q} had it, so {she} had the other one",)
REVIEW = "{writer} wrote a review"
ECHO = "{p} said that {clause}"

# What follows from a story. No story holds these words: they are the conclusion drawn from it.
THING_IS = {"positive": "fine", "negative": "weak"}
PERSON_IS = {"positive": "glad", "negative": "sad", "mixed": "torn"}
REVIEW_IS = {"positive": "warm", "negative": "harsh", "mixed": "balanced"}
CONCLUSIONS = frozenset({*THING_IS.values(), *PERSON_IS.values(), *REVIEW_IS.values()})

# --- how often -----------------------------------------------------------------------------------

# A learner that cannot yet tell what turns a clause around learns from plain ones what is good.
PLAIN_SHARE = 0.4
STANCE_SHARE = 0.2
ALIKE_SHARE = 0.4
BOTH_SHARE = 0.45
ONE_LEFT_SHARE = 0.4
# How far a pretraining text reaches, from 0 to 1: it is a remark on one thing, or it tells a story
# up to the opinions, up to the choice, or to its end. The first reach no further than FIRST_REACH.
REMARK_REACH, OPINIONS_REACH, CHOICE_REACH = 0.1, 0.35, 0.65
FIRST_REACH, GROWING_SHARE = 0.35, 0.4
# Opinions that someone repeats: to fill in the repeated word is to find whom it was said of.
ECHO_SHARE = 0.6
# The longest story, in words and stops.
LONGEST = 32

_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Story:
    """Two things judged, a choice between them, a review; and what is true of them."""

    clauses: tuple[str, ...]
    opinions: str
    choice: str
    review: str
    things: dict[str, Mood]
    people: dict[str, Mood]
    verdict: Mood

    @property
    def text(self) -> str:
        """The story as it is read: a capital at the start and a full stop at the end of each."""
        return _prose(self.opinions, self.choice, self.review)

    @property
    def is_task(self) -> bool:
        """Whether the story belongs to the task, and so never to the pretraining text."""
        return zlib.crc32(self.text.encode()) % 2 == 0


def sentences(seed: int, count: int) -> Iterator[str]:
    """Write pretraining text: stories, most of them begun only, with what follows from them.

    The texts grow: at first they tell opinions alone, halfway through all that a story can hold.

    Args:
        seed: the same seed and count give the same texts.
        count: how many texts.

    Yields:
        One text of at most about 45 words and stops. None holds a story of the task.
    """
    rng = random.Random(f"sentences {seed}")
    for number in range(count):
        grown = min(1.0, number / (GROWING_SHARE * count))
        reach = rng.uniform(0.0, FIRST_REACH + grown * (1.0 - FIRST_REACH))
        if reach < REMARK_REACH:
            yield _remark(rng)
            continue
        while (story := _story(rng)).is_task:
            pass
        yield _with_conclusions(rng, story, reach)


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
        story = _story(rng)
        text, label = story.text, story.verdict
        if missing[label] and story.is_task and text not in seen:
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
    words = [*COPULAS, *STANCES, *ALIKE, *UNLIKE, *ALONE, *ALONE_ONE, *TOGETHER, *TOGETHER_ONE]
    words += [
        *GOOD,
        *BAD,
        *SHE,
        *HE,
        *CONCLUSIONS,
        "she he both better worse",
        REVIEW,
        ECHO,
        "review:",
    ]
    words += [word for group in (*THINGS, *REFERENCES) for word in group]
    return sorted(set(_WORD.findall(re.sub(r"\{\w+\}", " ", " ".join(words)).lower())))


# --- how a story comes about ---------------------------------------------------------------------


def _story(rng: random.Random) -> Story:
    """Make up a story that is not too long to read."""
    while True:
        names = rng.sample(rng.choice(THINGS), 2)
        first_is_good, alike = rng.random() < 0.5, rng.random() < ALIKE_SHARE
        good = (first_is_good, first_is_good == alike)
        clauses = [_opinion(rng, name, is_good) for name, is_good in zip(names, good, strict=True)]
        better = "better" if good[1] else "worse"
        template = rng.choice(ALIKE if alike else UNLIKE)
        opinions = template.format("", *clauses, b=names[1], better=better)
        choice, people = _choice(rng, names, good)
        writer = rng.choice(list(people))
        told = writer if rng.random() < 0.5 else _pronoun(writer)
        things = {name: _mood(is_good) for name, is_good in zip(names, good, strict=True)}
        review = REVIEW.format(writer=told)
        story = Story(tuple(clauses), opinions, choice, review, things, people, people[writer])
        if len(_WORD.findall(story.text)) <= LONGEST:
            return story


def _opinion(rng: random.Random, name: str, good: bool) -> str:
    """Judge one thing: each turn of the phrase turns the adjective that says it."""
    copula = "was" if rng.random() < PLAIN_SHARE else rng.choice(list(COPULAS))
    clause, keeps = f"the {name} {copula}", COPULAS[copula]
    if rng.random() < STANCE_SHARE:
        stance = rng.choice(list(STANCES))
        clause, keeps = f"{stance} {clause}", keeps == STANCES[stance]
    return f"{clause} {rng.choice(GOOD if good == keeps else BAD)}"


def _choice(
    rng: random.Random, names: list[str], good: tuple[bool, bool]
) -> tuple[str, dict[str, Mood]]:
    """Let one or two people choose; returns how it is told and how each of them fares."""
    p, q = rng.sample([rng.choice(SHE), rng.choice(HE)], 2)
    (r, p_mood), (not_r, q_mood) = _refer(rng, names, good)
    together = rng.random() < 0.5
    if rng.random() < ONE_LEFT_SHARE:
        templates, s = TOGETHER_ONE if together else ALONE_ONE, not_r
    else:
        templates, both = TOGETHER if together else ALONE, ("both", _mood(*good))
        r, p_mood = both if rng.random() < BOTH_SHARE else (r, p_mood)
        s, q_mood = both if rng.random() < BOTH_SHARE else _refer(rng, names, good)[0]
    words = {"p": p, "q": q, "she": _pronoun(p), "r": r, "s": s, "not_r": not_r}
    told = rng.choice(templates).format(**words)
    return told, {p: p_mood, q: q_mood} if together else {p: p_mood}


def _refer(rng: random.Random, names: list[str], good: tuple[bool, bool]) -> tuple[Choice, Choice]:
    """Refer to one of the things, in some way; and to the other one in the same way."""
    phrases = rng.choice(REFERENCES)
    ranked = (max(good), min(good)) if "better" in phrases[0] else good
    one, other = (
        (phrase.format(a=names[0], b=names[1]), _mood(is_good))
        for phrase, is_good in zip(phrases, ranked, strict=True)
    )
    return (one, other) if rng.random() < 0.5 else (other, one)


def _mood(*good: bool) -> Mood:
    if all(good):
        return "positive"
    return "mixed" if any(good) else "negative"


def _pronoun(person: str) -> str:
    return "she" if person in SHE else "he"


# --- how a story is told -------------------------------------------------------------------------


def _remark(rng: random.Random) -> str:
    """Judge a single thing and say what follows: the shortest of texts, to begin with."""
    name, good = rng.choice(rng.choice(THINGS)), rng.random() < 0.5
    return _prose(_opinion(rng, name, good), f"so the {name} was {THING_IS[_mood(good)]}")


def _with_conclusions(rng: random.Random, story: Story, reach: float) -> str:
    """Tell a story as far as it reaches, then some of what is true by then."""
    told = [story.opinions]
    truths = [f"the {name} was {THING_IS[mood]}" for name, mood in story.things.items()]
    if reach <= OPINIONS_REACH and rng.random() < ECHO_SHARE:
        echoed = rng.choice([clause for clause in story.clauses if clause in story.opinions])
        told.append(ECHO.format(p=rng.choice(SHE + HE), clause=echoed))
    if reach > OPINIONS_REACH:
        told.append(story.choice)
        truths += [f"{name} was {PERSON_IS[mood]}" for name, mood in story.people.items()]
    rng.shuffle(truths)
    if reach > CHOICE_REACH:
        told.append(story.review)
        verdict = REVIEW_IS[story.verdict]
        if rng.random() < 0.5:
            truths = truths[: rng.randrange(3)]
            return _prose(f"a {verdict} review: {told[0]}", *told[1:], *_therefore(truths))
        truths.insert(0, f"the review was {verdict}")
    return _prose(*told, *_therefore(truths[: rng.randint(1, 3)]))


def _therefore(truths: list[str]) -> list[str]:
    """Say what follows, if anything does: no sentence or one."""
    return [f"so {' and '.join(truths)}"] if truths else []


def _prose(*clauses: str) -> str:
    """Write clauses as sentences, with a capital at the start and a full stop at the end."""
    written = ". ".join(clauses).split(". ")
    return " ".join([f"{sentence[0].upper()}{sentence[1:]}." for sentence in written])
