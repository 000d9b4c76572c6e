"""Several targets of speed: which models they make, and what stands beside each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from glp_export.artifact import ArtifactLayout
from glp_export.compress.budget import Budget, TimeBudget
from glp_export.compress.compressors.base import Found
from glp_export.compress.compressors.structure.choice import MARGIN, wanted_ms
from glp_export.compress.compressors.structure.compressor import STRUCTURE
from glp_export.compress.compressors.structure.options import StructureOptions
from glp_export.compress.edits import (
    KroneckerFactors,
    PruneHeads,
    RemoveLayers,
    TrimVocabulary,
)
from glp_export.compress.plan import Plan
from glp_export.config.files import read_file, resolve
from glp_export.config.targets import Targets
from glp_export.core.errors import UsageError
from glp_export.core.factors import PRESETS
from glp_export.core.progress import Progress
from glp_export.workflows.compressors import budget_of, search_cost_of
from glp_export.workflows.context import RunContext, make_context
from glp_export.workflows.stages.run_evaluator import facts_of
from glp_export.workflows.stages.search import targets_by_plan
from glp_export.workflows.stages.training import train_contenders
from glp_export.workflows.stages.writing import (
    config_of_variant,
    directory_of,
    variants_of_sweep,
)


def context_of(encoder: Path, data: Path, **settings: Any) -> RunContext:
    given = {"model": str(encoder), "dataset": str(data), "threads": 1, "offline": True}
    given |= {"epochs": 1, "learning_rate": 1e-3, "batch_size": 16, "max_train_samples": 48}
    return make_context(resolve({**given, **settings}))


def test_models_that_look_alike_are_not_taken_for_one_another(
    encoder: Path, data: Path, tmp_path: Path
) -> None:
    """Two of three layers, other ones; and heads, beside which the same student stands."""
    context = context_of(encoder, data, target_speedup="1.2,1.3,1.4@1x16", cache="none")
    facts = {**facts_of(context), "strategy": "magnitude", "compressors": ("structure",)}
    heads = PruneHeads(heads=((0,), (0, 1), (1,), (2, 3)))
    plans = [
        Plan(**facts, edits=(edit,), predicted_speedup=1.3)
        for edit in (RemoveLayers(layers=(2,)), RemoveLayers(layers=(1,)), heads)
    ]
    ids = [plan.id for plan in plans]
    for _ in range(2):  # a run that is resumed finds the same
        made = train_contenders(context, [Found(one) for one in plans], tmp_path, Progress())
        pruned = [one for one in made if one.contender == "pruned"]
        rivals = [one for one in made if one.contender == "distilled"]
        assert [one.named["plan_id"] for one in pruned] == ids
        assert [one.named["rival_of"] for one in rivals] == ids
        weights = {(one.checkpoint / "model.safetensors").read_bytes() for one in pruned}
        assert len(weights) == 3
        assert len({one.checkpoint for one in made}) == 7
    asked = targets_by_plan(context.config.targets, ids)
    variants = variants_of_sweep(plans, ArtifactLayout(tmp_path), asked)
    assert len({one.layout.root for one in variants}) == 3
    speeds = [one.targets.speedups for one in variants]
    assert [one.value for (one,) in speeds] == [1.2, 1.3, 1.4]
    for variant, speed in zip(variants, ("1.2@1x16", "1.3@1x16", "1.4@1x16"), strict=True):
        kept = read_file(config_of_variant(variant, context.config).save(tmp_path / "run.yaml"))
        assert resolve(kept).compress.target_speedup == speed


def test_two_speeds_that_lead_to_one_model_ask_the_higher_one_of_it() -> None:
    targets = Targets.parse("2,2.1,3@1x16", None, None)
    found = targets_by_plan(targets, ["a", "a", "b"])
    assert {name: one.speedup.value for name, one in found.items() if one.speedup} == {
        "a": 2.1,
        "b": 3.0,
    }


def test_a_speedup_and_milliseconds_are_asked_of_one_model(encoder: Path, data: Path) -> None:
    context = context_of(encoder, data, target_speedup="2,3@1x16", latency_budget="10ms@1x16")
    budget = budget_of(context)
    assert [(one.speedup, one.milliseconds) for one in budget.times] == [(2, 10), (3, 10)]
    both = TimeBudget(1, 16, speedup=2.0, milliseconds=10.0)
    assert both.kept_by(9, unpruned=18)
    assert not both.kept_by(9, unpruned=17)
    assert not both.kept_by(11, unpruned=30)

    class Table:
        base = None

        def __init__(self, unpruned: float) -> None:
            self.unpruned = unpruned

        def predict(self, _: Any) -> float:
            return self.unpruned

    assert wanted_ms(both, Table(30)) == pytest.approx(10 / MARGIN)  # type: ignore[arg-type]
    assert wanted_ms(both, Table(12)) == pytest.approx(6 / MARGIN)  # type: ignore[arg-type]


def test_structure_is_chosen_at_one_shape(encoder: Path, data: Path) -> None:
    context = context_of(encoder, data, target_speedup="2@1x16", latency_budget="10ms@8x16")
    budget, stack = budget_of(context), context.stack
    with pytest.raises(UsageError, match="shape"):
        STRUCTURE.cost(StructureOptions(), budget, context.base_shape, stack.removable)
    apart = Budget(times=budget.times, max_drop=0.1)
    with pytest.raises(UsageError, match="shape"):
        STRUCTURE.cost(StructureOptions(), apart, context.base_shape, stack.removable)


def test_one_speed_where_an_accuracy_is_asked_for(encoder: Path, data: Path) -> None:
    context = context_of(encoder, data, target_speedup="2,3@1x16", max_drop=0.1)
    with pytest.raises(UsageError) as caught:
        search_cost_of(context)
    assert "--max-drop" in (caught.value.where or "")


def test_a_directory_claims_no_speed_that_nothing_predicted(encoder: Path, data: Path) -> None:
    facts = {**facts_of(context_of(encoder, data)), "strategy": "top", "compressors": ("layers",)}
    gone = RemoveLayers(layers=(3,))
    trimmed = Plan(**facts, edits=(gone, TrimVocabulary(tokens=(0, 1, 2, 3))))
    factored = Plan(**facts, edits=(gone, KroneckerFactors.of(PRESETS["x8"])))
    assert directory_of(trimmed) == "3-layers"
    assert directory_of(trimmed, alone=False) == f"3-layers-{trimmed.id[:8]}"
    assert directory_of(factored) == f"3-layers-{factored.id[:8]}"
