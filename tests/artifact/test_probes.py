from __future__ import annotations

from typing import Any

import pytest

from glp_export.artifact.probes import cut, probe_cases, sample_cases, stretch

ROW = {"input_ids": [2, 7, 8, 9, 3], "attention_mask": [1, 1, 1, 1, 1]}


@pytest.mark.parametrize("length", [5, 6, 11, 64])
def test_stretched_row_is_full_of_real_tokens(length: int) -> None:
    row = stretch(ROW, length)
    assert [len(values) for values in row.values()] == [length, length]
    assert (row["input_ids"][0], row["input_ids"][-1]) == (2, 3)
    assert set(row["input_ids"][1:-1]) == {7, 8, 9}
    assert set(row["attention_mask"]) == {1}


@pytest.mark.parametrize("tokens", [[2], [2, 3]])
def test_rows_without_an_inside_are_stretched_too(tokens: list[int]) -> None:
    assert len(stretch({"input_ids": tokens}, 9)["input_ids"]) == 9


def test_cut_row_keeps_its_end() -> None:
    assert cut(ROW, 3)["input_ids"] == [2, 7, 3]
    assert cut(ROW, 9) == ROW


def test_every_batch_of_the_sample_has_short_and_long_rows(encoded: Any, tokenizer: Any) -> None:
    cases = sample_cases(encoded, tokenizer, samples=40, batch_size=8)
    assert sorted(row for case in cases for row in case.rows) == list(range(40))
    middle = sorted(encoded["length"])[20]
    for case in cases:
        lengths = case.batch["attention_mask"].sum(axis=1)
        assert lengths.min() <= middle <= lengths.max()
        assert case.batch["attention_mask"].min() == 0  # there is padding in each


def test_sample_reaches_from_the_first_row_to_the_last(encoded: Any, tokenizer: Any) -> None:
    cases = sample_cases(encoded, tokenizer, samples=4, batch_size=8)
    assert sorted(cases[0].rows) == [0, 13, 26, 39]


@pytest.mark.parametrize("max_length", [16, 17, 64])
def test_probes_stay_within_the_maximum(encoded: Any, tokenizer: Any, max_length: int) -> None:
    short = encoded.filter(lambda row: row["length"] <= max_length)
    cases = {case.name: case for case in probe_cases(short, tokenizer, max_length=max_length)}
    assert max(case.shape[1] for case in cases.values()) == max_length
    assert cases["odd"].shape[1] % 2 == 1
    full, padded = cases["maximum"].batch["attention_mask"].sum(axis=1)
    assert full == max_length
    assert padded < max_length
