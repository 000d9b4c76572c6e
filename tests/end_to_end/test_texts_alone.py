"""A served model and its logs, without any label: what is smaller has to agree with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from glp_export.artifact import ArtifactLayout
from glp_export.bench import BenchmarkFile
from glp_export.cli.app import run
from tests.end_to_end.conftest import SMALL
from tests.tiny import make_checkpoint, make_config, make_tokenizer, rows, write_jsonl


def prune(model: Path, texts: Path, output: Path, *flags: str) -> int:
    given = ["-m", str(model), "--dataset", str(texts), "--distilled", "none"]
    return run(["prune-and-export", *given, *SMALL, *flags, "-o", str(output), "-q"])


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts of 200 calls, with the numbers that logs have beside them."""
    made = [
        {"text": row["text"], "ms": index % 7, "request_id": f"r{index}"}
        for index, row in enumerate(rows(200, seed=3))
    ]
    return write_jsonl(tmp_path_factory.mktemp("logs") / "logs.jsonl", made)


@pytest.fixture(scope="module")
def made(served: Path, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> ArtifactLayout:
    place = tmp_path_factory.mktemp("made")
    labelled = [{**row, "label": row["label"].upper()} for row in rows(50, seed=4)]
    test = write_jsonl(place / "labelled.jsonl", labelled)
    flags = ("--depth", "2", "--validation-file", str(test))
    assert prune(served, logs, place / "out", *flags) == 0
    return ArtifactLayout(place / "out")


def test_scores_are_agreement_with_the_model_and_accuracy_stands_beside(
    made: ArtifactLayout,
) -> None:
    benchmark = BenchmarkFile.load(made.benchmark)
    assert benchmark.metric == "agreement"
    scores = {row.contender: row for row in benchmark.metrics}
    assert scores["unpruned"].value == 1.0
    assert scores["pruned"].low <= scores["pruned"].value <= scores["pruned"].high
    assert 15 <= scores["pruned"].samples <= 45  # 15 % of the texts, equal ones together
    card = made.card.read_text()
    assert "agreement" in card
    for metric in ("divergence", "accuracy"):
        assert f"| {metric} |" in card


def test_the_artifact_answers_with_the_models_labels_and_can_be_looked_at_again(
    made: ArtifactLayout, logs: Path, capsys: Any
) -> None:
    config = json.loads((made.root / "config.json").read_text())
    assert config["id2label"] == {"0": "Good", "1": "Bad"}
    assert run(["verify", str(made.root), "--dataset", str(logs), "-q"]) == 0
    budget = made.budget.read_text()
    assert "metric_drop" not in budget


def test_max_drop_counts_points_of_agreement(
    served: Path, logs: Path, tmp_path: Path, capsys: Any
) -> None:
    flags = ("--max-drop", "0.6", "--search", "top")
    assert prune(served, logs, tmp_path / "out", *flags) == 0
    assert BenchmarkFile.load(ArtifactLayout(tmp_path / "out").benchmark).metric == "agreement"
    flags = ("--max-drop", "0", "--search", "top", "--epochs", "0.01", "--cache", "none")
    assert prune(served, logs, tmp_path / "none", *flags) == 4
    assert "on dev" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("records", "flags", "code", "word"),
    [
        ([{"text": ""}, {"text": "  "}] * 40, (), 7, "empty"),
        ([{"text": "the cat is good"}] * 40, (), 7, "too few"),
        (rows(60), (), 7, "--label-column none"),
        (rows(60), ("--label-column", "none", "--teacher", "finetune"), 7, "no fine-tuned model"),
        (rows(60), ("--label-column", "none", "--recover", "finetune"), 2, "--recover"),
        ([{"text": "a"}, {"text": None}] * 20, (), 7, "row"),
        ([{"one": "a b", "two": "c d"}] * 20, (), 7, "--text-columns"),
    ],
)
def test_texts_that_cannot_be_used(
    served: Path, tmp_path: Path, capsys: Any, records: Any, flags: Any, code: int, word: str
) -> None:
    texts = write_jsonl(tmp_path / "texts.jsonl", records)
    assert prune(served, texts, tmp_path / "out", "--depth", "2", *flags) == code
    assert word in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.glob("out*"))


def test_a_model_without_a_head_labels_nothing(
    encoder: Path, logs: Path, tmp_path: Path, capsys: Any
) -> None:
    assert prune(encoder, logs, tmp_path / "out", "--depth", "2") == 7
    assert "fine-tuned" in capsys.readouterr().err
    assert not list(tmp_path.glob("out*"))


def test_a_model_of_tags_is_not_told_to_be_fine_tuned(
    logs: Path, tmp_path: Path, capsys: Any
) -> None:
    from transformers import AutoModelForTokenClassification

    model = tmp_path / "model"
    tagger = AutoModelForTokenClassification.from_config(make_config(num_labels=3))
    tagger.save_pretrained(model)
    make_tokenizer().save_pretrained(model)
    assert prune(model, logs, tmp_path / "out", "--depth", "2") == 7
    told = capsys.readouterr().err
    assert "token-classification" in told
    assert "fine-tuned" not in told


def test_labels_of_the_test_file_that_the_model_does_not_have(
    served: Path, logs: Path, tmp_path: Path, capsys: Any
) -> None:
    test = [{**row, "label": ("ugly", "good")[i % 2]} for i, row in enumerate(rows(20))]
    file = write_jsonl(tmp_path / "test.jsonl", test)
    flags = ("--depth", "2", "--validation-file", str(file))
    assert prune(served, logs, tmp_path / "out", *flags) == 7
    assert "ugly" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["multi_label_classification", "regression"])
def test_other_kinds_that_label_texts(kind: str, logs: Path, tmp_path: Path) -> None:
    width = 1 if kind == "regression" else 3
    model = make_checkpoint(
        tmp_path / "model", layers=3, num_labels=width, problem_type=kind, initializer_range=0.3
    )
    flags = ("--depth", "2", "--search", "top")
    assert prune(model, logs, tmp_path / "out", *flags) == 0
    benchmark = BenchmarkFile.load(ArtifactLayout(tmp_path / "out").benchmark)
    assert benchmark.metric == "agreement"
    scores = {row.contender: row.value for row in benchmark.metrics}
    assert scores["unpruned"] > 0.999  # rounding in ONNX Runtime, no more
