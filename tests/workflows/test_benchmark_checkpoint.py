"""A checkpoint that nothing was removed from: measured as it is, and an answer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from glp_export.bench.benchmark_file import BenchmarkFile
from glp_export.cli.app import run
from glp_export.cli.run_result import run_as_json, show_run
from glp_export.config.outcomes import outcomes
from glp_export.config.targets import Targets
from glp_export.report import benchmark_warnings
from glp_export.workflows.benchmark_checkpoint import answer
from glp_export.workflows.prune_and_export import RunResult
from tests.config.test_targets import shipped
from tests.report.helpers import make_benchmark, make_plan

BRIEF = (
    *("--bench-seconds", "0.1", "--bench-rounds", "3", "--batch-sizes", "1", "--seq-lens", "16"),
    *("--threads", "1", "--device", "cpu", "--runtime", "onnxruntime"),
)


def test_a_classifier_is_measured_in_every_way_without_training(classifier, tmp_path, capsys):
    before = sorted(classifier.rglob("*"))
    asked = ("--precision", "int8", "--latency-budget", "10s@1x16", "--json", "-q")
    assert run(["benchmark", str(classifier), *BRIEF, *asked]) == 0
    content = json.loads(capsys.readouterr().out)
    said = content.pop("answer")
    measured = BenchmarkFile.model_validate(content)
    assert {row.contender for row in measured.rows} == {"unpruned"}
    ways = {(row.runtime, row.precision) for row in measured.rows}
    assert ways == {("pytorch", "fp32"), ("onnxruntime", "fp32"), ("onnxruntime", "int8")}
    assert said[0].startswith("target: 10000 ms at 1×16: kept")
    assert "nothing needs to be pruned" in said[1]
    assert sorted(classifier.rglob("*")) == before


def test_a_model_without_a_head_is_measured_for_its_vectors(encoder, capsys):
    assert run(["benchmark", str(encoder), *BRIEF, "--precision", "fp32"]) == 0
    out, err = capsys.readouterr()
    assert "sentence embeddings" in err
    assert out.startswith("without pruning: ")
    assert "fine-tuned" in out


def test_what_is_no_model_is_exit_7(tmp_path: Path, classifier: Path):
    assert run(["benchmark", str(tmp_path), "-q"]) == 7
    broken = tmp_path / "broken"
    shutil.copytree(classifier, broken)
    (broken / "model.safetensors").unlink()
    assert run(["benchmark", str(broken), "-q"]) == 7


def test_the_answer_holds_each_target_against_the_unpruned_files():
    benchmark = make_benchmark()
    missed = answer(benchmark, {"target_speedup": "50@8x128"}, Path("bert"))
    assert "missed" in missed[0]
    assert "prune-and-export" in missed[-1]
    open_question = answer(benchmark, {}, Path("bert"))
    assert "glp-export export bert" in open_question[-1]


def test_a_run_begins_its_result_with_what_became_of_the_targets(capsys, tmp_path):
    measured = shipped({"model.onnx": 12.0, "model_optimized.onnx": 9.0})
    kept = outcomes(Targets.parse("1.5@8x128", None, None), measured)
    measured = measured.model_copy(update={"targets": kept})
    result = RunResult(tmp_path, make_plan(), measured, None, kept)
    show_run(result)
    first, cost, gain, *_ = capsys.readouterr().out.splitlines()
    assert "accuracy 0.888, unpruned 0.924" in cost
    assert "MB" in gain
    assert "×" in gain
    assert first == "target: 1.5× at 8×128: kept, 2.00× (1.80–2.20), model_optimized.onnx"
    content = run_as_json(result, None)
    (told,) = content["targets"]
    assert (told["kept"], told["file"]) == (True, "model_optimized.onnx")
    assert content["plan"]["order"] == list(make_plan().order)
    assert content["warnings"] == benchmark_warnings(measured)
