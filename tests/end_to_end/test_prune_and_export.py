from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from glp_export.artifact import ArtifactLayout
from glp_export.bench import BenchmarkFile
from glp_export.cli.app import run
from glp_export.compress.plan import Plan
from tests.tiny import make_checkpoint, make_config

STANDARD = {
    "README.md",
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "onnx/model.onnx",
    "glp/plan.json",
    "glp/parity.json",
    "glp/benchmark.json",
    "glp/environment.json",
    "glp/run.yaml",
    "glp/report.html",
    "glp/SHA256SUMS",
}


def test_the_directory_holds_what_was_promised_and_no_scratch(artifact):
    found = {str(file.relative_to(artifact)) for file in artifact.rglob("*") if file.is_file()}
    assert found >= STANDARD
    assert not any(name.startswith("work/") for name in found)
    assert not artifact.with_name(artifact.name + ".partial").exists()
    ArtifactLayout(artifact).verify_checksums()


def test_the_checkpoint_is_an_ordinary_one_with_the_datas_labels(artifact):
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(artifact)
    assert model.config.num_hidden_layers == 2
    assert model.config.label2id == {"bad": 0, "good": 1}


def test_onnx_runtime_and_pytorch_agree_on_a_sentence(artifact):
    import numpy as np
    import onnxruntime
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    batch = AutoTokenizer.from_pretrained(artifact)(["the cat is not good"], return_tensors="np")
    session = onnxruntime.InferenceSession(artifact / "onnx" / "model.onnx")
    names = {node.name for node in session.get_inputs()}
    (logits,) = session.run(["logits"], {k: v for k, v in batch.items() if k in names})
    model = AutoModelForSequenceClassification.from_pretrained(artifact).eval()
    with torch.inference_mode():
        expected = model(**{k: torch.from_numpy(v) for k, v in batch.items()}).logits.numpy()
    # fp32 sums in another order.
    np.testing.assert_allclose(logits, expected, atol=1e-4)


def test_the_plan_tells_every_candidates_score(artifact):
    plan = Plan.load(ArtifactLayout(artifact).plan)
    assert plan.strategy == "fast-greedy"
    assert plan.depth == 2
    assert len(plan.steps) == 2
    assert plan.cost.trainings >= 1 + 7
    assert all(step.sample_size == 18 for step in plan.steps)


def test_the_benchmark_measures_three_contenders_in_both_runtimes(artifact):
    benchmark = BenchmarkFile.load(ArtifactLayout(artifact).benchmark)
    assert {(row.contender, row.runtime) for row in benchmark.rows} == {
        (contender, runtime)
        for contender in ("unpruned", "pruned", "distilled")
        for runtime in ("pytorch", "onnxruntime")
    }
    assert {row.shape for row in benchmark.rows} == {
        "1x8", "1x16", "4x8", "4x16", "1xtask", "4xtask",
    }  # fmt: skip
    assert {row.contender: row.layers for row in benchmark.metrics} == {
        "unpruned": 4,
        "pruned": 2,
        "distilled": 2,
    }
    assert all(row.low <= row.value <= row.high for row in benchmark.metrics)


def test_its_run_yaml_makes_the_same_plan_again(artifact, tmp_path):
    layout = ArtifactLayout(artifact)
    arguments = ["search", "--config", str(layout.run_config), "-o", str(tmp_path / "again"), "-q"]
    assert run(arguments) == 0
    again = Plan.load(ArtifactLayout(tmp_path / "again").plan)
    assert again.digest == Plan.load(layout.plan).digest


def lines_of_journals(cache: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in cache.glob("candidates/*/journal.jsonl"))


