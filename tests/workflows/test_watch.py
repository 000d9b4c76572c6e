"""A final training is looked at with dev: who has learned enough there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from glp_export.config.files import resolve
from glp_export.tasks import truth_of
from glp_export.workflows.context import RunContext, make_context

ROWS = 1400  # of which dev has 210


@pytest.fixture(scope="module")
def context(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> RunContext:
    data = tmp_path_factory.mktemp("many")
    for name, count in (("train", ROWS), ("validation", 20)):
        rows = [{"text": f"{'good' if n % 2 else 'bad'} {n}", "label": n % 2} for n in range(count)]
        (data / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    given = {"model": str(encoder), "dataset": str(data), "threads": 1, "offline": True}
    return make_context(resolve(given))


def test_students_are_looked_at_so_where_their_teacher_has_learned(context: RunContext) -> None:
    truth = np.asarray(truth_of(context.data.task, context.select))
    assert len(truth) >= 200
    right = np.eye(2, dtype=np.float32)[truth]
    generator = np.random.default_rng(0)
    by_share = {}
    for share in (1.0, 0.8, 0.2, 0.0):  # of the rows answered, the others guessed
        guessed = np.eye(2, dtype=np.float32)[generator.integers(0, 2, len(truth))]
        answered = np.where(generator.random((len(truth), 1)) < share, right, guessed)
        watch = context.watch(answered)
        assert watch is not None
        by_share[share] = watch.learned is not None
    assert by_share == {1.0: True, 0.8: True, 0.2: False, 0.0: False}


def test_an_untrained_model_has_learned_little(context: RunContext) -> None:
    watch = context.watch()
    assert watch is not None
    assert watch.learned is not None
    assert not watch.learned(watch.answers(context.pretrained()))
