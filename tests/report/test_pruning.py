"""What the heat map and the tables of steps are made from."""

from __future__ import annotations

import pytest

from glp_export.compress.plan import Candidate, Step
from glp_export.report.pruning import candidates_table, compared, stack, steps_table
from tests.report.helpers import make_plan


def test_the_stack_knows_the_step_of_every_layer() -> None:
    assert stack(make_plan()) == [None, 3, None, 2, None, 1]
    assert stack(make_plan(steps=())) == [None, 3, None, 2, None, 1]


def test_by_score_a_candidate_is_behind_by_the_difference() -> None:
    first, second, _ = compared(make_plan())
    assert first.tried[5].behind == 0
    assert first.tried[0].behind == pytest.approx(0.16)
    assert second.earlier == {5}
    assert set(second.tried) == {0, 1, 2, 3, 4}


def test_by_loss_it_is_behind_by_a_share_and_like_is_compared_with_like() -> None:
    def tried(layers: tuple[int, ...], loss: float, examples: int) -> Candidate:
        return Candidate(removed=layers, score=0.9, loss=loss, examples=examples)

    step = Step(
        removed=(1,),
        score=0.9,
        sample_size=600,
        candidates=(
            tried((1,), 0.01, 512),  # a longer training that the others did not get
            tried((0, 2, 4), 0.02, 512),  # a whole order
            tried((1,), 0.2, 128),
            tried((2,), 0.3, 128),
            tried((3,), 0.25, 128),
        ),
    )
    plan = make_plan(order=(1,), steps=(step,))
    (found,) = compared(plan)
    assert set(found.tried) == {1, 2, 3}
    assert found.tried[2].behind == pytest.approx(0.5)
    table = candidates_table(plan)
    assert len(table.rows) == 5
    assert table.rows[1][1] == "0, 2, 4"


def test_orders_that_differ_in_one_layer_are_no_comparison_of_layers() -> None:
    orders = tuple(
        Candidate(removed=gone, score=0.8, loss=loss, examples=512)
        for gone, loss in (((1, 3, 5), 0.4), ((1, 4, 5), 0.5), ((3, 4, 5), 0.6))
    )
    rule = [Step(removed=(one,), score=None, sample_size=9, candidates=()) for one in (5, 3)]
    last = Step(removed=(1,), score=0.8, sample_size=9, candidates=orders, probability=0.5)
    plan = make_plan(steps=(*rule, last))
    assert not any(step.tried for step in compared(plan))
    table = steps_table(plan)
    assert table.rows[2][3] == "0.800 (layers 1+4+5)"


def test_a_rule_has_steps_and_no_candidates() -> None:
    steps = tuple(
        Step(removed=(layer,), score=None, sample_size=0, candidates=()) for layer in (5, 3, 1)
    )
    plan = make_plan(steps=steps)
    assert not candidates_table(plan)
    table = steps_table(plan)
    assert [row[1] for row in table.rows] == ["5", "3", "1"]
    assert {row[2] for row in table.rows} == {"–"}
