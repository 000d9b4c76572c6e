"""The gate's exit codes, on an artifact that the command made.

Bounds lie ten times away from the truth, so that no busy machine turns a verdict.
"""

from __future__ import annotations

import json
import shutil
from copy import deepcopy

import pytest

from glp_export.artifact import ArtifactLayout
from glp_export.bench import BenchmarkFile
from glp_export.cli.app import run
from glp_export.core.progress import Progress
from glp_export.gate.budget import Budget
from glp_export.gate.session import GateSession, GateSettings
from tests.end_to_end.conftest import BRIEFLY
from tests.tiny import make_checkpoint, make_tokenizer, rows, write_jsonl

IMPOSSIBLE = '[cpu.fp32]\nkeep = ["speedup_vs_unpruned >= 50 at 1x16"]\n'


@pytest.fixture
def gate(capsys):
    """Run the gate; gives its exit code, the report and what stood on stderr."""

    def call(artifact, *flags, seconds=8):
        capsys.readouterr()
        arguments = ["gate", str(artifact), "--json", "-q", "--max-seconds", str(seconds), *flags]
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        report = json.loads(captured.out) if captured.out else {}
        return code, report, " ".join(captured.err.split())

    return call


def outcomes(report) -> dict[str, str]:
    return {finding["check"]: finding["outcome"] for finding in report["findings"]}


def test_what_a_run_leaves_can_be_gated(artifact, gate):
    budget = Budget.load(artifact / "glp" / "budget.toml")
    assert [table.name for table in budget.tables] == ["cpu.fp32"]
    keys = {line.key for line in budget.tables[0].lines}
    assert keys >= {"speedup_vs_unpruned", "speedup_vs_reference", "size_mb"}
    # Of a baseline that has learned nothing there is no metric to keep.
    metrics = BenchmarkFile.load(artifact / "glp" / "benchmark.json").metrics
    (chance,) = (row.chance for row in metrics if row.chance is not None)
    assert ("metric_drop" in keys) == chance.significant
    code, report, _ = gate(artifact, "--quick")
    assert code == 0
    assert outcomes(report)["parity of model.onnx"] == "kept"


def test_kept(gated_artifact, gate):
    code, report, _ = gate(gated_artifact)
    assert code == 0
    found = outcomes(report)
    assert found["speedup_vs_unpruned >= 0.1 at 1x16"] == "kept"
    assert found["speedup_vs_reference >= 0.1 at 1x16"] == "not asked"
    assert found["metric_drop <= 0.9"] == "not asked"
    (speedup,) = (f for f in report["findings"] if f["key"] == "speedup_vs_unpruned")
    assert speedup["low"] <= speedup["value"] <= speedup["high"]


def test_a_speedup_that_is_not_there(gated_artifact, tmp_path, gate):
    (tmp_path / "budget.toml").write_text(IMPOSSIBLE)
    code, report, said = gate(gated_artifact, "--budget", tmp_path / "budget.toml")
    assert code == 5
    (found,) = (one for one in report["findings"] if one["part"] == "latency")
    assert found["outcome"] == "broken"
    assert "as before both were opened anew" in found["reason"]
    assert "budget.toml, line 2" in said


def test_what_the_reference_took_when_the_artifact_was_made(gated_artifact, artifact, tmp_path):
    copy = shutil.copytree(gated_artifact, tmp_path / "copy")
    path = copy / "glp" / "benchmark.json"

    def recorded(**settings):
        with GateSession(copy, GateSettings(**settings), Progress()) as session:
            (table,) = session.tables
            workload = session.workload(table, (1, 16), "here")
            return session.recorded_reference_ms(table, workload)

    content = json.loads(path.read_text())
    (expected,) = {
        row["p50_ms"]
        for row in content["rows"]
        if (row["contender"], row["runtime"]) == ("unpruned", "onnxruntime")
        and row["shape"] == "1x16"
    }
    path.write_text(json.dumps({**content, "machine": {**content["machine"], "notes": []}}))
    assert recorded() == expected
    assert recorded(against=artifact) is None
    assert recorded(threads=2) is None
    path.write_text(json.dumps({**content, "machine": {**content["machine"], "notes": ["busy"]}}))
    assert recorded() is None


def test_a_file_that_is_too_large(gated_artifact, tmp_path, gate):
    (tmp_path / "budget.toml").write_text('[cpu.fp32]\nkeep = ["size_mb <= 0.001"]\n')
    code, _, said = gate(gated_artifact, "--budget", tmp_path / "budget.toml", "--quick")
    assert (code, "size_mb" in said) == (5, True)


