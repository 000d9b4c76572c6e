"""A model that is served already: it is the teacher and the baseline, unchanged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from glp_export.artifact import ArtifactLayout
from glp_export.bench import BenchmarkFile
from glp_export.cli.app import run
from glp_export.compress.plan import Plan
from tests.end_to_end.conftest import SMALL
from tests.tiny import rows, write_jsonl


def prune(model: Path, data: Path, output: Path, *flags: str) -> int:
    given = ["-m", str(model), "--dataset", str(data), "--depth", "2", "--distilled", "none"]
    return run(["prune-and-export", *given, *SMALL, *flags, "-o", str(output), "-q"])


@pytest.fixture(scope="module")
def made(served: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> ArtifactLayout:
    output = tmp_path_factory.mktemp("made") / "out"
    assert prune(served, data, output) == 0
    return ArtifactLayout(output)


def test_the_baseline_is_as_accurate_as_in_a_pipeline(
    made: ArtifactLayout, served: Path, data: Path
) -> None:
    from transformers import pipeline

    test = [json.loads(line) for line in (data / "validation.jsonl").read_text().splitlines()]
    answer = pipeline("text-classification", str(served), device="cpu")
    found = answer([row["text"] for row in test], truncation=True)
    right = [one["label"].lower() == row["label"] for one, row in zip(found, test, strict=True)]
    accuracy = sum(right) / len(right)
    assert 0.5 < accuracy < 1.0
    (unpruned,) = (
        row for row in BenchmarkFile.load(made.benchmark).metrics if row.contender == "unpruned"
    )
    assert unpruned.value == accuracy


def test_nothing_is_trained_for_it_and_the_card_says_so(made: ArtifactLayout) -> None:
    plan = Plan.load(made.plan)
    assert plan.cost.trainings == sum(
        candidate.examples is None or candidate.examples > 0
        for candidate in {
            (one.removed, one.examples, one.repeat): one
            for step in plan.steps
            for one in step.candidates
        }.values()
    )
    assert "as it was given" in made.card.read_text()


def test_the_artifact_keeps_the_order_of_the_models_labels(made: ArtifactLayout) -> None:
    config = json.loads((made.root / "config.json").read_text())
    assert config["id2label"] == {"0": "good", "1": "bad"}


def test_it_is_fine_tuned_where_that_is_asked_for(served: Path, data: Path, tmp_path: Path) -> None:
    assert prune(served, data, tmp_path / "out", "--teacher", "finetune", "--search", "top") == 0
    layout = ArtifactLayout(tmp_path / "out")
    assert "as it was given" not in layout.card.read_text()
    config = json.loads((layout.root / "config.json").read_text())
    assert config["id2label"] == {"0": "bad", "1": "good"}


@pytest.mark.parametrize(
    ("labels", "flags", "code"),
    [
        (("good", "ugly"), (), 7),
        (("good", "ugly"), ("--teacher", "as-is"), 7),
        (("cat", "dog"), ("--teacher", "as-is"), 7),
        (("a", "b", "c"), ("--teacher", "as-is"), 7),
        (("good", "ugly"), ("--teacher", "fine-tune"), 2),
    ],
)
def test_labels_that_do_not_fit(
    served: Path, tmp_path: Path, capsys: Any, labels: tuple[str, ...], flags: Any, code: int
) -> None:
    made = [{**row, "label": labels[i % len(labels)]} for i, row in enumerate(rows(60))]
    for name in ("train", "validation"):
        write_jsonl(tmp_path / "data" / f"{name}.jsonl", made)
    assert prune(served, tmp_path / "data", tmp_path / "out", *flags) == code
    said = " ".join(capsys.readouterr().err.split())
    assert "--teacher" in said
    assert not list(tmp_path.glob("out*"))


def test_a_head_of_another_kind_as_it_is(served: Path, tmp_path: Path, capsys: Any) -> None:
    made = [{"text": row["text"], "label": len(row["text"]) / 7} for row in rows(60)]
    for name in ("train", "validation"):
        write_jsonl(tmp_path / "data" / f"{name}.jsonl", made)
    assert prune(served, tmp_path / "data", tmp_path / "out", "--teacher", "as-is") == 7
    assert "regression" in capsys.readouterr().err
    assert not list(tmp_path.glob("out*"))
