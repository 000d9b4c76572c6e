from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from safetensors.numpy import load_file, save_file

from glp_export.artifact import OnnxFile, ParityReport, check_parity, describe, optimise
from glp_export.artifact.onnx_file import read_graph, write_graph
from glp_export.core.errors import (
    DataError,
    DeviceError,
    ModelError,
    ParityError,
    UsageError,
)
from tests.exported import (
    AUTO_CLASS,
    MAX_LENGTH,
    SPREAD,
    THREADS,
    Edit,
    Exported,
)
from tests.tiny import make_checkpoint

Check = Callable[..., ParityReport]
Edited = Callable[[Mapping[str, Edit]], OnnxFile]

CLASSIFIER_BIAS, CLASSIFIER_WEIGHT = "classifier.bias", "classifier.weight"
POSITIONS = "bert.embeddings.position_embeddings.weight"


@pytest.fixture
def check(bert: Exported, encoded: Any, tokenizer: Any) -> Check:
    """Check files against BERT on the forty rows; any argument can be given another way."""

    def run(*files: OnnxFile, **changes: Any) -> ParityReport:
        arguments: dict[str, Any] = {
            "source": bert.checkpoint,
            "encoded": encoded,
            "tokenizer": tokenizer,
            "auto_class": AUTO_CLASS,
            "max_length": MAX_LENGTH,
            "threads": THREADS,
        }
        return check_parity(list(files), **{**arguments, **changes})

    return run


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert"])
def test_a_true_export_passes(export: Callable[..., Exported], family: str, check: Check) -> None:
    made = export(family)
    report = check(made.file, source=made.checkpoint)
    report.require()
    (file,) = report.files
    assert file.samples == 40
    assert file.max_abs is not None
    assert 0 < file.max_abs < 2e-5  # a few roundings of fp32 on logits of about one
    assert file.spread > 0.1  # and so small against what the logits say
    assert file.label_agreement == 1.0
    assert file.disagreements == ()
    assert file.non_finite == 0


def test_probes_have_the_shapes_that_break_exports(bert: Exported, check: Check) -> None:
    probes = {probe.name: probe for probe in check(bert.file).files[0].probes}
    assert list(probes) == ["batch 1", "batch 3", "shortest", "odd", "maximum"]
    assert probes["batch 1"].batch_size == 1
    assert probes["batch 3"].batch_size == 3
    assert probes["shortest"].sequence_length == 6  # [CLS] the cat is good [SEP]
    assert probes["odd"].sequence_length % 2 == 1
    assert probes["maximum"].sequence_length == MAX_LENGTH


def test_a_changed_weight_fails_with_its_numbers(edited: Edited, check: Check) -> None:
    file = edited({CLASSIFIER_BIAS: lambda bias: bias + np.float32(0.01)})
    report = check(file)
    assert not report.passed
    with pytest.raises(ParityError) as caught:
        report.require()
    message = str(caught.value)
    assert caught.value.exit_code == 3
    assert "model_edited.onnx" in message
    assert "max |Δlogit| 0.01" in message
    assert "probe 'batch 3' (3 × " in message
    assert "--optimize none" in message


def test_a_change_past_the_rows_of_the_data_is_found_by_the_longest_probe(
    edited: Edited, check: Check
) -> None:
    """No real row reaches token 60; only the probe at the maximum length does."""

    def spoil(positions: Any) -> Any:
        positions[60:] = 0
        return positions

    (file,) = check(edited({POSITIONS: spoil})).files
    assert file.max_abs is not None
    assert file.max_abs < 1e-4
    assert len(file.failures) == 1
    assert file.failures[0].startswith(f"probe 'maximum' (2 × {MAX_LENGTH})")


def test_labels_that_flip_are_listed_by_row(edited: Edited, check: Check) -> None:
    (file,) = check(edited({CLASSIFIER_BIAS: lambda bias: bias + np.float32([5, -5])})).files
    assert file.label_agreement is not None
    assert file.label_agreement < 1
    assert len(file.disagreements) == round((1 - file.label_agreement) * 40)
    assert set(file.disagreements) <= set(range(40))
    assert any("label" in failure for failure in file.failures)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_planted_nan_is_found(edited: Edited, check: Check, value: float) -> None:
    file = edited({CLASSIFIER_BIAS: lambda bias: np.float32([bias[0], value])})
    report = check(file)
    (found,) = report.files
    assert found.non_finite == 40 + (1 + 3 + 1 + 2 + 2)  # every row, and those of the probes
    assert any("NaN or infinite" in failure for failure in found.failures)
    json.loads(report.to_json())  # and the report is still JSON


