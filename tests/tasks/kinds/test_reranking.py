from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from glp_export.core.errors import DataError
from glp_export.tasks import (
    KINDS,
    DataSpec,
    TaskData,
    count_examples,
    encode,
    load_task_data,
    score,
    score_interval,
    truth_of,
)
from glp_export.tasks.kinds.ranking_metrics import RANKING_METRICS, ndcg, reciprocal_rank
from glp_export.tasks.kinds.reranking import Ranking
from tests.tasks.helpers import two_files
from tests.tiny import make_data_of, make_tokenizer, ranking_rows

KIND = KINDS["reranking"]
NDCG, MRR = RANKING_METRICS


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data_of(tmp_path_factory.mktemp("queries"), ranking_rows, 120, 40)


def load(directory: Path, **settings: Any) -> TaskData:
    return load_task_data(DataSpec(dataset=str(directory), kind="reranking", **settings))


def test_it_has_to_be_asked_for(directory: Path) -> None:
    assert load_task_data(DataSpec(dataset=str(directory))).task.kind == "text-classification"
    task = load(directory).task
    assert (task.kind, task.metric, task.labels) == ("reranking", "ndcg_at_10", ())


@pytest.mark.parametrize("limits", [{}, {"max_train_samples": 60, "max_dev_samples": 8}])
def test_a_query_is_never_split(directory: Path, limits: Any) -> None:
    data = load(directory, **limits)
    queries = [set(part["text"]) for part in (data.fit, data.select)]
    assert not queries[0] & queries[1]
    for part in (data.fit, data.select, data.test):
        counts = np.unique(part["text"], return_counts=True)[1]
        assert set(counts.tolist()) == {4}
    if limits:
        assert len(data.fit) + len(data.select) <= 60
        assert len(data.select) == 8


def test_only_queries_that_can_be_ranked_are_held_back(tmp_path: Path) -> None:
    alike = [{"q": f"alike {n // 2}", "p": f"passage {n}", "label": 0} for n in range(60)]
    data = load(two_files(tmp_path, [*alike, *_rows(8)], _rows(4)), dev_fraction=0.3)
    assert all(query.startswith("query") for query in data.select["text"])


def _rows(queries: int) -> list[dict[str, Any]]:
    return [
        {"q": f"query {query}", "p": f"passage {place} of {query}", "label": int(place == 0)}
        for query in range(queries)
        for place in range(2)
    ]


def test_a_score_is_the_mean_over_queries_that_can_be_ranked(directory: Path) -> None:
    from sklearn.metrics import ndcg_score

    data = load(directory)
    encoded = encode(data.test, data.task, make_tokenizer(), 32)
    truth = truth_of(data.task, encoded)
    answers = np.random.default_rng(0).standard_normal((len(encoded), 1)).astype(np.float32)
    relevances = np.array(data.test["label"][:]).reshape(-1, 4)
    expected = ndcg_score(relevances, answers.reshape(-1, 4), k=10)
    assert score(data.task, answers, truth) == pytest.approx(expected)
    assert count_examples(data.task, truth) == len(encoded) // 4
    low, high = score_interval(data.task, answers, truth)
    assert low <= expected <= high


def test_queries_whose_passages_are_alike_do_not_count() -> None:
    truth = Ranking(np.array([0, 1, 1, 2, 2]), np.array([1.0, 1.0, 0.0, 0.0, 0.0]))
    assert [rows.tolist() for rows in truth.lists] == [[1, 2]]
    assert len(truth) == 5


def test_reciprocal_rank_is_scikit_learns_where_one_passage_is_relevant() -> None:
    from sklearn.metrics import label_ranking_average_precision_score

    generator = np.random.default_rng(0)
    for _ in range(50):
        scores = generator.integers(0, 4, 6).astype(float)  # with ties
        relevances = np.eye(6)[generator.integers(6)]
        expected = label_ranking_average_precision_score([relevances], [scores])
        assert reciprocal_rank(scores, relevances) == pytest.approx(expected)


def test_places_past_the_tenth_do_not_count() -> None:
    relevances = np.zeros(12)
    relevances[11] = 1.0
    assert reciprocal_rank(-np.arange(12.0), relevances) == 0.0
    assert ndcg(-np.arange(12.0), relevances) == 0.0
    assert reciprocal_rank(np.arange(12.0), relevances) == 1.0


def test_a_model_that_scores_all_alike_is_not_right() -> None:
    assert reciprocal_rank(np.zeros(4), np.array([0.0, 1.0, 0.0, 0.0])) == 0.25


@pytest.mark.parametrize("metric", [NDCG, MRR])
def test_a_resample_is_the_metric_of_what_was_drawn(metric: Any) -> None:
    generator = np.random.default_rng(0)
    scores = [generator.standard_normal(4) for _ in range(5)]
    relevances = [generator.permutation([0.0, 0.0, 0.5, 1.0]) for _ in range(5)]
    counts = np.array([[1, 1, 1, 1, 1], [0, 3, 1, 0, 1]], dtype=np.float64)
    drawn = np.repeat(np.arange(5), counts[1].astype(int))
    expected = [
        metric.compute(scores, relevances),
        metric.compute([scores[i] for i in drawn], [relevances[i] for i in drawn]),
    ]
    assert metric.resampled(scores, relevances, counts) == pytest.approx(np.array(expected))


def test_grades_are_chances_of_being_relevant(tmp_path: Path) -> None:
    rows = [{**row, "label": 3 * row["label"] + place % 2} for place, row in enumerate(_rows(20))]
    data = load(two_files(tmp_path, rows, rows))
    assert sorted(set(data.test["label"][:])) == pytest.approx([1 / 3, 1.0])


@pytest.mark.parametrize("said", [bool, str, lambda relevant: str(bool(relevant))])
def test_whether_a_passage_is_relevant_may_be_said_as_true_and_false(
    tmp_path: Path, said: Any
) -> None:
    rows = [{**row, "label": said(row["label"])} for row in _rows(20)]
    data = load(two_files(tmp_path, rows, rows))
    assert data.test["label"][:] == [float(row["label"]) for row in _rows(20)]


def test_the_loss_is_binary_cross_entropy() -> None:
    import torch
    from sklearn.metrics import log_loss

    logits, labels = torch.tensor([[0.5], [-2.0], [1.5]]), torch.tensor([1.0, 0.0, 0.0])
    found = KIND.loss(SimpleNamespace(logits=logits), {"labels": labels})
    expected = log_loss(labels.numpy(), torch.sigmoid(logits).numpy()[:, 0].astype(np.float64))
    assert float(found) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"q": None}, "several passages"),
        ({"label": None}, "nothing to learn"),
        ({"label": -1}, "0 or more"),
    ],
)
def test_rows_that_cannot_be_ranked_are_refused(
    tmp_path: Path, change: dict[str, Any], fault: str
) -> None:
    rows = _rows(20)
    if "q" in change:
        rows = [{**row, "q": f"query {number}"} for number, row in enumerate(rows)]
    elif change["label"] is None:
        rows = [{**row, "label": 1} for row in rows]
    else:
        rows[3]["label"] = change["label"]
    with pytest.raises(DataError, match=fault):
        load(two_files(tmp_path, rows, rows))


def test_a_query_without_a_passage_is_refused(tmp_path: Path) -> None:
    rows = [{"query": row["q"], "label": row["label"]} for row in _rows(20)]
    with pytest.raises(DataError, match="reads two columns of text, not query"):
        load(two_files(tmp_path, rows, rows))
