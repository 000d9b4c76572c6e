"""A run with OpenVINO beside ONNX Runtime: its rows, its parity, what is served and verified."""

from __future__ import annotations

import json

import numpy as np
import pytest

import glp_export
from glp_export.artifact.parity_report import ParityReport
from glp_export.bench import BenchmarkFile
from glp_export.cli.app import run
from glp_export.serve.settings import read_settings

pytest.importorskip("openvino")


def test_files_are_proved_timed_and_served_in_openvino(small_run, tmp_path, capsys):
    output = tmp_path / "out"
    asked = ("--runtime", "openvino", "--distilled", "none", "-o", str(output), "-q")
    assert run([*small_run, *asked]) == 0
    measured = BenchmarkFile.load(output / "glp" / "benchmark.json")
    rows = [row for row in measured.rows if row.runtime == "openvino"]
    assert {row.contender for row in rows} == {"unpruned", "pruned"}
    assert all(row.hints["INFERENCE_NUM_THREADS"] == "1" for row in rows)
    report = ParityReport.from_json((output / "glp" / "parity.json").read_text())
    assert report.passed
    assert [file.runtime for file in report.files].count("openvino") >= 1
    settings = read_settings(output)
    assert settings.runtimes["openvino"] == ("model.onnx",)
    capsys.readouterr()
    assert run(["verify", str(output), "--json", "-q"]) == 0
    checked = json.loads(capsys.readouterr().out)["files"]
    assert {file["runtime"] for file in checked} == {"onnxruntime", "openvino"}
    texts = ["the cat is good", "the dog and the bird is not bad"]
    ours, theirs = (
        glp_export.load(output, runtime=name).logits(texts) for name in ("openvino", "onnxruntime")
    )
    # fp32 sums in another order.
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
