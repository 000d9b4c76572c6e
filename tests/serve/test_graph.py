from __future__ import annotations

import numpy as np
import pytest

from glp_export.serve.graph import batches_of


@pytest.mark.parametrize("batch_tokens", [1, 7, 64, 10_000])
def test_every_row_is_in_one_batch_and_no_batch_is_too_large(batch_tokens: int) -> None:
    lengths = np.random.default_rng(0).integers(1, 30, 100).tolist()
    batches = batches_of(lengths, batch_tokens)
    assert sorted(np.concatenate(batches).tolist()) == list(range(100))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= batch_tokens


def test_like_lengths_share_a_batch_the_longest_first() -> None:
    assert [batch.tolist() for batch in batches_of([2, 9, 3, 9, 2], 18)] == [[1, 3], [2, 0, 4]]


def test_rows_that_are_not_to_be_padded_stand_with_those_of_their_length() -> None:
    batches = batches_of([2, 9, 3, 9, 2, 2, 9], 18, padded=False)
    assert [batch.tolist() for batch in batches] == [[1, 3], [6], [2], [0, 4, 5]]
    assert [batch.tolist() for batch in batches_of([4], 2, padded=False)] == [[0]]


def test_rows_without_a_token() -> None:
    assert [batch.tolist() for batch in batches_of([0, 0], 4)] == [[0, 1]]
