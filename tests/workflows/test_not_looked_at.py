"""Options of a compressor that takes no part are told of, not silently left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glp_export.compress.edits import RemoveLayers
from glp_export.compress.plan import Plan
from glp_export.config.files import resolve
from glp_export.workflows.compressors import not_looked_at
from glp_export.workflows.context import make_context
from glp_export.workflows.stages.run_evaluator import facts_of


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"depth": 2}, ()),
        ({"depth": 2, "search": "greedy"}, ()),
        ({"depth": 2, "vocabulary_size": 20}, ("--vocabulary-size", "--compress is layers")),
        ({"depth": 2, "sparse_keep": 0.3, "neuron_step": 8}, ("--neuron-step, --sparse-keep",)),
        ({"target_speedup": "1.5", "neuron_step": 8}, ()),
        ({"plan": "plan.json"}, ()),
        ({"plan": "plan.json", "search": "top"}, ("--search", "the plan says")),
        (
            {"plan": "plan.json", "compress": "structure", "search": "top"},
            ("--compress, --search",),
        ),
    ],
)
def test_what_is_said(
    given: dict[str, Any],
    said: tuple[str, ...],
    encoder: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    common = {"model": str(encoder), "dataset": str(data), "offline": True, "precision": ["fp32"]}
    if "plan" in given:
        facts = facts_of(make_context(resolve({**common, "depth": 2})))
        Plan(**facts, edits=(RemoveLayers(layers=(1,)),), strategy="greedy").save(Path("plan.json"))
    found = not_looked_at(make_context(resolve({**common, **given})))
    assert len(found) == bool(said)
    assert all(part in found[0] for part in said)
