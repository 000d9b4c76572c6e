"""Structure from the command line: chosen for a speed, applied from a plan, shipped and served."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import glp_export
from glp_export.artifact import ArtifactLayout
from glp_export.bench import BenchmarkFile
from glp_export.cli.app import run
from glp_export.compress.latency_table import LatencyTable
from glp_export.compress.plan import Plan
from tests.end_to_end.conftest import MEASURING, ONE_SHAPE, SMALL, TRAINING, slow_table

QUICK = ("--mutations", "2", "--final-round", "32", "--calibration-samples", "32")


@pytest.fixture(scope="module")
def found(encoder: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a search for a speed leaves; no latency is asserted, so any machine will do."""
    output = tmp_path_factory.mktemp("structure") / "search"
    asked = ("--target-speedup", "1.3@1x16", "--neuron-step", "8", *QUICK)
    flags = (*TRAINING, *MEASURING, *asked)
    command = ["search", "-m", str(encoder), "--dataset", str(data), *flags, "-o", str(output)]
    assert run([*command, "-q"]) == 0
    return output


@pytest.fixture(scope="module")
def shipped(found: Path, encoder: Path, data: Path, tmp_path_factory: pytest.TempPathFactory):
    """An artifact made of a plan that certainly prunes inside layers."""
    content = json.loads((found / "glp" / "plan.json").read_text())
    del content["digest"], content["id"]
    content["edits"] = [
        {"kind": "prune-heads", "heads": [[0], [0, 1], [1], []]},
        {"kind": "prune-neurons", "neurons": [[0, 3], list(range(9)), [], [1]]},
    ]
    content["order"] = []
    plan = tmp_path_factory.mktemp("plan") / "plan.json"
    plan.write_text(json.dumps(content))
    shutil.copy(found / "glp" / "latency_table.json", plan.parent)
    output = tmp_path_factory.mktemp("structure") / "artifact"
    command = ["prune-and-export", "-m", str(encoder), "--dataset", str(data), *SMALL]
    assert run([*command, "--plan", str(plan), "-o", str(output), "-q"]) == 0
    return output


def test_a_speed_is_chosen_by_structure_and_says_by_which_table(found: Path) -> None:
    plan = Plan.load(found / "glp" / "plan.json")
    assert plan.compressors == ("structure",)
    assert plan.latency_table == LatencyTable.load(found / "glp" / "latency_table.json").id
    assert plan.predicted_speedup is not None
    assert plan.edits
    (step,) = plan.steps
    assert step.kind == "final-round"
    assert "structure" in {candidate.label for candidate in step.candidates}
    # The layers compressor may have searched for a rival as well.
    assert plan.cost.trainings >= len(step.candidates)
    parts = plan.cost.parts
    assert {"teacher", "latency table", "ranking", "choice", "final round"} <= set(parts)
    assert plan.cost.seconds == pytest.approx(sum(parts.values()), abs=0.2)
    apart = parts["teacher"] + parts["latency table"]
    assert plan.cost.choosing_seconds == pytest.approx(plan.cost.seconds - apart, abs=0.1)