def test_where_nothing_is_finite_there_is_no_difference(edited: Edited, check: Check) -> None:
    (found,) = check(edited({CLASSIFIER_BIAS: lambda bias: bias * np.float32("nan")})).files
    assert found.max_abs is None
    assert not found.passed


def test_nan_is_found_even_where_no_tolerance_judges(edited: Edited, check: Check) -> None:
    file = edited({CLASSIFIER_BIAS: lambda bias: bias * np.float32("nan")})
    assert not check(replace(file, precision="int8")).passed


def test_tolerances_can_be_given(edited: Edited, check: Check) -> None:
    file = edited({CLASSIFIER_BIAS: lambda bias: bias + np.float32(0.01)})
    assert check(file, atol=0.02).passed
    assert not check(file, atol=0.001).passed
    assert check(replace(file, precision="int8")).passed
    assert not check(replace(file, precision="int8"), atol=0.001).passed


def test_every_file_is_judged_by_itself(bert: Exported, edited: Edited, check: Check) -> None:
    wrong = edited({CLASSIFIER_BIAS: lambda bias: bias + 1})
    report = check(bert.file, wrong)
    assert [file.passed for file in report.files] == [True, False]
    with pytest.raises(ParityError) as caught:
        report.require()
    assert caught.value.where == "model_edited.onnx (fp32, none, CPUExecutionProvider)"


def test_a_file_with_a_frozen_batch_does_not_run_and_says_where(
    bert: Exported, check: Check, tmp_path: Path
) -> None:
    import onnx
    from onnx import TensorProto, helper

    model = read_graph(bert.file.path)
    for node in model.graph.node:
        if "logits" in node.output:
            node.output[0] = "free"
    model.graph.initializer.append(helper.make_tensor("rows", TensorProto.INT64, [2], [8, 2]))
    model.graph.node.append(helper.make_node("Reshape", ["free", "rows"], ["logits"]))
    onnx.save(model, tmp_path / "model.onnx")
    (file,) = check(describe(tmp_path / "model.onnx")).files
    assert file.samples == 40  # the rows come in batches of eight, which is what was frozen
    assert file.max_abs is not None
    assert file.max_abs < 1e-4
    assert any(
        failure.startswith("probe 'batch 3' (3 × ") and "does not run" in failure
        for failure in file.failures
    )


def test_an_approximating_level_explains_itself(
    bert: Exported, check: Check, tmp_path: Path
) -> None:
    fast = optimise(bert.file, "O3", tmp_path / "model.onnx", bert.checkpoint)
    (file,) = check(fast).files
    assert not file.passed
    assert "O3 approximates Gelu" in file.failures[-1]
    assert check(fast, atol=0.02).passed


def test_segments_that_the_graph_cannot_read_are_named(
    export: Callable[..., Exported], check: Check, encoded: Any, tokenizer: Any
) -> None:
    """optimum gives RoBERTa's graph no token_type_ids, which the PyTorch model does read."""
    made = export("roberta")
    if "token_type_ids" in {value.name for value in onnx.load(made.file.path).graph.input}:
        pytest.skip("this exporter gives the graph every input that the model takes")
    pairs = encoded.map(lambda row: {"token_type_ids": [1] * len(row["input_ids"])})
    (file,) = check(made.file, source=made.checkpoint, encoded=pairs).files
    assert not file.passed
    assert "no input token_type_ids" in file.failures[-1]


def test_regression_has_no_labels(export: Callable[..., Exported], check: Check) -> None:
    made = export("bert", num_labels=1)
    (file,) = check(made.file, source=made.checkpoint).files
    assert file.passed
    assert file.label_agreement is None
    assert file.disagreements == ()


def test_a_wrong_weight_shows_in_numbers_far_from_0(
    export: Callable[..., Exported], check: Check, tmp_path: Path
) -> None:
    """A thousandth of 2000 is more than these numbers differ by."""
    made = export("bert", num_labels=1)
    checkpoint = shutil.copytree(made.checkpoint, tmp_path / "checkpoint")
    weights = load_file(checkpoint / "model.safetensors")
    weights[CLASSIFIER_BIAS] += 2000
    save_file(weights, checkpoint / "model.safetensors", {"format": "pt"})
    graph = read_graph(made.file.path)
    tensors = {tensor.name: tensor for tensor in graph.graph.initializer}

    def passes(scale: float) -> bool:
        for name in (CLASSIFIER_BIAS, CLASSIFIER_WEIGHT):
            value = weights[name] * np.float32(scale if name == CLASSIFIER_WEIGHT else 1)
            tensors[name].CopyFrom(onnx.numpy_helper.from_array(value, name))
        file = describe(write_graph(graph, tmp_path / "model.onnx"))
        return check(file, source=checkpoint).passed

    assert passes(1.0)
    assert not passes(1.05)