def test_accuracy(gated_artifact, data, tmp_path, gate):
    budget = tmp_path / "budget.toml"
    asked = ("--budget", budget, "--dataset", data)
    budget.write_text('[cpu.fp32]\nkeep = ["metric_drop <= 0.99"]\n')
    assert gate(gated_artifact, *asked)[0] == 0
    # No model is this much better than another: an accuracy is at most 1.
    budget.write_text('[cpu.fp32]\nkeep = ["metric_drop <= -1.01"]\n')
    code, report, said = gate(gated_artifact, *asked)
    assert (code, "on 40 examples" in said) == (4, True)
    assert outcomes(report)["metric_drop <= -1.01"] == "broken"


def test_the_metric_is_the_one_that_the_run_recorded(gated_artifact, data, tmp_path, gate):
    """A run's own may come from --task mrpc, which a gate that is given --dataset does not hear."""
    copy = ArtifactLayout(shutil.copytree(gated_artifact, tmp_path / "copy"))
    recorded = json.loads(copy.benchmark.read_text())
    copy.benchmark.write_text(json.dumps({**recorded, "metric": "macro_f1"}))
    copy.write_checksums()
    budget = tmp_path / "budget.toml"
    budget.write_text('[cpu.fp32]\nkeep = ["metric_drop <= 1.99"]\n')
    asked = ("--budget", budget, "--dataset", data)
    values = {}
    for metric in (None, "macro_f1"):
        code, report, _ = gate(copy.root, *asked, *(("--metric", metric) if metric else ()))
        assert code == 0
        (values[metric],) = (one["value"] for one in report["findings"] if one["key"])
    assert values[None] == values["macro_f1"]
    code, _, said = gate(copy.root, *asked, "--metric", "accuracy")
    assert (code, "macro_f1" in said) == (2, True)


def test_another_test_set_says_nothing_of_a_drop(gated_artifact, data, tmp_path, gate):
    """What the unpruned model scored is recorded for the artifact's own test set alone."""
    budget = tmp_path / "budget.toml"
    budget.write_text('[cpu.fp32]\nkeep = ["metric_drop <= 1.99"]\n')
    other = shutil.copytree(data, tmp_path / "other")
    read = (data / "validation.jsonl").read_text().splitlines(keepends=True)
    for changed in (read[:-1], [*read[:-1], read[0]]):
        (other / "validation.jsonl").write_text("".join(changed))
        code, _, said = gate(gated_artifact, "--budget", budget, "--dataset", other)
        assert (code, "another test set" in said) == (2, True)
    against = ("--against", gated_artifact, "--max-seconds", "3")
    assert gate(gated_artifact, "--budget", budget, "--dataset", other, *against)[0] == 0


def test_data_with_its_labels_in_another_order_and_case(gated_artifact, data, tmp_path, gate):
    """Parquet declares the order of its labels; the artifact has the alphabet's."""
    from datasets import ClassLabel, Dataset, Features, Value

    names = ["GOOD", "BAD"]
    features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
    (tmp_path / "other").mkdir()
    for part in ("train", "validation"):
        made = [json.loads(line) for line in (data / f"{part}.jsonl").open()]
        columns = {
            "text": [row["text"] for row in made],
            "label": [names.index(row["label"].upper()) for row in made],
        }
        path = tmp_path / "other" / f"{part}.parquet"
        Dataset.from_dict(columns, features=features).to_parquet(path)
    budget = tmp_path / "budget.toml"
    budget.write_text('[cpu.fp32]\nkeep = ["metric_drop <= 1.99"]\n')
    scores = []
    for given in (data, tmp_path / "other"):
        code, report, _ = gate(gated_artifact, "--budget", budget, "--dataset", given)
        assert code == 0
        scores += [one["reason"] for one in report["findings"] if one["part"] == "accuracy"]
    assert scores[0] == scores[1]


def test_data_of_another_task(gated_artifact, tmp_path, gate):
    colours = [{**row, "label": "red" if row["label"] == "good" else "blue"} for row in rows(80)]
    for part in ("train", "validation"):
        write_jsonl(tmp_path / "data" / f"{part}.jsonl", colours)
    code, _, said = gate(gated_artifact, "--dataset", tmp_path / "data")
    assert (code, "another task" in said) == (2, True)


