from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from glp_export.compress.budget import Budget, TimeBudget
from glp_export.compress.compressors.base import Found
from glp_export.compress.compressors.structure.accuracy import (
    SPEEDS,
    fastest_within_drop,
    longest_search,
    speed_wanted,
    speeds_within,
)
from glp_export.core.errors import AccuracyError, LatencyError, UsageError
from glp_export.core.progress import Progress
from glp_export.tasks import Task

ROWS = 200
TRUTH = np.arange(ROWS) % 2
TASK = Task("feeling", "text-classification", ("text",), "label", ("bad", "good"), "accuracy")
RIGHT = np.eye(2, dtype=np.float32)[TRUTH]


def answers(wrong: int) -> Any:
    """Logits of which so many are wrong."""
    logits = RIGHT.copy()
    logits[:wrong] = 1 - logits[:wrong]
    return logits


def speed_of(found: Found) -> float:
    return found.plan.predicted_speedup or 1.0


class Recoveries:
    """Finds and recovers structures by a table of wrong answers by speed."""

    def __init__(self, wrong: Any) -> None:
        self.wrong, self.reach = wrong, 100.0
        self.looked_at: list[float | None] = []
        self.evaluator: Any = SimpleNamespace(
            progress=Progress(),
            task=TASK,
            predictions=answers(0),
            truth=TRUTH,
            recovered=lambda found, report: answers(self.wrong(speed_of(found))),
        )

    def choose(self, time: TimeBudget) -> Any:
        self.looked_at.append(time.speedup)
        if (time.speedup or 1.0) > self.reach:
            raise LatencyError("out of reach")
        plan: Any = SimpleNamespace(label="some heads", predicted_speedup=time.speedup)
        return Found(plan)

    def fastest(self, least: TimeBudget, slowest: float, fastest: float, most: float) -> Any:
        speeds = speeds_within(least, slowest, fastest)
        return fastest_within_drop(speeds, self.choose, most, self.evaluator)


def test_the_fastest_within_the_drop_is_found_in_few_recoveries() -> None:
    tried = Recoveries(lambda speed: round(4 * speed))
    least = speed_wanted(Budget(max_drop=0.045, shape=(1, 64)))
    assert (least.batch_size, least.sequence_length, least.speedup) == (1, 64, SPEEDS[-1])
    found = tried.fastest(least, SPEEDS[-1], 100.0, 0.045)
    assert speed_of(found) == 2.25
    assert found.drop == pytest.approx(0.045)
    assert len(tried.looked_at) <= len(longest_search(Budget(max_drop=0.045, shape=(1, 64))))


def test_the_longest_search_ends_at_the_slowest_speed_that_is_allowed() -> None:
    assert [one.speedup for one in longest_search(Budget(max_drop=0.01))] == [
        *(2.5, 1.5, 1.1, 1.25, 1.75)
    ]
    at_least = Budget(times=(TimeBudget(1, 16, speedup=3.0),), max_drop=0.01)
    assert min(one.speedup or 0.0 for one in longest_search(at_least)) == 3.0


def test_what_is_asked_for_in_time_is_kept_in_any_case() -> None:
    tried = Recoveries(lambda speed: 0)
    least = speed_wanted(Budget(times=(TimeBudget(1, 16, speedup=2.0),), max_drop=0.1))
    assert speed_of(tried.fastest(least, 2.0, 3.2, 0.1)) == 3.0
    assert min(tried.looked_at) >= 2.0


def test_none_accurate_enough_is_exit_4_and_names_the_best() -> None:
    tried = Recoveries(lambda speed: round(20 * speed))
    with pytest.raises(AccuracyError, match=r"no structure loses 0\.01 or less") as caught:
        tried.fastest(TimeBudget(1, 16, speedup=1.1), 1.1, 6.0, 0.01)
    assert caught.value.exit_code == 4
    assert "0.110" in str(caught.value)


def test_a_speed_out_of_reach_is_passed_over_unless_it_was_asked_for() -> None:
    """A table that is corrected may say so of one that was in reach."""
    tried = Recoveries(lambda speed: 0)
    tried.reach = 2.6
    least = TimeBudget(1, 16, speedup=1.1)
    assert speed_of(tried.fastest(least, 1.1, 6.0, 0.01)) == 2.5
    with pytest.raises(LatencyError):
        tried.fastest(TimeBudget(1, 16, speedup=4.0), 4.0, 4.0, 0.01)


def test_several_times_have_no_one_shape() -> None:
    times = (TimeBudget(1, 16, speedup=2.0), TimeBudget(1, 16, speedup=3.0))
    with pytest.raises(UsageError, match="several times"):
        speed_wanted(Budget(times=times, max_drop=0.1))


@pytest.mark.parametrize(("wrong", "told"), [(0, False), (ROWS // 2, True)])
def test_it_is_told_where_dev_shows_no_drop(wrong: int, told: bool) -> None:
    said: list[str] = []
    tried = Recoveries(lambda speed: wrong)
    tried.evaluator.predictions = answers(wrong)
    tried.evaluator.progress = SimpleNamespace(stage=Progress().stage, say=said.append)
    tried.fastest(TimeBudget(1, 16, speedup=1.1), 1.1, 3.0, 0.01)
    assert any("chance" in one for one in said) is told
