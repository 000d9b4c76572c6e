"""Scores beside what is reached without reading the texts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from glp_export.tasks import KINDS, Task
from glp_export.tasks.chance import AgainstChance, against_chance
from glp_export.tasks.kinds.reranking import Ranking
from glp_export.tasks.kinds.sentence_embeddings import Pairs
from glp_export.tasks.kinds.token_classification import Tagged

CLASSES = "text-classification"


def task(kind: str, metric: str, labels: int = 2) -> Task:
    names = {
        "token-classification": ("O", "B-a", "I-a"),
        CLASSES: tuple(map(str, range(labels))),
        "multi-label-classification": tuple(map(str, range(labels))),
    }
    return Task("t", kind, ("text",), "label", names.get(kind, ()), metric)


def classes(metric: str, skill: float, rows: int = 400, labels: int = 2, share: float = 0.5):
    """A classifier whose right logit is larger by `skill` deviations; class 0 has that share."""
    generator = np.random.default_rng(0)
    other = (1 - share) / (labels - 1)
    truth = generator.choice(labels, rows, p=[share, *[other] * (labels - 1)])
    logits = np.random.default_rng(1).normal(size=(rows, labels))
    logits[np.arange(rows), truth] += skill
    return against_chance(task(CLASSES, metric, labels), logits, truth)


@pytest.mark.parametrize("metric", ["accuracy", "f1", "macro_f1", "matthews_correlation"])
def test_a_classifier_that_learned_is_told_from_one_that_did_not(metric: str) -> None:
    learned, not_learned = classes(metric, 2.0), classes(metric, 0.0)
    assert learned.significant
    assert not not_learned.significant
    assert learned.low <= learned.value - learned.chance <= learned.high


def test_chance_is_the_most_frequent_class() -> None:
    found = classes("accuracy", 0.3, share=0.9)
    assert found.chance == pytest.approx(0.9, abs=0.03)
    assert not found.significant  # better than guessing, and worse than one answer for all
    assert not classes("accuracy", 0.0, rows=4000, labels=77, share=0.06).significant
    assert classes("accuracy", 1.5, rows=2000, labels=77, share=0.06).significant


def test_the_most_frequent_class_for_all_is_no_better_than_itself() -> None:
    truth = np.asarray([0] * 60 + [1] * 40)
    for metric in ("accuracy", "f1", "macro_f1", "matthews_correlation"):
        for answer in (0, 1):
            logits = np.eye(2)[np.full(100, answer)]
            assert not against_chance(task(CLASSES, metric), logits, truth).significant


def test_few_examples_prove_nothing() -> None:
    assert not against_chance(task(CLASSES, "accuracy"), np.eye(2), np.arange(2)).significant
    assert not against_chance(task(CLASSES, "accuracy"), np.eye(2)[:1], np.zeros(1)).significant
    truth = np.asarray([0, 1] * 10)
    assert against_chance(task(CLASSES, "accuracy"), np.eye(2)[truth], truth).significant


def test_luck_alone_passes_rarely() -> None:
    """At 95 % an answer by dice is taken for learned in about 1 of 40 test sets."""
    passed = 0
    for seed in range(40):
        generator = np.random.default_rng(seed)
        logits, truth = generator.normal(size=(100, 2)), generator.integers(0, 2, 100)
        passed += against_chance(task(CLASSES, "accuracy"), logits, truth).significant
    assert passed <= 4


def regression(skill: float, metric: str) -> AgainstChance:
    generator = np.random.default_rng(0)
    truth = generator.normal(size=200)
    answers = skill * truth + generator.normal(size=200)
    return against_chance(task("regression", metric), answers[:, None], truth)


def several(skill: float, metric: str) -> AgainstChance:
    generator = np.random.default_rng(0)
    truth = (generator.random((300, 4)) < [0.6, 0.3, 0.2, 0.1]).astype(np.float32)
    logits = skill * (2 * truth - 1) + generator.normal(size=truth.shape)
    return against_chance(task("multi-label-classification", metric, 4), logits, truth)


def tags(skill: float, metric: str) -> AgainstChance:
    generator = np.random.default_rng(0)
    truth = [generator.choice(3, 8, p=[0.6, 0.25, 0.15]) for _ in range(120)]
    logits = generator.normal(size=(120, 8, 3))
    for row, own in enumerate(truth):
        logits[row, np.arange(8), own] += skill
    places = [np.arange(8) for _ in truth]
    of_words = Tagged(truth, places, ("O", "B-a", "I-a"))
    return against_chance(task("token-classification", metric), logits, of_words)


def ranking(skill: float, metric: str) -> AgainstChance:
    generator = np.random.default_rng(0)
    queries, relevances = np.repeat(np.arange(80), 6), np.tile([1.0, 0, 0, 0, 0, 0], 80)
    scores = skill * relevances + generator.normal(size=480)
    return against_chance(task("reranking", metric), scores[:, None], Ranking(queries, relevances))


def embeddings(skill: float, metric: str) -> AgainstChance:
    generator = np.random.default_rng(0)
    like = generator.random(150)
    firsts = generator.normal(size=(150, 16))
    mix = np.where(skill, like, generator.random(150))[:, None]
    seconds = mix * firsts + (1 - mix) * generator.normal(size=(150, 16))
    vectors = np.concatenate([firsts, seconds])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = Pairs(300, np.arange(150), np.arange(150, 300), like)
    return against_chance(task("sentence-embeddings", metric), vectors, pairs)


@pytest.mark.parametrize(
    ("make", "metric"),
    [
        (regression, "pearson"),
        (regression, "spearman"),
        (several, "micro_f1"),
        (several, "macro_f1"),
        (tags, "seqeval_f1"),
        (tags, "tag_accuracy"),
        (ranking, "ndcg_at_10"),
        (ranking, "mrr_at_10"),
        (embeddings, "spearman"),
    ],
)
def test_every_kind_of_task_knows_its_chance(make: Any, metric: str) -> None:
    assert make(2.0, metric).significant
    nothing = make(0.0, metric)
    assert not nothing.significant
    assert np.isfinite([nothing.value, nothing.chance, nothing.low, nothing.high]).all()


def test_hidden_tokens_and_answers_in_a_text() -> None:
    from glp_export.tasks.chance import _constants, _shuffled

    generator = np.random.default_rng(0)
    golds = [np.asarray([5, 5, int(generator.integers(6, 9))]) for _ in range(50)]
    found = [np.tile([5, 6], (3, 1)) for _ in golds]
    filling = task("masked-language-model", "accuracy")
    metric = KINDS[filling.kind].metric("accuracy")
    (constant,) = _constants(filling, found, golds)
    assert metric.compute(constant, golds) == metric.compute(found, golds)
    shuffled = _shuffled(filling, found, generator)
    assert [len(own) for own in shuffled] == [3] * 50
    asked = task("question-answering", "squad_f1")
    answers = [f"word {number}" for number in range(30)]
    assert sorted(_shuffled(asked, answers, generator)) == sorted(answers)
    assert _constants(asked, answers, [[one] for one in answers]) == [[""] * 30]
