from __future__ import annotations

import numpy as np
import pytest

from glp_export.tasks.splits import Units, allocate, drawn, hold_back, sample

UNEVEN = np.repeat([0, 1, 2, 3], [600, 300, 99, 1])


def test_splits_are_disjoint_whole_and_keep_the_proportions() -> None:
    fit, select = hold_back(UNEVEN, 0.15, seed=41)
    assert sorted([*fit, *select]) == list(range(1000))
    assert np.bincount(UNEVEN[select], minlength=4).tolist() == [90, 45, 15, 0]


def test_a_class_with_one_row_stays_where_it_can_be_learned() -> None:
    fit, select = hold_back(UNEVEN, 0.9, seed=0)
    assert 3 in UNEVEN[fit]
    assert 3 not in UNEVEN[select]


def test_the_same_seed_splits_alike_and_another_does_not() -> None:
    first, again, other = (hold_back(UNEVEN, 0.15, seed)[1] for seed in (41, 41, 42))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_nothing_is_held_back_where_no_class_can_spare_a_row() -> None:
    fit, select = hold_back(np.arange(5), 0.15, seed=0)
    assert len(fit) == 5
    assert len(select) == 0


@pytest.mark.parametrize("count", [4, 10, 333, 999])
def test_a_sample_has_the_size_asked_for_and_every_class(count: int) -> None:
    rows = sample(UNEVEN, count, seed=0)
    assert len(rows) == len(set(rows)) == count
    assert set(UNEVEN[rows]) == {0, 1, 2, 3}
    assert rows.tolist() == sorted(rows)


def test_a_sample_smaller_than_the_classes_still_has_its_size() -> None:
    assert len(sample(UNEVEN, 2, seed=0)) == 2


@pytest.mark.parametrize("count", [None, 1000, 5000])
def test_no_more_rows_than_there_are(count: int | None) -> None:
    assert sample(UNEVEN, count, seed=0).tolist() == list(range(1000))


def test_an_allocation_keeps_its_bounds_and_its_sum() -> None:
    generator = np.random.default_rng(0)
    for _ in range(200):
        sizes = generator.integers(1, 50, size=generator.integers(1, 12))
        least = np.minimum(sizes, generator.integers(0, 2, size=len(sizes)))
        count = int(generator.integers(least.sum(), sizes.sum() + 1))
        taken = allocate(sizes, count, least, sizes)
        assert taken.sum() == count
        assert (least <= taken).all()
        assert (taken <= sizes).all()


def test_groups_are_drawn_and_held_back_whole() -> None:
    members = np.random.default_rng(0).permutation(np.repeat(np.arange(50), 4))
    units = Units(np.zeros(50, dtype=np.int64), members)
    fit, select = units.hold_back(0.2, seed=0)
    assert sorted([*fit, *select]) == list(range(200))
    assert not set(members[fit]) & set(members[select])
    assert len(select) == 40
    assert len(units.sample(60, seed=0)) == 60
    assert set(np.bincount(members[units.sample(60, seed=0)]).tolist()) == {0, 4}


def test_a_negative_stratum_is_only_fitted_on() -> None:
    strata = np.repeat([-1, 0], [90, 10])
    _, select = hold_back(strata, 0.15, seed=0)
    assert len(select) == 9
    assert set(strata[select].tolist()) == {0}


def test_some_rows_are_not_the_first_ones() -> None:
    from datasets import Dataset

    rows = Dataset.from_dict({"place": range(1000)})
    places = drawn(rows, 100)["place"][:]
    assert len(places) == 100
    assert places == sorted(places)
    assert 350 < np.mean(places) < 650
    assert places == drawn(rows, 100)["place"][:]
    assert drawn(rows, None) is drawn(rows, 1000) is rows
