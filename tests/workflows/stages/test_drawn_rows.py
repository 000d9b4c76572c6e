"""Of a file that is sorted by its labels a part of the rows has both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glp_export.config.files import resolve
from glp_export.core.progress import Progress
from glp_export.workflows import estimate
from glp_export.workflows.context import RunContext, make_context
from glp_export.workflows.stages import run_evaluator
from glp_export.workflows.stages.run_evaluator import RunEvaluator
from tests.tiny import rows, write_jsonl


@pytest.fixture
def context(encoder: Path, tmp_path: Path) -> RunContext:
    by_label = sorted(rows(300), key=lambda row: row["label"])
    write_jsonl(tmp_path / "data" / "train.jsonl", by_label)
    write_jsonl(tmp_path / "data" / "validation.jsonl", rows(20, seed=1))
    given = {"model": str(encoder), "dataset": str(tmp_path / "data"), "depth": 2, "threads": 1}
    given |= {"offline": True, "precision": ["fp32"], "cache": "none", "max_search_samples": 60}
    return make_context(resolve(given))


def of_one_label(labels: Any) -> int:
    return sum(1 for label in labels if label == 0)


def test_candidates_are_trained_on_all_labels(context: RunContext) -> None:
    assert len(context.fit) == 60
    assert 10 < of_one_label(context.fit["labels"][:]) < 50


def test_choices_are_made_on_all_labels(
    context: RunContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_evaluator, "DEV_SAMPLES", 16)
    evaluator = RunEvaluator(context, tmp_path, Progress())
    for batches, count in ((evaluator.dev, 16), (evaluator.calibrator(20).batches, 20)):
        labels = [int(label) for batch in batches for label in batch["labels"]]
        assert len(labels) == count
        assert 2 < of_one_label(labels) < count - 2


def test_a_dry_run_is_not_timed_on_the_first_rows(
    context: RunContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(estimate, "_train", lambda _, model, examples: seen.append(examples))
    estimate.estimate_run(context)
    assert all(0 < of_one_label(one["labels"][:]) < len(one) for one in seen[1:])
