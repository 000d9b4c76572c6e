"""A teacher is asked once: what it said is known by its weights and the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from glp_export.config.files import resolve
from glp_export.encoder import predict
from glp_export.workflows import answers as module
from glp_export.workflows.context import RunContext, make_context
from tests.encoder.starts import fresh


@pytest.fixture(scope="module")
def context(encoder: Path, data: Path) -> RunContext:
    given = {"model": str(encoder), "dataset": str(data), "threads": 1, "offline": True}
    return make_context(resolve(given))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    rows: list[int] = []

    def noted(model: Any, examples: Any, *given: Any, **more: Any) -> Any:
        rows.append(len(examples))
        return predict(model, examples, *given, **more)

    monkeypatch.setattr(module, "predict", noted)
    return rows


def test_the_same_weights_are_asked_once_for_the_same_rows(
    context: RunContext, asked: list[int], tmp_path: Path
) -> None:
    model = fresh(Path(context.source.name), context.data.task)
    found = context.answers_of(model, context.select)
    assert np.array_equal(found, predict(model, context.select, context.tokenizer))
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    assert context.answers_of(again, context.select) is found
    assert asked == [len(context.select)]
    context.answers_of(model, context.fit)
    assert asked == [len(context.select), len(context.fit)]


def test_other_weights_are_asked_anew(context: RunContext, asked: list[int]) -> None:
    model = fresh(Path(context.source.name), context.data.task)
    before = context.answers_of(model, context.select).copy()
    asked.clear()
    with torch.no_grad():
        model.classifier.bias[0] += 1  # one number of all
    after = context.answers_of(model, context.select)
    assert len(asked) == 1
    assert np.allclose(after[:, 0], before[:, 0] + 1, atol=1e-6)
