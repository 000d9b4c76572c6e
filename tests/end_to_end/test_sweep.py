"""Several depths from one search, in one run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glp_export.artifact import ArtifactLayout
from glp_export.bench import BenchmarkFile, Frontier, SamplesFile
from glp_export.cli.app import run
from glp_export.compress.plan import Plan
from glp_export.config.files import read_file
from tests.end_to_end.test_prune_and_export import STANDARD
from tests.tiny import make_checkpoint

QUICK = (
    "--epochs", "1", "--learning-rate", "1e-3", "--batch-size", "16", "--max-length", "32",
    "--seq-lens", "8", "--batch-sizes", "1", "--bench-seconds", "0.1", "--bench-rounds", "3",
    "--device", "cpu", "--threads", "1", "--offline", "--skip-memory", "--optimize", "none",
    "--cache", "none",
)  # fmt: skip
ABOVE = {
    "README.md",
    "glp/plan.json",
    "glp/benchmark.json",
    "glp/benchmark_samples.json",
    "glp/frontier.json",
    "glp/run.yaml",
    "glp/environment.json",
    "glp/report.html",
    "glp/SHA256SUMS",
}
DEPTHS = (3, 2, 1)


@pytest.fixture(scope="module")
def small_sweep(encoder: Path, data: Path) -> tuple[str, ...]:
    """The arguments of a small sweep, all but `--output`."""
    given = ("prune-and-export", "-m", str(encoder), "--dataset", str(data), "--search", "top")
    return (*given, "--depths", "3,2,1", "--precision", "fp32", *QUICK)


@pytest.fixture(scope="module")
def sweep(small_sweep: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a small sweep leaves."""
    output = tmp_path_factory.mktemp("sweep") / "out"
    assert run([*small_sweep, "-o", str(output), "-q"]) == 0
    return output


def names(root: Path) -> set[str]:
    return {str(file.relative_to(root)) for file in root.rglob("*") if file.is_file()}


def weights(root: Path) -> dict[int, bytes]:
    return {
        depth: ArtifactLayout(root).sweep_variant(f"{depth}-layers").weights.read_bytes()
        for depth in DEPTHS
    }


def test_every_depth_is_a_complete_artifact_and_nothing_else_is_left(sweep):
    below = {name for name in names(sweep) if "-layers/" in name}
    assert names(sweep) - below == ABOVE
    assert {name.split("/")[0] for name in below} == {"3-layers", "2-layers", "1-layers"}
    for depth in DEPTHS:
        layout = ArtifactLayout(sweep).sweep_variant(f"{depth}-layers")
        assert names(layout.root) >= STANDARD
        layout.verify_checksums()
    ArtifactLayout(sweep).verify_checksums()
    assert not sweep.with_name("out.partial").exists()


@pytest.mark.parametrize("depth", DEPTHS)
def test_onnx_runtime_and_transformers_load_each(sweep, depth):
    import numpy as np
    import onnxruntime
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    layout = ArtifactLayout(sweep).sweep_variant(f"{depth}-layers")
    batch = AutoTokenizer.from_pretrained(layout.root)(["the cat is not good"], return_tensors="np")
    session = onnxruntime.InferenceSession(layout.onnx_model)
    wanted = {node.name for node in session.get_inputs()}
    (logits,) = session.run(["logits"], {k: v for k, v in batch.items() if k in wanted})
    model = AutoModelForSequenceClassification.from_pretrained(layout.root).eval()
    assert model.config.num_hidden_layers == depth
    with torch.inference_mode():
        expected = model(**{k: torch.from_numpy(v) for k, v in batch.items()}).logits.numpy()
    # fp32 sums in another order.
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_the_plans_are_the_beginnings_of_one_order(sweep):
    layout = ArtifactLayout(sweep)
    assert Plan.load(layout.plan).order == (3, 2, 1)
    assert [Plan.load(layout.sweep_variant(f"{depth}-layers").plan).order for depth in DEPTHS] == [
        (3,),
        (3, 2),
        (3, 2, 1),
    ]


def test_all_depths_are_timed_in_one_run_and_each_artifact_has_its_part(sweep):
    layout = ArtifactLayout(sweep)
    whole = BenchmarkFile.load(layout.benchmark)
    models = {("unpruned", 4), *((name, n) for name in ("pruned", "distilled") for n in DEPTHS)}
    assert {(row.contender, row.layers, row.runtime) for row in whole.rows} == {
        (*model, runtime) for model in models for runtime in ("pytorch", "onnxruntime")
    }
    assert {(row.contender, row.layers) for row in whole.metrics} == models
    for depth in DEPTHS:
        own = layout.sweep_variant(f"{depth}-layers")
        part = BenchmarkFile.load(own.benchmark)
        assert part == whole.of_plan(Plan.load(own.plan).id)
        samples = SamplesFile.load(own.benchmark.with_name("benchmark_samples.json"))
        assert len(samples.rows) == len(part.rows)
        assert f"{depth} of 4 layers" in own.card.read_text()


def test_the_frontier_holds_every_model(sweep):
    frontier = Frontier.load(ArtifactLayout(sweep).frontier)
    assert [(p.contender, p.layers) for p in frontier.points] == [
        ("unpruned", 4),
        *((name, depth) for depth in DEPTHS for name in ("pruned", "distilled")),
    ]
    assert frontier.best
    for point in frontier.points:
        assert point.low <= point.value <= point.high
        assert {each.shape for each in point.latencies} == {"1x8", "1xtask"}
        if point.directory:
            file = sweep / point.directory / "onnx" / point.variant
            assert file.stat().st_size == point.bytes
            assert point.less_unpruned is not None
    assert "`2-layers/`" in (sweep / "README.md").read_text()