def test_data_that_no_line_is_about(gated_artifact, data, tmp_path, gate):
    budget = tmp_path / "budget.toml"
    budget.write_text('[cpu.fp32]\nkeep = ["size_mb <= 5"]\n')
    code, _, said = gate(gated_artifact, "--budget", budget, "--dataset", data)
    assert (code, "metric_drop" in said) == (2, True)
    assert gate(gated_artifact, "--budget", budget, "--dataset", data, "--quick")[0] == 0


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_a_time_that_cannot_be_waited_for_is_refused(seconds, gated_artifact, gate):
    code, _, said = gate(gated_artifact, seconds=seconds)
    assert (code, "--max-seconds" in said) == (2, True)


@pytest.mark.parametrize("name", ["onnx/model.onnx", "config.json", "glp/parity_inputs.npz"])
def test_an_artifact_edited_by_hand(name, gated_artifact, tmp_path, gate):
    copy = shutil.copytree(gated_artifact, tmp_path / "copy")
    with (copy / name).open("ab") as stream:
        stream.write(b" ")
    code, report, said = gate(copy)
    assert (code, name in said) == (3, True)
    assert outcomes(report)["checksums"] == "broken"
    assert outcomes(report)["size_mb <= 5"] == "not asked"


def test_a_file_that_computes_something_else(gated_artifact, tmp_path, gate):
    """Checksums were written anew, so only the stored inputs can tell."""
    import onnx
    from onnx import numpy_helper

    from glp_export.artifact import ArtifactLayout

    layout = ArtifactLayout(shutil.copytree(gated_artifact, tmp_path / "copy"))
    model = onnx.load(layout.onnx_model)
    (bias,) = (t for t in model.graph.initializer if t.name == "classifier.bias")
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + 1, bias.name))
    onnx.save(model, layout.onnx_model)
    layout.write_checksums()
    code, report, said = gate(layout.root, "--quick")
    assert code == 3
    assert outcomes(report)["parity of model.onnx"] == "broken"
    assert "logits are beyond" in said


def test_a_budget_may_be_edited(gated_artifact, tmp_path, gate):
    copy = shutil.copytree(gated_artifact, tmp_path / "copy")
    with (copy / "glp" / "budget.toml").open("a") as stream:
        stream.write("# ours\n")
    assert gate(copy, "--quick")[0] == 0


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ('[cpu.fp32]\nkeep = ["speedup_over_unpruned >= 1.9 at 1x16"]', "speedup_vs_unpruned"),
        ('[cpu.fp32]\nkeep = ["size_mb <= 90MB"]', "no unit"),
        ("[cpu.fp32", "no TOML"),
        ('[cpu.fp32]\nkeep = ["speedup_vs_unpruned >= 1.9 at 1x512"]', "at most 80 tokens"),
        ('[cpu.int8]\nkeep = ["size_mb <= 90"]', "no file at int8"),
    ],
)
def test_a_budget_that_cannot_be_read(budget, message, gated_artifact, tmp_path, gate):
    (tmp_path / "budget.toml").write_text(budget)
    code, _, said = gate(gated_artifact, "--budget", tmp_path / "budget.toml")
    assert (code, message in said) == (2, True), said


def test_no_budget(gated_artifact, tmp_path, gate):
    code, _, said = gate(gated_artifact, "--budget", tmp_path / "none.toml")
    assert (code, "none.toml" in said) == (2, True)


def test_a_provider_that_is_not_there(gated_artifact, tmp_path, gate):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("there is a GPU here")
    (tmp_path / "budget.toml").write_text('[cuda.fp32]\nkeep = ["p99_over_p50 <= 9 at 1x16"]\n')
    code, _, said = gate(gated_artifact, "--budget", tmp_path / "budget.toml", "--quick")
    assert (code, "CUDAExecutionProvider" in said) == (6, True)


def test_another_artifact_as_the_reference(gated_artifact, artifact, gate):
    code, report, _ = gate(gated_artifact, "--against", artifact)
    assert code == 0
    found = outcomes(report)
    assert found["speedup_vs_reference >= 0.1 at 1x16"] == "kept"
    assert found["speedup_vs_unpruned >= 0.1 at 1x16"] == "not asked"