def test_an_accuracy_alone_is_kept_by_structure(
    found: Path, encoder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = LatencyTable.load(found / "glp" / "latency_table.json")
    table = slow_table(measured, tmp_path / "table.json")
    asked = ("--latency-table", str(table), *QUICK[:2], "--final-round", "0", "--max-drop", "1")
    faster = (*asked, "--target-speedup", "1.6@1x16")
    command = ["search", "-m", str(encoder), "--dataset", str(data), *TRAINING, *MEASURING]
    assert run([*command, *faster, "-o", str(tmp_path / "out")]) == 0
    plan = Plan.load(tmp_path / "out" / "glp" / "plan.json")
    assert plan.compressors == ("structure",)
    assert plan.predicted_speedup is not None
    assert plan.predicted_speedup > 1.6
    assert "falls by no more than 1" in capsys.readouterr().err


def test_no_accuracy_is_looked_for_in_a_plan_that_is_taken_whole(
    found: Path, encoder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only whole layers of it would be, and after a training."""
    plan = ("--plan", str(found / "glp" / "plan.json"), "--max-drop", "0.1")
    command = ("prune-and-export", "-m", str(encoder), "--dataset", str(data), *plan, *TRAINING)
    for flags in ((), ("--dry-run",)):
        assert run([*command, *flags, "-o", str(tmp_path / "out"), "-q"]) == 2
        assert "taken as it is" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_artifact_is_dense_in_pytorch_and_small_in_onnx(shipped: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    layout = ArtifactLayout(shipped)
    plan = Plan.load(layout.plan)
    served = glp_export.load(shipped)
    texts = ["red green", "blue blue red"]
    answers = served(texts)
    model = AutoModelForSequenceClassification.from_pretrained(shipped).eval()
    from transformers import AutoTokenizer

    batch = AutoTokenizer.from_pretrained(shipped)(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected = model(**batch).logits.numpy()
    np.testing.assert_allclose(answers.logits, expected, atol=1e-4)  # fp32 in another order
    small = glp_export.load_torch(shipped)
    with torch.inference_mode():
        np.testing.assert_allclose(small(**batch).logits.numpy(), expected, atol=1e-5)
    rows = BenchmarkFile.load(layout.benchmark).rows
    (own,) = {row.parameters for row in rows if row.contender == "pruned"}
    assert own == sum(parameter.numel() for parameter in small.parameters())
    assert {row.plan_id for row in rows if row.contender == "pruned"} == {plan.id}
    assert {row.model_shape for row in rows if row.contender == "pruned"} == {plan.shape}


def test_card_and_report_say_what_is_left(shipped: Path) -> None:
    plan = Plan.load(shipped / "glp" / "plan.json")
    assert (shipped / "glp" / "latency_table.json").is_file()
    card, report = (shipped / name for name in ("README.md", "glp/report.html"))
    for text in (card.read_text(), report.read_text()):
        assert plan.label in text
        assert "load_torch" in text
    assert "first-token graph" in card.read_text()
    assert run(["inspect", str(shipped)]) == 0


def test_the_gate_rebuilds_its_unpruned_model(shipped: Path) -> None:
    budget = ArtifactLayout(shipped).budget
    budget.write_text('[cpu.fp32]\nkeep = ["speedup_vs_unpruned >= 0.1 at 1x16", "size_mb <= 5"]\n')
    assert run(["gate", str(shipped), "--max-seconds", "3", "--threads", "1", "-q"]) == 0
    assert run(["verify", str(shipped), "--threads", "1", "-q"]) == 0


@pytest.mark.slow  # two whole runs
def test_a_criterion_that_trains_ships_what_it_trained_and_does_so_again(
    found: Path, encoder: Path, data: Path, tmp_path: Path
) -> None:
    """By a table that is given, nothing is measured: two searches have nothing to differ in."""
    measured = LatencyTable.load(found / "glp" / "latency_table.json")
    table = slow_table(measured, tmp_path / "table.json")
    asked = (
        "--compress", "movement", "--block", "8x32", "--criterion-epochs", "2",
        "--latency-budget", "450ms@1x16", "--neuron-step", "8", *QUICK[:2], "--final-round", "0",
        "--latency-table", str(table), "--distilled", "none",
    )  # fmt: skip
    flags = ["-m", str(encoder), "--dataset", str(data), *TRAINING, *MEASURING, *asked, "-q"]
    searched, shipped = tmp_path / "searched", tmp_path / "shipped"
    assert run(["search", *flags, "--cache", "none", "-o", str(searched)]) == 0
    cache = ("--cache", str(tmp_path / "cache"))
    assert run(["prune-and-export", *flags, *ONE_SHAPE[:4], *cache, "-o", str(shipped)]) == 0
    plan = Plan.load(searched / "glp" / "plan.json")
    assert (plan.compressors, plan.strategy) == (("structure",), "movement")
    assert plan.edits
    assert plan.cost.trainings == 2  # the teacher's and the criterion's
    assert Plan.load(shipped / "glp" / "plan.json").digest == plan.digest
    assert run(["verify", str(shipped), "--threads", "1", "-q"]) == 0
    # A plan finds what its criterion trained in the cache; without it, it begins elsewhere.
    given = [
        "-m",
        str(encoder),
        "--dataset",
        str(data),
        *TRAINING,
        *MEASURING,
        *ONE_SHAPE[:4],
        "-q",
    ]
    given += ["--plan", str(shipped / "glp" / "plan.json"), "--distilled", "none"]
    for name, kept in (("again", cache), ("elsewhere", ("--cache", "none"))):
        assert run(["prune-and-export", *given, *kept, "-o", str(tmp_path / name)]) == 0
    weights = {
        name: (tmp_path / name / "model.safetensors").read_bytes()
        for name in ("shipped", "again", "elsewhere")
    }
    assert weights["again"] == weights["shipped"] != weights["elsewhere"]


def test_a_table_of_another_shape_is_refused_before_the_teacher_is_trained(
    found: Path, encoder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = ("--latency-table", str(found / "glp" / "latency_table.json"))
    command = ["search", "-m", str(encoder), "--dataset", str(data), *TRAINING, *MEASURING, *table]
    asked = ("--target-speedup", "1.3@1x8", "--cache", "none", "-o", str(tmp_path / "out"))
    assert run([*command, *asked]) == 7
    said = capsys.readouterr().err
    assert "16, not 8" in said
    assert "fine-tune" not in said
    assert not list(tmp_path.iterdir()), "what was not begun is not there to be resumed"


def test_a_run_is_not_resumed_with_another_table(
    found: Path, encoder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = LatencyTable.load(found / "glp" / "latency_table.json")
    table, output = slow_table(measured, tmp_path / "table.json"), tmp_path / "out"
    flags = ("--latency-table", str(table), "--target-speedup", "1.3@1x16")
    no_room = ("--size-budget", "20kB")  # the run ends, and can be resumed
    kept = ("--cache", str(tmp_path / "cache"), "-o", str(output))
    command = ["prune-and-export", "-m", str(encoder), "--dataset", str(data), *TRAINING]
    command += [*MEASURING, *flags, *no_room, *kept, "-q"]
    assert run(command) == 5
    assert run([*command, "--resume"]) == 5
    measured.save(table)
    capsys.readouterr()
    assert run([*command, "--resume"]) == 2
    assert "--latency-table" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["[]", None, "of another model"])
@pytest.mark.parametrize("asked", [("--target-speedup", "1.3@1x16"), ("--max-drop", "0.1")])
def test_a_table_that_will_not_do_is_refused_by_a_dry_run_too(
    asked: tuple[str, str],
    content: str | None,
    found: Path,
    encoder: Path,
    data: Path,
    tmp_path: Path,
) -> None:
    path = tmp_path / "table.json"
    if content == "of another model":
        table = LatencyTable.load(found / "glp" / "latency_table.json")
        base = table.base.model_copy(update={"layers": table.base.layers[:-1]})
        table.model_copy(update={"base": base}).save(path)
    elif content is not None:
        path.write_text(content)
    command = ["prune-and-export", "-m", str(encoder), "--dataset", str(data), *TRAINING]
    given = ("--latency-table", str(path), "--dry-run", "-o", str(tmp_path / "out"), "-q")
    assert run([*command, *MEASURING, *ONE_SHAPE, *asked, *given]) == 7


@pytest.mark.parametrize(
    ("flags", "code"),
    [
        (("--target-speedup", "900@1x16"), 5),  # no choice is so fast
        (("--compress", "structure"), 2),  # for which speed?
        (("--compress", "nothing"), 2),
        (("--target-speedup", "1.3@1x16", "--criterion", "nothing"), 2),
        (
            ("--target-speedup", "1.3@1x16", "--compress", "movement"),
            2,
        ),  # blocks of 32 in heads of 8
        (("--target-speedup", "1.3@1x16", "--latency-table", "missing.json"), 7),
    ],
)
def test_what_cannot_be_done_leaves_nothing(flags, code, encoder, data, tmp_path) -> None:
    output = tmp_path / "out"
    command = ["prune-and-export", "-m", str(encoder), "--dataset", str(data), *TRAINING]
    asked = (*MEASURING, *ONE_SHAPE, *QUICK, *flags)
    assert run([*command, *asked, "-o", str(output), "-q"]) == code
    assert not output.exists()
