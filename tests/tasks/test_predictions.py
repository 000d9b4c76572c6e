from __future__ import annotations

import numpy as np
import pytest

from glp_export.tasks.kinds import KINDS
from glp_export.tasks.kinds.units import of_tokens
from glp_export.tasks.predictions import attended, gather, joined


def test_rows_come_back_in_their_order_and_tokens_padded_to_the_longest() -> None:
    short, long = np.ones((2, 3, 2)), np.full((1, 5, 2), 2.0)
    gathered = gather([long, short], [np.array([1]), np.array([2, 0])])
    assert gathered.shape == (3, 5, 2)
    assert gathered[:, 0, 0].tolist() == [1, 2, 1]
    assert not gathered[[0, 2], 3:].any()


def test_what_a_graph_says_of_padding_is_no_answer() -> None:
    values = np.arange(12, dtype=np.float32).reshape(2, 3, 2) + 1
    values[1, 2] = np.nan
    batch = {"attention_mask": np.array([[1, 1, 1], [1, 1, 0]])}
    answers = of_tokens(values, batch)
    assert np.isfinite(answers).all()
    assert attended(answers, batch).tolist() == [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10]]


def test_a_tokenizer_that_pads_on_the_left_gives_the_same_answers() -> None:
    values = np.arange(6, dtype=np.float32).reshape(1, 3, 2) + 1
    right = of_tokens(values, {"attention_mask": np.array([[1, 1, 0]])})
    left = of_tokens(np.roll(values, 1, axis=1), {"attention_mask": np.array([[0, 1, 1]])})
    np.testing.assert_array_equal(left, right)


def test_several_outputs_stand_on_a_last_axis() -> None:
    one, other = np.zeros((2, 3)), np.ones((2, 3))
    assert joined([one]).shape == (2, 3)
    assert joined([one, other])[:, :, 1].tolist() == other.tolist()


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_kind_decides_for_the_largest_option_of_rows_that_are_there(kind) -> None:
    if kind.choices is None:
        return
    mask = np.array([[1, 1, 1, 0], [1, 1, 0, 0]])
    of_tokens = kind.width or kind.name.startswith(("token", "masked"))
    shape = (2, 4, 2) if of_tokens else (2, 4)
    answers = np.random.default_rng(0).normal(size=shape)
    choices = kind.choices(answers, mask)
    assert len(choices.options) == len(choices.rows)
    assert set(choices.rows) == {0, 1}
