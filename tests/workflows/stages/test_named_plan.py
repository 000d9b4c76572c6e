"""A plan that `--plan` names: for which weights it was chosen."""

from __future__ import annotations

from pathlib import Path

from glp_export.compress.edits import RemoveLayers
from glp_export.compress.plan import Plan
from glp_export.config.files import resolve
from glp_export.workflows.context import make_context
from glp_export.workflows.stages.run_evaluator import facts_of
from glp_export.workflows.stages.search import choose_plans
from tests.heard import Heard


def test_a_plan_for_other_weights_is_applied_and_said_to_be(
    encoder: Path, data: Path, tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    given = {"model": str(encoder), "dataset": str(data), "plan": str(path), "threads": 1}
    given |= {"offline": True, "precision": ["fp32"], "cache": "none", "epochs": 1}
    context = make_context(resolve({**given, "plan": None}))
    own = Plan(**facts_of(context), edits=(RemoveLayers(layers=(1,)),), strategy="greedy")
    for plan, said in ((own, False), (own.model_copy(update={"checksum": "0" * 64}), True)):
        plan.save(path)
        heard = Heard()
        (found,) = choose_plans(make_context(resolve(given)), tmp_path, heard)
        assert found.plan.order == (1,)
        assert any("other weights" in message for message in heard.said) is said
