from __future__ import annotations

import json
import shutil

import pytest

import glp_export
from glp_export.bench import BenchmarkFile
from glp_export.cli.app import run
from tests.end_to_end.conftest import BRIEFLY
from tests.tiny import make_checkpoint


def test_verify_passes_what_was_just_made(artifact, capsys):
    assert run(["verify", str(artifact), "--json", "-q"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["passed"]
    assert report["files"][0]["variant"] == "model.onnx"


def test_verify_names_a_file_that_was_changed(artifact, tmp_path, capsys):
    copy = shutil.copytree(artifact, tmp_path / "copy")
    with (copy / "onnx" / "model.onnx").open("ab") as stream:
        stream.write(b"\0")
    assert run(["verify", str(copy), "-q"]) == 7
    assert "onnx/model.onnx" in capsys.readouterr().err


def test_benchmark_rebuilds_the_unpruned_model(artifact, capsys):
    arguments = ["--batch-sizes", "1", "--seq-lens", "8", "--bench-seconds", "0.2", "-q", "--json"]
    assert run(["benchmark", str(artifact), *arguments]) == 0
    measured = BenchmarkFile.model_validate_json(capsys.readouterr().out)
    assert {row.contender: row.layers for row in measured.rows} == {"unpruned": 4, "pruned": 2}


def test_export_of_any_classifier(classifier, tmp_path, capsys):
    output = tmp_path / "out"
    assert run(["export", str(classifier), "-o", str(output), *BRIEFLY, "-q"]) == 0
    told = capsys.readouterr()
    assert told.out.strip().endswith(str(output))
    for word in ("model.onnx", "MB", "difference", "ms at 1x8"):
        assert word in told.out
    assert "pruned," not in told.err.replace("unpruned", "")
    assert (output / "onnx" / "model.onnx").is_file()


def test_export_as_json(classifier, tmp_path, capsys):
    output = tmp_path / "out"
    flags = [*BRIEFLY, "--optimize", "none", "--json"]
    assert run(["export", str(classifier), "-o", str(output), *flags]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["output"] == str(output)
    assert content["parity"]["passed"]
    assert "onnx/model.onnx" in content["files"]
    (file,) = content["exported"]
    assert file["p50_ms"] > 0
    assert file["judged"]


def test_export_of_an_encoder_without_a_head(encoder, tmp_path, capsys):
    output = tmp_path / "out"
    assert run(["export", str(encoder), "-o", str(output), "-q"]) == 7
    told = capsys.readouterr().err
    assert "no head" in told
    assert "--kind sentence-embeddings" in told
    flags = ["--kind", "sentence-embeddings", *BRIEFLY, "--optimize", "none"]
    assert run(["export", str(encoder), "-o", str(output), *flags, "-q"]) == 0
    assert glp_export.load(output)(["the cat", "fish"]).shape == (2, 32)


def test_export_of_a_sentence_transformers_model(encoder, tmp_path, capsys):
    model, output = shutil.copytree(encoder, tmp_path / "model"), tmp_path / "out"
    modules = [
        {"path": path, "type": f"sentence_transformers.models.{name}"}
        for path, name in (("", "Transformer"), ("1_Pooling", "Pooling"))
    ]
    (model / "modules.json").write_text(json.dumps(modules))
    (model / "1_Pooling").mkdir()
    (model / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    assert run(["export", str(model), "-o", str(output), *BRIEFLY, "--optimize", "none", "-q"]) == 0
    assert json.loads((output / "ort_config.json").read_text())["serving"]["kind"].endswith("cls")
    assert glp_export.load(output)(["the cat", "fish"]).shape == (2, 32)


@pytest.mark.parametrize("name", ["", "glp/plan.json"])
def test_inspect(artifact, name, capsys):
    assert run(["inspect", str(artifact / name)]) == 0
    assert "greedy" in capsys.readouterr().out


def test_inspect_a_published_plan(capsys):
    assert run(["inspect", "paper:bert-base-uncased/rte", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["order"] == [0, 7, 5, 11, 2, 8]


def test_env_tells_cores_and_versions(capsys):
    assert run(["env", "--json"]) == 0
    machine = json.loads(capsys.readouterr().out)
    assert machine["usable_cores"] >= 1
    assert "CPUExecutionProvider" in machine["providers"]


def test_help_of_every_command_has_an_example(capsys):
    for command in (
        "prune-and-export",
        "search",
        "export",
        "verify",
        "benchmark",
        "gate",
        "triton",
        "inspect",
        "env",
        "push",
        "report",
    ):
        assert run([command, "--help"]) == 0
        assert f"glp-export {command}" in " ".join(capsys.readouterr().out.split())


def test_help_needs_no_heavy_library():
    import subprocess
    import sys

    program = (
        "import sys; from glp_export.cli.app import run; run(['--help']); "
        "heavy = {'torch', 'transformers', 'onnxruntime', 'datasets', 'matplotlib'}; "
        "heavy &= set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


def test_an_artifact_is_told_from_other_directories(tmp_path, capsys):
    make_checkpoint(tmp_path / "model", num_labels=2)
    assert run(["verify", str(tmp_path / "model"), "-q"]) == 7
    assert "no artifact of glp-export" in capsys.readouterr().err
