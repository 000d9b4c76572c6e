"""Dozens and a thousand labels: nothing is cut but what people read."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import glp_export
from glp_export.artifact import ArtifactLayout
from glp_export.bench import BenchmarkFile
from glp_export.cli.app import run
from tests.end_to_end.conftest import EASY, SMALL, command
from tests.tiny import WORDS, write_jsonl


def make_data(directory: Path, classes: int) -> Path:
    """Three training texts and a test text of every label."""
    texts = [f"{WORDS[row % 7]} {WORDS[row % 11]} {WORDS[row % 13]}" for row in range(4 * classes)]
    made = [
        {"text": f"{text} {row}", "label": f"label number {row % classes:04d}"}
        for row, text in enumerate(texts)
    ]
    write_jsonl(directory / "train.jsonl", made[: 3 * classes])
    write_jsonl(directory / "validation.jsonl", made[3 * classes :])
    return directory


@pytest.fixture(scope="module", params=[(77, "fast-greedy"), (1000, "top")], ids=["77", "1000"])
def made(
    request: pytest.FixtureRequest, encoder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[int, Path]:
    """How many labels, and the artifact of a whole run."""
    root = tmp_path_factory.mktemp("classes")
    classes, search = request.param
    data = make_data(root / "data", classes)
    flags = (
        "--search",
        search,
        "--distilled",
        "none",
        "--precision",
        "int8",
        "--int8-drop",
        "1",
        "-q",
    )
    arguments = [*command(encoder, data, *SMALL), *flags, "-o", str(root / "artifact")]
    assert run(arguments) == 0
    return classes, root / "artifact"


def test_the_configuration_has_every_label(made: tuple[int, Path]) -> None:
    from transformers import AutoModelForSequenceClassification

    classes, artifact = made
    labels = [f"label number {number:04d}" for number in range(classes)]
    config = json.loads((artifact / "config.json").read_text())
    assert config["label2id"] == {label: number for number, label in enumerate(labels)}
    assert list(config["id2label"].values()) == labels
    model = AutoModelForSequenceClassification.from_pretrained(artifact)
    assert model.classifier.out_features == classes


def test_every_file_answers_with_every_label(made: tuple[int, Path]) -> None:
    classes, artifact = made
    for variant, path in ArtifactLayout(artifact).shipped().items():
        answers = glp_export.load(artifact, variant=variant)(["the cat is good", "fish"])
        assert answers.logits.shape == (2, classes), path.name
        assert set(answers.labels) <= set(answers.names)
        assert answers.names[-1] == f"label number {classes - 1:04d}"


def test_what_people_read_is_as_long_as_ever(
    made: tuple[int, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    classes, artifact = made
    layout = ArtifactLayout(artifact)
    assert run(["inspect", str(artifact)]) == 0
    shown = capsys.readouterr().out
    for text in (layout.card.read_text(), layout.budget.read_text(), shown):
        # Eight of the labels, and the class that lost most.
        assert text.count("label number") <= 9
        assert len(text) < 20_000
    assert f"{classes} labels" in layout.card.read_text()
    assert f"and {classes - 8} more" in layout.card.read_text()
    rows = BenchmarkFile.load(layout.benchmark).metrics
    assert all(0 <= row.low <= row.value <= row.high <= 1 for row in rows)


def test_the_gate_keeps_it(made: tuple[int, Path], tmp_path: Path) -> None:
    _, artifact = made
    copy = shutil.copytree(artifact, tmp_path / "copy")
    ArtifactLayout(copy).budget.write_text(EASY)
    gate = ["gate", str(copy), "--max-seconds", "5", "--threads", "1", "-q"]
    assert run(gate) == 0
    assert run(["verify", str(copy), "-q"]) == 0


def test_data_of_other_labels_is_refused_in_a_sentence(
    made: tuple[int, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    classes, artifact = made
    other = make_data(tmp_path / "data", classes - 1)
    code = run(["gate", str(artifact), "--dataset", str(other), "--threads", "1", "-q"])
    said = " ".join(capsys.readouterr().err.split())
    assert code == 2, said
    assert f"and {classes - 8} more" in said
    assert len(said) < 1000
