"""The greedy rule, replayed on the scores that the paper's authors published.

Source: https://github.com/deepopinion/greedy-layer-pruning, folder layer_files, at commit
94f27e72ee7006f9083b94b377d1c0ac61240138 (WNLI: see models/plans/README.md). No published log
contradicts the rule: all 18 replay to their layer file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from glp_export.compress.compressors.layers.published import published_plan, published_plans
from glp_export.compress.compressors.layers.search import read_plan
from glp_export.compress.compressors.layers.strategies import Problem
from glp_export.compress.compressors.layers.strategies.greedy import GREEDY
from glp_export.compress.plan import Candidate, Plan
from glp_export.compress.search.comparison import TrialBatch
from glp_export.compress.search.trial import Removed, Trial
from glp_export.core.errors import DataError

PLANS = Path(__file__).parents[3] / "models" / "plans"

# What stands in `{model}_{task}_greedy.txt`.
ORDERS = {
    "bert-base-uncased/cola": (11, 10, 9, 4, 0, 5),
    "bert-base-uncased/mnli": (8, 1, 11, 6, 0, 5),
    "bert-base-uncased/mrpc": (8, 5, 6, 10, 7, 1),
    "bert-base-uncased/qnli": (10, 8, 1, 4, 5, 6),
    "bert-base-uncased/qqp": (2, 4, 11, 8, 0, 6),
    "bert-base-uncased/rte": (0, 7, 5, 11, 2, 8),
    "bert-base-uncased/sst2": (11, 10, 8, 0, 6, 9),
    "bert-base-uncased/stsb": (1, 9, 11, 10, 7, 8),
    "bert-base-uncased/wnli": (9, 6, 3, 5, 0, 1),
    "roberta-base/cola": (11, 9, 10, 5, 7, 8),
    "roberta-base/mnli": (11, 10, 9, 8, 1, 7),
    "roberta-base/mrpc": (6, 10, 8, 9, 7, 1),
    "roberta-base/qnli": (11, 8, 10, 7, 1, 9),
    "roberta-base/qqp": (8, 11, 10, 9, 6, 1),
    "roberta-base/rte": (10, 5, 9, 8, 6, 7),
    "roberta-base/sst2": (11, 10, 7, 8, 9, 5),
    "roberta-base/stsb": (10, 11, 6, 8, 9, 7),
    "roberta-base/wnli": (10, 9, 0, 3, 11, 8),
}

# First steps as they stand in `{model}_{task}_greedy_log.txt`, layers 0 to 11, and the layer that
# went: so that a plan with other numbers is noticed.
FIRST_STEPS = {
    "bert-base-uncased/rte": (
        (0.695, 0.663, 0.652, 0.666, 0.655, 0.682, 0.671, 0.684, 0.682, 0.655, 0.634, 0.644),
        0,
    ),
    "bert-base-uncased/stsb": (
        (0.852, 0.863, 0.84, 0.852, 0.859, 0.847, 0.857, 0.853, 0.86, 0.857, 0.861, 0.856),
        1,
    ),
    "roberta-base/cola": (
        (0.0, 0.594, 0.582, 0.563, 0.593, 0.629, 0.589, 0.609, 0.61, 0.608, 0.636, 0.64),
        11,
    ),
    # Four layers tie at 0.955, 1 3 10 11: the highest goes.
    "bert-base-uncased/sst2": (
        (0.953, 0.955, 0.954, 0.955, 0.954, 0.953, 0.953, 0.954, 0.954, 0.954, 0.955, 0.955),
        11,
    ),
    # 1 and 10 tie at 0.897.
    "bert-base-uncased/qnli": (
        (0.895, 0.897, 0.893, 0.895, 0.894, 0.893, 0.895, 0.896, 0.896, 0.893, 0.897, 0.895),
        10,
    ),
    # 8 and 10 tie at 0.746; layer 0 is what RoBERTa cannot do without.
    "roberta-base/rte": (
        (0.463, 0.684, 0.668, 0.735, 0.714, 0.703, 0.687, 0.722, 0.746, 0.727, 0.746, 0.703),
        10,
    ),
}


class PublishedScores:
    """An evaluator that takes scores from a log; a candidate that the log lacks is an error."""

    whole = 1

    def __init__(self, scores: Mapping[Removed, float]) -> None:
        self.scores = scores
        self.asked: list[Removed] = []

    def outcomes(self, trials: Sequence[Trial], batch: TrialBatch) -> list[Candidate]:
        self.asked.extend(trial.removed for trial in trials)
        return [Candidate(removed=t.removed, score=self.scores[t.removed]) for t in trials]


def scores_of(plan: Plan) -> dict[Removed, float]:
    return {
        candidate.removed: candidate.score for step in plan.steps for candidate in step.candidates
    }


@pytest.mark.parametrize("name", ORDERS)
def test_the_published_scores_lead_to_the_published_picks(name: str) -> None:
    plan = published_plan(f"paper:{name}")
    published = PublishedScores(scores_of(plan))
    choices = GREEDY.choose(Problem(tuple(range(12)), cuts=6), published)
    assert tuple(layer for choice in choices for layer in choice.removed) == ORDERS[name]
    assert len(published.asked) == 12 + 11 + 10 + 9 + 8 + 7
    assert set(published.asked) == set(published.scores)


@pytest.mark.parametrize("name", FIRST_STEPS)
def test_first_steps_are_those_of_the_logs(name: str) -> None:
    scores, pick = FIRST_STEPS[name]
    first = published_plan(f"paper:{name}").steps[0]
    assert tuple(candidate.score for candidate in first.candidates) == scores
    assert [candidate.removed for candidate in first.candidates] == [(n,) for n in range(12)]
    published = PublishedScores({(layer,): score for layer, score in enumerate(scores)})
    (choice,) = GREEDY.choose(Problem(tuple(range(12)), cuts=1), published)
    assert choice.removed == first.removed == (pick,)


def test_on_a_tie_the_highest_layer_goes() -> None:
    """Second step of bert-base-uncased on SST-2: seven of eleven candidates at 0.954."""
    plan = published_plan("paper:bert-base-uncased/sst2")
    step = plan.steps[1]
    tied = [max(set(c.removed) - {11}) for c in step.candidates if c.score == step.score]
    assert tied == [1, 2, 3, 4, 8, 9, 10]
    assert step.removed == (10,)


def test_a_difference_below_the_third_digit_is_a_tie() -> None:
    scores = {(0,): 0.9014, (1,): 0.9006, (2,): 0.8}
    (choice,) = GREEDY.choose(Problem((0, 1, 2), cuts=1), PublishedScores(scores))
    assert choice.removed == (1,)


def test_every_shipped_plan_loads() -> None:
    plans = published_plans()
    assert sorted(plans) == [f"paper:{name}" for name in sorted(ORDERS)]
    for name, file in plans.items():
        plan = Plan.load(file)
        model, task = name.removeprefix("paper:").split("/")
        assert plan.order == ORDERS[f"{model}/{task}"]
        assert plan.base_model.endswith(f"/{model}")
        assert (plan.task, plan.num_layers, plan.depth) == (task, 12, 6)
        assert plan.source is not None
        assert "2105.14839" in plan.source


def test_a_step_scores_what_its_layers_scored() -> None:
    for file in published_plans().values():
        for step in Plan.load(file).steps:
            (chosen,) = (c for c in step.candidates if set(step.removed) <= set(c.removed))
            assert step.score == chosen.score == max(c.score for c in step.candidates)


@pytest.mark.parametrize(
    ("task", "samples"),
    # 15 % of RTE's 2490 training examples; the whole validation set of WNLI.
    [("rte", 374), ("wnli", 71)],
)
def test_sample_sizes_explain_the_rounded_accuracies(task: str, samples: int) -> None:
    for model in ("bert-base-uncased", "roberta-base"):
        for step in published_plan(f"paper:{model}/{task}").steps:
            assert step.sample_size == samples
            for candidate in step.candidates:
                hits = round(candidate.score * samples)
                assert round(hits / samples, 3) == candidate.score


def test_a_published_plan_is_read_by_its_name() -> None:
    facts = {"base_model": "my/bert", "task": "mine", "metric": "accuracy"}
    plan = read_plan("paper:bert-base-uncased/rte", 12, facts)
    assert plan.order == (0, 7, 5, 11, 2, 8)
    assert plan.base_model == "my/bert"
    assert plan.cut(2).kept == (1, 2, 3, 4, 5, 6, 8, 9, 10, 11)


def test_an_unknown_published_plan_names_the_closest() -> None:
    with pytest.raises(DataError, match="paper:bert-base-uncased/rte"):
        published_plan("paper:bert-base-uncased/rtee")


def test_the_readme_lists_the_plans_as_they_are() -> None:
    table = re.findall(
        r"^\| (\S+) \| (\w+) \| ([\d ]+) \|", (PLANS / "README.md").read_text(), re.M
    )
    listed = {f"{model}/{task}": tuple(map(int, order.split())) for model, task, order in table}
    assert listed == ORDERS