def test_a_killed_run_resumes_to_the_same_plan(artifact, small_run, tmp_path):
    output = tmp_path / "killed"
    small_run = (*small_run, "--cache", "none")
    cache = tmp_path / "killed.partial" / "work" / "cache"
    command = [sys.executable, "-m", "glp_export.cli.app", *small_run, "-o", str(output), "-q"]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.getcwd()})
    deadline = time.monotonic() + 120  # only a hang reaches it
    while time.monotonic() < deadline and process.poll() is None:
        if lines_of_journals(cache) >= 3:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    known = lines_of_journals(cache)
    assert not output.exists()
    assert run([*small_run, "-o", str(output), "-q"]) == 8
    assert run(["prune-and-export", "-o", str(output), "--resume", "--seed", "7", "-q"]) == 2
    assert run(["prune-and-export", "-o", str(output), "--resume", "-q"]) == 0
    assert known >= 3
    plan = Plan.load(ArtifactLayout(output).plan)
    assert plan.digest == Plan.load(ArtifactLayout(artifact).plan).digest


def test_every_reader_cuts_texts_where_they_were_cut_in_training(artifact):
    served = json.loads((artifact / "ort_config.json").read_text())["serving"]["shapes"]
    tokenizer = json.loads((artifact / "tokenizer_config.json").read_text())
    assert served["max_length"] == tokenizer["model_max_length"] == 32


