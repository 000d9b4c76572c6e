"""Which exporter is used, and what is said where it is not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from glp_export.artifact import EXPORTERS, export_onnx, resolve_exporter
from glp_export.artifact.export import AUTO_CLASSES
from glp_export.artifact.exporters.torchscript import HEADS
from glp_export.artifact.onnx_file import read_graph
from glp_export.cli.app import run
from glp_export.core.errors import ModelError, UsageError
from tests.exported import EXPORT_TASK, Exported
from tests.tiny import make_checkpoint, make_config

OPTIMUM = EXPORTERS["optimum"]
needs_optimum = pytest.mark.skipif(
    not OPTIMUM.available(), reason="optimum-onnx has no release for this transformers"
)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend that exporters are not installed."""

    def remove(*names: str) -> None:
        for name in names:
            absent = replace(EXPORTERS[name], available=lambda: False)
            monkeypatch.setitem(EXPORTERS, name, absent)

    return remove


@needs_optimum
def test_auto_is_optimum_where_it_is_installed() -> None:
    choice = resolve_exporter("auto", make_config(), EXPORT_TASK)
    assert str(choice) == "exporter optimum"


def test_auto_says_why_it_is_not(without: Callable[..., None]) -> None:
    without("optimum")
    choice = resolve_exporter("auto", make_config(), EXPORT_TASK)
    assert str(choice) == "exporter torch (optimum is not installed)"


@needs_optimum
@pytest.mark.parametrize(
    ("family", "task"), [("own-bert", EXPORT_TASK), ("t5", "token-classification")]
)
def test_a_model_that_optimum_does_not_know_goes_to_torch(family: str, task: str) -> None:
    choice = resolve_exporter("auto", make_config(family), task)
    assert str(choice) == f"exporter torch (optimum does not know {family} for {task})"
    with pytest.raises(ModelError, match=f"optimum does not know {family}") as caught:
        resolve_exporter("optimum", make_config(family), task)
    assert caught.value.exit_code == 7


def test_missing_exporter_is_answered_with_the_pip_line(without: Callable[..., None]) -> None:
    without("optimum")
    with pytest.raises(UsageError, match=r'pip install "glp-export\[optimum\]"') as caught:
        resolve_exporter("optimum", make_config(), EXPORT_TASK)
    assert "--exporter auto" in str(caught.value.fix)
    without("torch")
    with pytest.raises(UsageError, match=r"optimum is not installed; torch is not installed"):
        resolve_exporter("auto", make_config(), EXPORT_TASK)


def test_unknown_exporter_lists_those_there_are() -> None:
    with pytest.raises(UsageError, match="auto, optimum, torch"):
        resolve_exporter("tf2onnx", make_config(), EXPORT_TASK)


def test_command_says_which_and_keeps_it_in_run_yaml(
    classifier: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--optimize", "none", "--precision", "fp32", "--device", "cpu", "--threads", "1"]
    flags += ["--seq-lens", "8", "--batch-sizes", "1", "--bench-seconds", "0.1"]
    output = tmp_path / "out"
    asked = ["export", str(classifier), "-o", str(output), "--exporter", "torch", *flags]
    assert run(asked) == 0
    assert "exporter torch" in capsys.readouterr().err
    assert "exporter: torch\n" in (output / "glp" / "run.yaml").read_text()


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_graphs_are_alike(family: str, exporter: str, tmp_path: Path) -> None:
    """Inputs, outputs, opset, operators and the names of weights are what the others promise."""
    if not EXPORTERS[exporter].available():
        pytest.skip("optimum-onnx has no release for this transformers")
    segments = 1 if family == "roberta" else 2  # as the real ones have
    checkpoint = make_checkpoint(
        tmp_path / "checkpoint", family, num_labels=2, type_vocab_size=segments
    )
    path = tmp_path / "model.onnx"
    file = export_onnx(checkpoint, path, export_task=EXPORT_TASK, exporter=exporter)
    model = onnx.load(path)
    onnx.checker.check_model(model)
    inputs = ["input_ids", "attention_mask", *(["token_type_ids"] if family == "bert" else [])]
    assert [value.name for value in model.graph.input] == inputs
    assert [value.name for value in model.graph.output] == ["logits"]
    assert file.opset == 18
    assert file.fusions == {"LayerNormalization": 9}
    head = "out_proj" if family == "roberta" else "classifier"
    assert any(head in tensor.name for tensor in model.graph.initializer)


def test_a_bert_with_one_kind_of_segment_reads_none(tmp_path: Path) -> None:
    checkpoint = make_checkpoint(tmp_path / "checkpoint", num_labels=2, type_vocab_size=1)
    path = tmp_path / "model.onnx"
    export_onnx(checkpoint, path, export_task=EXPORT_TASK)
    inputs = [value.name for value in read_graph(path).graph.input]
    assert inputs == ["input_ids", "attention_mask"]


def test_a_roberta_with_two_kinds_of_segment_reads_them(tmp_path: Path) -> None:
    """Optimum knows none of RoBERTa: parity told so, after all training."""
    checkpoint = make_checkpoint(tmp_path / "checkpoint", "roberta", num_labels=2)
    path = tmp_path / "model.onnx"
    export_onnx(checkpoint, path, export_task=EXPORT_TASK)
    inputs = [value.name for value in read_graph(path).graph.input]
    assert inputs == ["input_ids", "attention_mask", "token_type_ids"]


@pytest.mark.parametrize("task", HEADS)
def test_tasks_of_the_exporter_torch(task: str, tmp_path: Path) -> None:
    import transformers

    head = HEADS[task]
    config = make_config("bert", 2, num_labels=2)
    getattr(transformers, AUTO_CLASSES[task]).from_config(config).save_pretrained(tmp_path)
    path = tmp_path / "model.onnx"
    export_onnx(tmp_path, path, export_task=task, exporter="torch")
    shapes = {
        value.name: [d.dim_param for d in value.type.tensor_type.shape.dim]
        for value in read_graph(path).graph.output
    }
    assert tuple(shapes) == head.outputs
    for shape in shapes.values():
        assert shape[0] == "batch_size"
        assert ("sequence_length" in shape) == head.each_token


def test_opset_of_the_exporter_torch(bert: Exported, tmp_path: Path) -> None:
    made = export_onnx(
        bert.checkpoint, tmp_path / "m.onnx", export_task=EXPORT_TASK, exporter="torch", opset=17
    )
    assert made.opset == 17
    with pytest.raises(UsageError, match="opset 999"):
        export_onnx(
            bert.checkpoint, made.path, export_task=EXPORT_TASK, exporter="torch", opset=999
        )
