"""A size that a plan cannot keep is known before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest

from glp_export.config.files import resolve
from glp_export.core.errors import LatencyError
from glp_export.core.progress import Progress
from glp_export.workflows.context import make_context
from glp_export.workflows.stages.search import choose_plans


def test_a_named_plan_that_is_too_large_is_refused_before_any_training(
    encoder: Path, data: Path, tmp_path: Path
) -> None:
    plan = tmp_path / "plan.txt"
    plan.write_text("2\n0\n")
    given = {"model": str(encoder), "dataset": str(data), "plan": str(plan), "threads": 1}
    given |= {"batch_size": 16, "offline": True, "precision": ["fp32"], "cache": "none"}
    (found,) = choose_plans(
        make_context(resolve({**given, "size_budget": "5MB"})), tmp_path, Progress()
    )
    assert found.plan.order == (2, 0)
    with pytest.raises(LatencyError, match="MB") as caught:
        choose_plans(make_context(resolve({**given, "size_budget": "20kB"})), tmp_path, Progress())
    assert "--size-budget" in str(caught.value.where)
