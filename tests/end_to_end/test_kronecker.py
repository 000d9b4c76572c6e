"""Kronecker factors from the command line: to an artifact of two trainings, and refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glp_export
from glp_export.artifact import ArtifactLayout
from glp_export.bench import BenchmarkFile
from glp_export.cli.app import run
from glp_export.compress.edits import KroneckerFactors, TrimVocabulary
from glp_export.compress.plan import Plan
from glp_export.core.factors import PRESETS
from glp_export.encoder.kronecker import count_parameters
from glp_export.workflows.stages import students
from tests.end_to_end.conftest import SMALL, TRAINING
from tests.end_to_end.test_vocabulary import NEEDED, logits_of, spelled, texts
from tests.tiny import make_data_of, question_rows

__all__ = ["spelled", "texts"]

SAID = ["the cat is good", "the dog is not bad at all"]


@pytest.fixture(scope="module")
def shipped(spelled: Path, texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Factors on a trimmed vocabulary, trained on unlabelled texts first."""
    place = tmp_path_factory.mktemp("kronecker")
    general = place / "general.txt"
    general.write_text("the cat is good\nthe dog is bad\n" * 16)
    command = ["prune-and-export", "-m", str(spelled), "--dataset", str(texts), *SMALL]
    own = ["--compress", "kronecker,vocabulary", "--vocabulary-size", str(NEEDED)]
    own += ["--unlabeled", str(general), "--general-epochs", "1", "--size-budget", "5MB"]
    assert run([*command, *own, "-o", str(place / "artifact"), "-q"]) == 0
    return place / "artifact"


def test_factors_are_fitted_to_the_tokens_that_stay(shipped: Path) -> None:
    plan = Plan.load(ArtifactLayout(shipped).plan)
    assert plan.compressors == ("kronecker", "vocabulary")
    assert [type(edit) for edit in plan.edits] == [TrimVocabulary, KroneckerFactors]
    assert plan.factors == PRESETS["x5"]  # the mildest that keep the size
    assert plan.cost.trainings == 0


def test_all_forms_of_the_model_answer_alike(shipped: Path) -> None:
    expected = logits_of(shipped, SAID)  # dense: multiplied out
    np.testing.assert_allclose(glp_export.load(shipped)(SAID).logits, expected, atol=1e-4)
    small = glp_export.load_torch(shipped)
    rows = BenchmarkFile.load(ArtifactLayout(shipped).benchmark).rows
    assert {row.contender for row in rows} == {"unpruned", "pruned"}  # no layers, no student
    counts = {row.contender: row.parameters for row in rows}
    assert counts["pruned"] == count_parameters(small) < counts["unpruned"]


def test_inspect_card_verify_and_gate_take_it(shipped: Path, capsys: Any) -> None:
    card = (shipped / "README.md").read_text()
    assert "Kronecker" in card
    assert "2109.06243" in card
    assert "with zeros" not in card
    assert str(PRESETS["x5"]) in (shipped / "glp" / "report.html").read_text()
    assert run(["inspect", str(shipped)]) == 0
    assert "Kronecker" in capsys.readouterr().out
    budget = ArtifactLayout(shipped).budget
    budget.write_text(
        '[cpu.fp32]\nkeep = ["speedup_vs_unpruned >= 0.01 at 1x16", "size_mb <= 5"]\n'
    )
    assert run(["gate", str(shipped), "--max-seconds", "3", "--threads", "1", "-q"]) == 0
    assert run(["verify", str(shipped), "--threads", "1", "-q"]) == 0


@pytest.mark.parametrize(
    ("compress", "flags", "code"),
    [
        ("structure,kronecker", (), 2),  # narrow matrices do not divide
        ("kronecker,structure", (), 2),
        ("vocabulary,kronecker", (), 2),
        ("kronecker", ("--depth", "2"), 2),
        ("kronecker", ("--max-drop", "0.1"), 2),
        ("kronecker", ("--kronecker-ratio", "x9"), 2),
        ("kronecker", ("--target-speedup", "2@1x16"), 2),
        ("kronecker", ("--kronecker-terms", "5", "--offline"), 7),  # of 2 x 2 four at most
        # Each of the three is exported.
        pytest.param("kronecker", ("--size-budget", "2kB", "--offline"), 5, marks=pytest.mark.slow),
    ],
)
def test_what_makes_no_sense_is_refused(compress, flags, code, spelled, texts, tmp_path) -> None:
    command = ["search", "-m", str(spelled), "--dataset", str(texts), "--compress", compress]
    assert run([*command, *flags, *TRAINING, "-o", str(tmp_path / "out"), "-q"]) == code
    assert not (tmp_path / "out").exists()


def test_windows_of_a_document_are_no_general_texts(
    spelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row with a long document is several windows: all of them are of the task."""
    seen: list[tuple[int, int]] = []

    def train(model: Any, plan: Any, recovery: Any, inputs: Any, labelled: int, _: Any) -> Any:
        seen.append((len(inputs.examples), labelled))
        return model

    monkeypatch.setattr(students, "train_factors", train)
    data = make_data_of(tmp_path / "data", question_rows, 40, 10)
    command = ["prune-and-export", "-m", str(spelled), "--dataset", str(data), *SMALL]
    own = ["--compress", "kronecker", "--max-length", "16", "--distilled", "none"]
    assert run([*command, *own, "-o", str(tmp_path / "out"), "-q"]) == 0
    ((windows, labelled),) = seen
    assert windows == labelled > 40