def test_the_settings_of_one_depth_make_it_alone(sweep, tmp_path):
    layout = ArtifactLayout(sweep).sweep_variant("2-layers")
    kept = read_file(layout.run_config)
    assert (kept["depth"], kept["depths"], kept["sweep"]) == (2, None, False)
    output = tmp_path / "again"
    assert run(["search", "--config", str(layout.run_config), "-o", str(output), "-q"]) == 0
    assert Plan.load(ArtifactLayout(output).plan).order == Plan.load(layout.plan).order


def test_one_depths_artifact_is_like_any_other(sweep, tmp_path, capsys):
    alone = shutil.copytree(sweep / "2-layers", tmp_path / "alone")
    assert run(["verify", str(alone), "-q", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["passed"]
    assert run(["benchmark", str(alone), "--bench-seconds", "0.1", "-q", "--json"]) == 0
    measured = BenchmarkFile.model_validate_json(capsys.readouterr().out)
    assert {row.contender: row.layers for row in measured.rows} == {"unpruned": 4, "pruned": 2}
    assert run(["inspect", str(alone)]) == 0
    assert "2 of 4, in this order: 3 2" in capsys.readouterr().out


def test_inspect_of_the_sweep_shows_the_frontier(sweep, capsys):
    assert run(["inspect", str(sweep)]) == 0
    shown = capsys.readouterr().out
    assert "● on the frontier" in shown
    assert "3 of 4, in this order: 3 2 1" in shown
    assert run(["inspect", str(sweep), "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert len(content["frontier"]["points"]) == 7
    assert "2-layers/onnx/model.onnx" in content["files"]


@pytest.mark.parametrize("command", ["verify", "benchmark"])
def test_the_sweep_itself_is_no_single_artifact(command, sweep, capsys):
    assert run([command, str(sweep), "-q"]) == 2
    assert str(sweep / "2-layers") in capsys.readouterr().err.replace("\n", "")


def trained(work: Path) -> list[Path]:
    """The pruned models that are kept, the first one first."""
    found = [path for path in work.glob("pruned-*") if path.suffix != ".unfinished"]
    return sorted(found, key=lambda path: path.stat().st_mtime_ns)


def test_a_killed_sweep_resumes_and_ends_in_the_same_files(sweep, small_sweep, tmp_path):
    output = tmp_path / "killed"
    work = tmp_path / "killed.partial" / "work"
    command = [sys.executable, "-m", "glp_export.cli.app", *small_sweep, "-o", str(output), "-q"]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.getcwd()})
    deadline = time.monotonic() + 120  # only a hang reaches it
    while time.monotonic() < deadline and process.poll() is None and not trained(work):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    (first,) = trained(work)[:1]
    kept = (first / "model.safetensors").stat().st_mtime_ns
    assert not output.exists()
    resumed = ["prune-and-export", "-o", str(output), "--resume", "-q"]
    assert run([*resumed, "--depths", "3,2"]) == 2
    assert run(resumed) == 0
    # Copied with its time: the model was not trained again.
    assert ArtifactLayout(output).sweep_variant("3-layers").weights.stat().st_mtime_ns == kept
    assert names(output) == names(sweep)
    assert weights(output) == weights(sweep)


def test_one_depth_in_a_list_is_an_artifact_as_ever(small_sweep, tmp_path, capsys):
    output = tmp_path / "out"
    arguments = [*small_sweep, "--distilled", "none", "--depths", "2", "-o", str(output), "-q"]
    arguments.remove("3,2,1")
    arguments.remove("--depths")
    assert run(arguments) == 0
    assert names(output) >= STANDARD
    assert not list(output.glob("*-layers"))
    assert "frontier" not in capsys.readouterr().out


def test_a_rival_from_elsewhere_is_trained_once_and_stands_beside_every_depth(
    small_sweep, tmp_path, capsys
):
    rival = make_checkpoint(tmp_path / "rival", "distilbert", layers=2)
    output = tmp_path / "out"
    assert run([*small_sweep, "--distilled", str(rival), "-o", str(output), "-q", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert [row["contender"] for row in answer["metrics"]].count("distilled") == 1
    assert len(answer["frontier"]["points"]) == 5
    for depth in DEPTHS:
        part = BenchmarkFile.load(ArtifactLayout(output).sweep_variant(f"{depth}-layers").benchmark)
        assert {(row.contender, row.layers) for row in part.metrics} == {
            ("unpruned", 4),
            ("pruned", depth),
            ("distilled", 2),
        }


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--depths", "3,4"], "remove 1 to 3, which keeps 3 to 1"),
        (["--depths", "3", "9"], "cannot be pruned to 9"),
        (["--depths", "0,2"], "--depths"),
        (["--depths", "3,2", "--depth", "2"], "give one"),
        (["--sweep", "--prune", "2"], "give one"),
        (["--depths", "3,2", "--search", "optimal"], "no order of removal"),
    ],
)
def test_depths_that_cannot_be(flags, message, encoder, data, tmp_path, capsys):
    given = ["prune-and-export", "-m", str(encoder), "--dataset", str(data), "-q", "--offline"]
    assert run([*given, *flags, "-o", str(tmp_path / "out")]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())


def test_dry_run_counts_the_trainings_of_every_depth(small_sweep, tmp_path, capsys):
    arguments = [*small_sweep, "-o", str(tmp_path / "none"), "--dry-run", "-q"]
    assert run([*arguments, "--json"]) == 0
    estimate = json.loads(capsys.readouterr().out)
    assert estimate["depths"] == [3, 2, 1]
    assert estimate["final_trainings"] == 7
    assert run(arguments) == 0
    assert "4 layers to 3, 2, 1" in capsys.readouterr().out