def test_samples_are_spread_over_the_data(bert: Exported, check: Check) -> None:
    assert check(bert.file, samples=5).files[0].samples == 5
    assert check(bert.file, samples=10_000).files[0].samples == 40


def test_one_row_is_enough(bert: Exported, check: Check, encoded: Any) -> None:
    assert check(bert.file, encoded=encoded.select([0])).passed


def test_no_rows_are_not(bert: Exported, check: Check, encoded: Any) -> None:
    with pytest.raises(DataError, match="no rows"):
        check(bert.file, encoded=encoded.select([]))


def test_report_survives_its_json(bert: Exported, edited: Edited, check: Check) -> None:
    wrong = edited({CLASSIFIER_BIAS: lambda bias: bias * np.float32("nan")})
    report = check(bert.file, wrong)
    assert ParityReport.from_json(report.to_json()) == report
    assert json.loads(report.to_json())["passed"] is False


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"files": [null]}', '{"files": [{"variant": "model.onnx"}]}']
)
def test_text_that_is_no_report(text: str) -> None:
    with pytest.raises(ModelError, match="no parity report"):
        ParityReport.from_json(text)


def test_checkpoint_without_a_head_is_refused(bert: Exported, check: Check, tmp_path: Path) -> None:
    """Its head would be random, here and in the export, and differently so."""
    headless = make_checkpoint(tmp_path, "bert")
    with pytest.raises(ModelError, match=r"lacks classifier\.bias"):
        check(bert.file, source=headless)


def test_diverged_model_is_not_blamed_on_the_export(
    bert: Exported, check: Check, tmp_path: Path
) -> None:
    from safetensors.numpy import load_file, save_file

    shutil.copytree(bert.checkpoint, tmp_path / "nan")
    weights = tmp_path / "nan" / "model.safetensors"
    tensors = load_file(weights)
    tensors[CLASSIFIER_BIAS] = tensors[CLASSIFIER_BIAS] * np.float32("nan")
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(ModelError, match="PyTorch model itself"):
        check(bert.file, source=tmp_path / "nan")


@pytest.mark.parametrize(("family", "length"), [("bert", 81), ("roberta", 80)])
def test_length_past_the_positions_names_the_flag(
    export: Callable[..., Exported], check: Check, family: str, length: int
) -> None:
    """Eighty positions; RoBERTa's first is that after the padding id."""
    made = export(family)
    check(made.file, source=made.checkpoint, max_length=length - 1).require()
    with pytest.raises(UsageError, match=f"{length} tokens") as caught:
        check(made.file, source=made.checkpoint, max_length=length)
    assert caught.value.where == "--max-length"


def test_provider_that_is_not_there(bert: Exported, check: Check) -> None:
    with pytest.raises(DeviceError):
        check(bert.file, provider="tensorrt")


def test_logits_that_do_not_vary_are_pointed_out(
    check: Check, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Untrained weights: every row gets the same answer, so any graph would agree."""
    from glp_export.artifact import export_onnx

    assert SPREAD["initializer_range"] > 0.02
    checkpoint = make_checkpoint(tmp_path / "untrained", "bert", layers=1, num_labels=2)
    file = export_onnx(checkpoint, tmp_path / "model.onnx", export_task="text-classification")
    caplog.set_level(logging.WARNING)
    check(file, source=checkpoint)
    assert "cannot tell right from wrong" in caplog.text


@pytest.mark.parametrize(
    ("runtime", "told"), [("onnxruntime", "--optimize none"), ("openvino", "--runtime onnxruntime")]
)
def test_what_to_do_depends_on_the_runtime(
    bert: Exported, check: Check, runtime: str, told: str
) -> None:
    [found] = check(bert.file).files
    wrong = replace(found, failures=("it is far away",), runtime=runtime)
    with pytest.raises(ParityError, match="far away") as caught:
        ParityReport((wrong,)).require()
    assert told in str(caught.value.fix)


def test_torch_threads_are_left_as_they_were(bert: Exported, check: Check) -> None:
    import torch

    before = torch.get_num_threads()
    check(bert.file, threads=1, samples=2)
    assert torch.get_num_threads() == before


def test_a_configuration_that_its_weights_cannot_run_with_is_named(
    bert: Exported, check: Check, tmp_path: Path
) -> None:
    checkpoint = shutil.copytree(bert.checkpoint, tmp_path / "checkpoint")
    config = checkpoint / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "hidden_act": None}))
    # transformers 5 looks at the types of what it reads.
    with pytest.raises(ModelError, match=r"cannot be run|loaded: .*'hidden_act'.* got NoneType"):
        check(bert.file, source=checkpoint)