def test_a_terminated_run_says_how_to_go_on(small_run, tmp_path):
    output = tmp_path / "stopped"
    command = [sys.executable, "-m", "glp_export", *small_run, "-o", str(output), "-q"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300  # only a hang reaches it
    while time.monotonic() < deadline and process.poll() is None:
        if (tmp_path / "stopped.partial" / "work" / "run.yaml").is_file():
            break
        time.sleep(0.02)
    process.terminate()
    _, told = process.communicate()
    assert process.returncode == 143, told
    assert f"{output}.partial" in told
    assert "--resume" in told
    assert "Traceback" not in told


def test_resuming_a_complete_run_is_done_at_once(artifact, small_run, capsys):
    before = (artifact / "glp" / "SHA256SUMS").stat()
    assert run(["prune-and-export", "-o", str(artifact), "--resume"]) == 0
    told = capsys.readouterr()
    assert "is complete" in told.err
    assert "unpruned" in told.out
    assert run(["prune-and-export", "-o", str(artifact), "--resume", "--seed", "7", "-q"]) == 2
    assert "--seed" in capsys.readouterr().err
    assert (artifact / "glp" / "SHA256SUMS").stat() == before


def test_a_finished_artifact_is_not_overwritten_unasked(artifact, small_run, capsys):
    before = (artifact / "glp" / "SHA256SUMS").read_text()
    assert run([*small_run, "-o", str(artifact), "-q"]) == 8
    assert "--overwrite" in capsys.readouterr().err
    assert (artifact / "glp" / "SHA256SUMS").read_text() == before


def test_a_file_that_computes_something_else_ships_nothing(small_run, tmp_path, capsys):
    # Larger weights than usual: fp32 sums in another order then differ in their last bits.
    model = make_checkpoint(tmp_path / "model", initializer_range=0.3)
    arguments = [*small_run, "-m", str(model), "--search", "top", "--distilled", "none", "-q"]
    output = tmp_path / "wrong"
    assert run([*arguments, "--atol", "0", "--rtol", "0", "-o", str(output)]) == 3
    assert "does not compute what the PyTorch model computes" in capsys.readouterr().err
    assert not output.exists()


def test_dry_run_says_what_it_would_cost_and_does_nothing(small_run, tmp_path, capsys):
    assert run([*small_run, "-o", str(tmp_path / "none"), "--dry-run", "--json", "-q"]) == 0
    estimate = json.loads(capsys.readouterr().out)
    assert estimate["trainings"] == 7 + 4 + 2
    assert estimate["final_trainings"] == 3
    assert estimate["samples"] == 102 + 7 * 128 + 4 * 512 + 2 * 1024 + 3 * 120
    assert 0 < estimate["seconds_least"] < estimate["seconds"]
    assert estimate["removed"].startswith("2 of 4 layers")
    assert estimate["machine"].startswith(("idle", "busy"))
    assert not list(tmp_path.iterdir())


def test_another_model_as_the_distilled_rival_with_its_own_tokenizer(
    encoder, data, small_run, tmp_path, capsys
):
    rival = make_checkpoint(tmp_path / "rival", "distilbert", layers=2)
    output = tmp_path / "out"
    arguments = [*small_run, "--search", "top", "--distilled", str(rival), "--json", "-q"]
    assert run([*arguments, "-o", str(output)]) == 0
    rows = json.loads(capsys.readouterr().out)["metrics"]
    assert [row["contender"] for row in rows] == ["unpruned", "pruned", "distilled"]


def test_a_rival_that_computes_nothing_in_bf16_is_trained_in_fp32(small_run, tmp_path, capsys):
    rival = make_checkpoint(tmp_path / "rival", "deberta", layers=2)
    arguments = [*small_run, "--search", "top", "--distilled", str(rival)]
    arguments += ["--training-precision", "bf16", "-o", str(tmp_path / "out")]
    assert run(arguments) == 0
    assert "trained in fp32: it computes nothing in bf16" in " ".join(
        capsys.readouterr().err.split()
    )


def test_recovery_as_in_the_paper(small_run, tmp_path, capsys):
    arguments = [*small_run, "--search", "alternate", "--recover", "finetune", "-q"]
    assert run([*arguments, "--distilled", "none", "-o", str(tmp_path / "out")]) == 0
    assert "pruned" in capsys.readouterr().out


def test_a_plan_in_the_authors_form_skips_the_search(small_run, tmp_path):
    layers = tmp_path / "layers.txt"
    layers.write_text("2\n0\n")
    output = tmp_path / "out"
    arguments = [*small_run, "--plan", str(layers), "--distilled", "none", "-q", "-o", str(output)]
    assert run(arguments) == 0
    assert Plan.load(ArtifactLayout(output).plan).order == (2, 0)


def test_the_same_from_python(encoder, data, tmp_path):
    import glp_export

    result = glp_export.prune_and_export(
        model=str(encoder), dataset=str(data), prune=1, search="top", distilled="none",
        epochs=1, batch_size=16, max_length=32, seq_lens=[8], batch_sizes=[1],
        bench_seconds=0.2, bench_rounds=3, skip_memory=True, optimize="none", precision="fp32",
        threads=1, output=tmp_path / "out",
    )  # fmt: skip
    assert result.plan.order == (3,)
    assert (result.output / "onnx" / "model.onnx").is_file()


def test_a_regression_task(encoder, tmp_path):
    from tests.tiny import rows, write_jsonl

    directory = tmp_path / "scores"
    for name, count in (("train", 80), ("validation", 30)):
        scored = [
            {"text": row["text"], "score": round(index % 7 / 2 + 0.25, 2)}
            for index, row in enumerate(rows(count, seed=count))
        ]
        write_jsonl(directory / f"{name}.jsonl", scored)
    from tests.end_to_end.conftest import SMALL

    output = tmp_path / "out"
    arguments = ["-m", str(encoder), "--dataset", str(directory), "--prune", "2", *SMALL]
    assert run(["prune-and-export", *arguments, "--search", "top", "-q", "-o", str(output)]) == 0
    benchmark = BenchmarkFile.load(ArtifactLayout(output).benchmark)
    assert benchmark.metric == "spearman"


@pytest.mark.parametrize(
    "family", ["roberta", "distilbert", "mpnet", "electra", "deberta-v2", "modernbert", "own-bert"]
)
def test_other_families_go_through_the_whole_job(family, data, tmp_path: Path):
    from tests.end_to_end.conftest import SMALL

    model = make_checkpoint(tmp_path / family, family)
    if family == "modernbert" and not hasattr(make_config(family), "layer_types"):
        pytest.skip("this transformers tells what a layer of modernbert is by its number")
    output = tmp_path / "out"
    arguments = ["-m", str(model), "--dataset", str(data), "--depth", "2", "--search", "top"]
    arguments += [*SMALL, "--distilled", "none", "-q", "-o", str(output)]
    assert run(["prune-and-export", *arguments]) == 0
