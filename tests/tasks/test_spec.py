from __future__ import annotations

from typing import Any

import pytest

from glp_export.core.errors import UsageError
from glp_export.tasks import DataSpec, load_task_data


@pytest.mark.parametrize(
    ("words", "flag"),
    [
        ({}, "--task demo"),
        ({"dataset": "d", "train_file": "t.csv", "validation_file": "v.csv"}, "--dataset"),
        ({"train_file": "t.csv"}, "--validation-file"),
        ({"validation_file": "v.csv"}, "--train-file"),
        ({"train_file": "t.csv", "validation_file": "t.csv"}, "--validation-file"),
        ({"task": "demo", "dataset": "d"}, "--task demo"),
        ({"dataset": "d", "text_columns": ("a", "b", "c")}, "--text-columns"),
        ({"dataset": "d", "text_columns": ("a", "a")}, "--text-columns"),
        ({"dataset": "d", "text_columns": ("a",), "label_column": "a"}, "--label-column"),
        ({"dataset": "d", "dev_fraction": 1.0}, "--dev-fraction"),
        ({"dataset": "d", "dev_fraction": float("nan")}, "--dev-fraction"),
        ({"dataset": "d", "seed": -1}, "--seed"),
        ({"dataset": "d", "max_train_samples": 0}, "--max-train-samples"),
        ({"dataset": "d", "max_dev_samples": 0}, "--max-dev-samples"),
        ({"dataset": "d", "max_test_samples": -3}, "--max-test-samples"),
    ],
)
def test_flags_that_cannot_be_carried_out_are_refused_by_name(
    words: dict[str, Any], flag: str
) -> None:
    with pytest.raises(UsageError) as caught:
        load_task_data(DataSpec(**words))
    assert caught.value.exit_code == 2
    assert flag in str(caught.value)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ({"task": "ret"}, "did you mean rte"),
        ({"task": "SST2"}, "did you mean sst2"),
        ({"dataset": "d", "metric": "matthews_corelation"}, "did you mean matthews_correlation"),
        ({"dataset": "d", "kind": "regresion"}, "did you mean regression"),
        ({"task": "zebra"}, "cola"),
    ],
)
def test_an_unknown_name_is_answered_with_those_that_exist(
    words: dict[str, Any], hint: str
) -> None:
    with pytest.raises(UsageError, match=hint):
        load_task_data(DataSpec(**words))