def test_predictions_that_are_compared(gated_artifact, data, tmp_path, gate):
    budget = tmp_path / "budget.toml"
    budget.write_text('[cpu.fp32]\nkeep = ["changed_predictions <= 0 %"]\n')
    asked = ("--budget", budget, "--dataset", data)
    code, report, _ = gate(gated_artifact, *asked)
    assert (code, outcomes(report)["changed_predictions <= 0 %"]) == (0, "not asked")
    assert gate(gated_artifact, *asked, "--against", gated_artifact)[0] == 0


def test_a_reference_whose_labels_stand_in_another_order(data, tmp_path, gate):
    """The same model twice, the rows of its head exchanged: it predicts the same words."""
    import transformers

    words = ["bad", "good"]
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        make_checkpoint(tmp_path / "plain", num_labels=2, initializer_range=0.3)
    )
    for name, order, sign in (("plain", [0, 1], 1), ("turned", [1, 0], 1), ("other", [0, 1], -1)):
        own = deepcopy(model)
        own.classifier.weight.data = sign * model.classifier.weight.data[order]
        own.config.id2label = {place: words[label] for place, label in enumerate(order)}
        own.config.label2id = {words[label]: place for place, label in enumerate(order)}
        own.save_pretrained(tmp_path / name)
        make_tokenizer().save_pretrained(tmp_path / name)
        out = ("-o", str(tmp_path / f"{name}-out"), *BRIEFLY, "--optimize", "none", "-q")
        assert run(["export", str(tmp_path / name), *out]) == 0
    (tmp_path / "budget.toml").write_text('[cpu.fp32]\nkeep = ["changed_predictions <= 0 %"]\n')
    asked = ("--budget", tmp_path / "budget.toml", "--dataset", data)
    code, report, _ = gate(tmp_path / "plain-out", *asked, "--against", tmp_path / "turned-out")
    assert (code, outcomes(report)["changed_predictions <= 0 %"]) == (0, "kept")
    # The head of the opposite sign, without a bias: every prediction is the other label.
    code, report, said = gate(tmp_path / "plain-out", *asked, "--against", tmp_path / "other-out")
    assert (code, "100.00% of 40 rows" in said) == (4, True)


def test_a_reference_that_nothing_is_asked_of(gated_artifact, artifact, tmp_path, gate):
    (tmp_path / "budget.toml").write_text(IMPOSSIBLE)
    asked = ("--against", artifact, "--budget", tmp_path / "budget.toml")
    code, _, said = gate(gated_artifact, *asked)
    assert (code, "no line of the budget is over the reference" in said) == (2, True)


def test_a_reference_of_another_task(gated_artifact, tmp_path, gate):
    three = make_checkpoint(tmp_path / "three", num_labels=3)
    other = tmp_path / "other"
    assert run(["export", str(three), "-o", str(other), *BRIEFLY, "--optimize", "none", "-q"]) == 0
    code, _, said = gate(gated_artifact, "--against", other)
    assert (code, "another task" in said) == (2, True)


def test_no_artifact(classifier, gate):
    code, _, said = gate(classifier)
    assert (code, "no artifact" in said) == (7, True)


def test_github_and_the_files_for_other_programs(gated_artifact, tmp_path, monkeypatch, capsys):
    (tmp_path / "budget.toml").write_text(
        '[cpu.fp32]\nkeep = ["size_mb <= 0.001", "speedup_vs_unpruned >= 0.1 at 1x16"]\n'
    )
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    code = run(
        [
            *("gate", str(gated_artifact), "--github", "-q", "--max-seconds", "8"),
            *("--budget", str(tmp_path / "budget.toml")),
            *("--bencher", str(tmp_path / "bmf" / "gate.json")),
            *("--benchmark-action", str(tmp_path / "action.json")),
        ]
    )
    assert code == 5
    out = capsys.readouterr().out
    assert "::error file=" in out
    assert "line=2,title=glp-export gate::broken: cpu.fp32: size_mb" in out
    assert max(map(len, out.split("::error")[0].splitlines())) <= 80
    assert "| ❌ broken | `cpu.fp32: size_mb" in (tmp_path / "summary.md").read_text()
    names = [entry["name"] for entry in json.loads((tmp_path / "action.json").read_text())]
    assert names == ["cpu.fp32 size_mb", "cpu.fp32 1x16 latency_over_unpruned"]
    metrics = json.loads((tmp_path / "bmf" / "gate.json").read_text())
    ratio = metrics["cpu.fp32 1x16"]["latency_over_unpruned"]
    assert ratio["lower_value"] <= ratio["value"] <= ratio["upper_value"]
