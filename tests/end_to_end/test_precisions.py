"""Runs that make int8 files beside the fp32 ones."""

from __future__ import annotations

import json
import shutil

import pytest

import glp_export
from glp_export.artifact import ArtifactLayout
from glp_export.bench import BenchmarkFile
from glp_export.cli.app import run
from glp_export.core import machine
from glp_export.precision.record import PrecisionsFile

FAST = ("--search", "top", "--distilled", "none", "-q")


@pytest.fixture(scope="module")
def artifact(small_run, tmp_path_factory):
    output = tmp_path_factory.mktemp("int8") / "artifact"
    arguments = [*small_run, *FAST, "--precision", "int8", "--int8-drop", "1"]
    assert run([*arguments, "-o", str(output)]) == 0
    return output


def test_the_int8_file_ships_beside_fp32_and_says_how_it_was_made(artifact):
    layout = ArtifactLayout(artifact)
    assert {"fp32", "int8"} <= layout.shipped().keys()
    (entry,) = PrecisionsFile.load(layout.precisions).entries
    assert (entry.precision, entry.file) == ("int8", "model_quantized.onnx")
    assert entry.on_select.rows == 18
    assert entry.on_test.rows == 40
    assert entry.on_test.low <= entry.on_test.drop <= entry.on_test.high
    assert "model_quantized.onnx" in layout.card.read_text()


def test_both_contenders_are_measured_in_both_precisions(artifact):
    benchmark = BenchmarkFile.load(ArtifactLayout(artifact).benchmark)
    assert [(row.contender, row.precision) for row in benchmark.metrics] == [
        ("unpruned", "fp32"), ("unpruned", "int8"), ("pruned", "fp32"), ("pruned", "int8"),
    ]  # fmt: skip
    int8 = [row for row in benchmark.rows if row.precision == "int8"]
    assert {row.contender for row in int8} == {"unpruned", "pruned"}
    for row in int8:
        if row.contender == "unpruned":
            assert row.speedup.vs_onnxruntime_unpruned.value == 1
        assert row.speedup.vs_onnxruntime_fp32_unpruned is not None


def test_the_fastest_file_of_every_shape_is_named(artifact):
    benchmark = BenchmarkFile.load(ArtifactLayout(artifact).benchmark)
    assert {winner.shape for winner in benchmark.winners} == {row.shape for row in benchmark.rows}
    for winner in benchmark.winners:
        rivals = [
            row
            for row in benchmark.rows
            if (row.contender, row.runtime, row.shape) == ("pruned", "onnxruntime", winner.shape)
        ]
        assert winner.variant == min(rivals, key=lambda row: row.p50_ms).variant
        assert winner.runner_up in {row.variant for row in rivals} - {winner.variant}


def test_it_is_served_and_verified_as_any_other(artifact, capsys):
    model = glp_export.load(artifact, precision="int8")
    assert model.variant == "int8"
    assert set(model(["the cat is good"]).labels) <= {"good", "bad"}
    assert run(["verify", str(artifact), "--json", "-q"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert {file["precision"] for file in files} == {"fp32", "int8"}


def test_the_gate_asks_nothing_of_int8_on_another_cpu(artifact, tmp_path, monkeypatch, capsys):
    copy = ArtifactLayout(shutil.copytree(artifact, tmp_path / "copy"))
    told = json.loads(copy.environment.read_text())
    copy.environment.write_text(json.dumps({**told, "features": ["avx2", "avx512_vnni"]}))
    copy.write_checksums()
    budget = tmp_path / "budget.toml"
    budget.write_text('[cpu.int8]\nkeep = ["speedup_vs_unpruned >= 50 at 1x16", "size_mb <= 5"]\n')
    asked = ["gate", str(copy.root), "--budget", str(budget), "--json", "-q"]

    def gated(*more: str) -> tuple[int, dict[str, tuple[str, str]]]:
        capsys.readouterr()
        code = run([*asked, *more])
        found = json.loads(capsys.readouterr().out)["findings"]
        return code, {one["key"]: (one["outcome"], one["reason"]) for one in found if one["key"]}

    monkeypatch.setattr(machine, "cpu_features", lambda: ("avx2",))
    code, found = gated()
    assert code == 0
    assert found["speedup_vs_unpruned"] == ("not asked", "another CPU")
    assert found["size_mb"][0] == "kept"
    code, found = gated("--int8", "--max-seconds", "5")
    assert (code, found["speedup_vs_unpruned"][0]) == (5, "broken")
    monkeypatch.setattr(machine, "cpu_features", lambda: ("avx512_vnni",))
    assert gated("--quick")[1]["speedup_vs_unpruned"] == ("not asked", "--quick")


def test_it_is_measured_again_in_both_precisions(artifact, capsys):
    assert run(["benchmark", str(artifact), "--json", "-q"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    found = {(row["contender"], row["precision"]) for row in rows}
    assert {("unpruned", "int8"), ("pruned", "int8")} <= found


def test_a_checkpoint_alone_is_exported_in_int8_only_if_asked(artifact, tmp_path):
    command = ["export", str(artifact), "-q", "--device", "cpu", "--threads", "1"]
    assert run([*command, "-o", str(tmp_path / "plain")]) == 0
    assert "int8" not in ArtifactLayout(tmp_path / "plain").shipped()
    assert run([*command, "--precision", "int8", "-o", str(tmp_path / "asked")]) == 0
    (entry,) = PrecisionsFile.load(ArtifactLayout(tmp_path / "asked").precisions).entries
    assert entry.on_select is None  # nothing could judge it, and it says so


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--precision", "fp16"), "fp16 makes no sense on cpu"),
        (("--precision", "bf16"), "bf16 makes no sense on cpu"),
        (("--precision", "int4"), "there is no precision int4"),
        (("--precision", "auto", "int8"), "auto stands alone"),
        (("--int8", "static"), "there is no --int8 static"),
        (("--pytorch", "jit"), "there is no --pytorch jit"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(small_run, tmp_path, capsys, flags, message):
    assert run([*small_run, *flags, "-o", str(tmp_path / "none")]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
