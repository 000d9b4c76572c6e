from __future__ import annotations

from pathlib import Path

import pytest

from glp_export.artifact.layout import ArtifactLayout
from glp_export.compress.compressors.layers.published import published_plan
from glp_export.compress.steps import Cost, Part
from glp_export.core.errors import DataError, ModelError
from glp_export.report import artifact_view, plan_view
from glp_export.report.pruning import candidate_names, cost_words
from glp_export.report.structure import stack_line
from tests.report.helpers import make_benchmark, make_parity, make_plan, printed


def test_a_plan_shows_its_stack_order_and_cost() -> None:
    text = printed(plan_view(make_plan()))
    assert "input 0 · 2 · 4 · head" in text
    assert "3 of 6, in this order: 5 3 1" in text
    assert "15 trainings, 7 min" in text
    assert "nreimers/MiniLM-L6-H384-uncased" in text


def test_what_a_search_spent_is_told_by_its_parts() -> None:
    cost = Cost.of_part(Part.RANKING, 5.0) + Cost.of_part(Part.TABLE, 31.0)
    assert cost_words(make_plan(cost=cost)) == "no training, 36 s (latency table 31 s, ranking 5 s)"
    assert cost.choosing_seconds == 5.0
    taught = cost + Cost.of_part(Part.TEACHER, 20.0, trainings=1)
    assert cost_words(make_plan(cost=taught)).startswith("1 training, 56 s (teacher 20 s, latency")


def test_candidates_stand_best_first_named_by_what_the_step_would_remove() -> None:
    plan = make_plan()
    assert list(candidate_names(plan, 0)) == ["5", "4", "3", "1", "2", "0"]
    assert list(candidate_names(plan, 1)) == ["3", "1", "2", "4", "0"]
    assert "3:0.820  1:0.810  2:0.790" in printed(plan_view(plan))


def test_a_plan_without_scores_has_no_table_of_steps() -> None:
    text = printed(plan_view(make_plan(steps=(), strategy="top", source="mine.txt")))
    assert "steps" not in text
    assert "mine.txt" in text


def test_combinations_are_named_as_one() -> None:
    from glp_export.compress.plan import Candidate, Step

    both = Step(
        removed=(3, 5),
        score=0.9,
        sample_size=10,
        candidates=(Candidate(removed=(3, 5), score=0.9), Candidate(removed=(0, 1), score=0.2)),
    )
    plan = make_plan(strategy="optimal", order=(3, 5), steps=(both,))
    assert "3+5:0.900  0+1:0.200" in printed(plan_view(plan))


def test_a_published_plan_fits_80_columns() -> None:
    text = printed(plan_view(published_plan("paper:roberta-base/cola")))
    assert max(map(len, text.splitlines())) <= 80
    assert "11:0.640" in text
    assert "2105.14839" in text.replace("\n", " ")


def test_a_deep_stack_is_shown_whole() -> None:
    line = stack_line(make_plan(num_layers=24, steps=(), order=(23, 0))).plain
    assert line.startswith("input · 1 2 ")
    assert line.endswith("22 · head")


def test_an_artifact_shows_what_is_in_it(tmp_path: Path) -> None:
    layout = _artifact(tmp_path / "out")
    text = printed(artifact_view(layout.root))
    assert "onnx/model.onnx" in text
    assert "2.0 kB" in text
    assert "in this order: 5 3 1" in text
    assert "trec on CPU" in text
    assert "passed" in text


def test_an_exported_checkpoint_has_neither_plan_nor_benchmark(tmp_path: Path) -> None:
    layout = _artifact(tmp_path / "out")
    layout.plan.unlink()
    layout.benchmark.unlink()
    text = printed(artifact_view(layout.root))
    assert "parity with PyTorch" in text
    assert "order" not in text


def test_broken_files_are_named(tmp_path: Path) -> None:
    layout = _artifact(tmp_path / "out")
    layout.parity.write_text("{}")
    with pytest.raises(ModelError, match="parity"):
        artifact_view(layout.root)
    layout.plan.write_text("no json")
    with pytest.raises(DataError, match="plan"):
        artifact_view(layout.root)


def _artifact(root: Path) -> ArtifactLayout:
    layout = ArtifactLayout(root)
    layout.onnx_dir.mkdir(parents=True)
    layout.onnx_model.write_bytes(b"x" * 2000)
    make_plan().save(layout.plan)
    make_benchmark().save(layout.benchmark)
    layout.parity.write_text(make_parity().to_json())
    return layout
