"""fp16 files, run by the CPU provider, which computes their operators in fp32 or fp16 as it can."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glp_export.artifact import check_parity, open_session, optimise, predict_onnx
from glp_export.artifact.onnx_file import read_graph, sidecar
from glp_export.core.errors import ModelError, ParityError, UsageError
from glp_export.precision.fp16 import MASKED, to_fp16
from tests.exported import AUTO_CLASS, MAX_LENGTH, THREADS, Edit, Exported

Edited = Callable[[dict[str, Edit]], Any]


@pytest.mark.parametrize("level", ["none", "O2"])
@pytest.mark.parametrize("family", ["bert", "roberta", "mpnet", "modernbert"])
def test_fp16_is_within_its_tolerance_on_padded_batches(
    export: Callable[..., Exported],
    family: str,
    level: str,
    tmp_path: Path,
    encoded: Any,
    tokenizer: Any,
) -> None:
    """MPNet buckets its positions and ModernBERT rotates by them: both go wrong in fp16."""
    made = export(family)
    source = made.file
    if level != "none":
        source = optimise(source, level, tmp_path / "fused.onnx", made.checkpoint)
    half = to_fp16(source, tmp_path / "model_fp16.onnx", "fp16", made.checkpoint)
    assert (half.precision, half.optimisation) == ("fp16", level)
    assert half.fusions == source.fusions
    report = check_parity(
        [half],
        made.checkpoint,
        encoded,
        tokenizer,
        auto_class=AUTO_CLASS,
        max_length=MAX_LENGTH,
        threads=THREADS,
    )
    report.require()
    assert report.files[0].non_finite == 0
    # fp16 rounds to 5e-4 of a value: a file that is exact was not converted.
    assert (report.files[0].max_abs or 0) > 1e-5


def test_inputs_and_outputs_keep_their_types(bert: Exported, tmp_path: Path) -> None:
    half = to_fp16(bert.file, tmp_path / "model_fp16.onnx", "fp16", bert.checkpoint)
    before, after = (open_session(path, threads=1) for path in (bert.file.path, half.path))
    for now, then in (
        (after.get_inputs(), before.get_inputs()),
        (after.get_outputs(), before.get_outputs()),
    ):
        assert [(v.name, v.type, v.shape) for v in now] == [(v.name, v.type, v.shape) for v in then]


def test_weights_take_half_the_room(bert: Exported, tmp_path: Path) -> None:
    from onnx import TensorProto

    half = to_fp16(bert.file, tmp_path / "model_fp16.onnx", "fp16", bert.checkpoint)
    weights = [t for t in read_graph(half.path).graph.initializer if len(t.dims) == 2]
    assert {tensor.data_type for tensor in weights} == {TensorProto.FLOAT16}


def test_operators_can_be_kept_in_fp32(bert: Exported, tmp_path: Path) -> None:
    kept = to_fp16(
        bert.file, tmp_path / "kept.onnx", "fp16", bert.checkpoint, keep_float=["Softmax"]
    )
    graph = read_graph(kept.path).graph
    producer = {name: node for node in graph.node for name in node.output}
    softmaxes = [node for node in graph.node if node.op_type == "Softmax"]
    assert len(softmaxes) == 4
    assert {producer[node.input[0]].op_type for node in softmaxes} == {"Cast"}
    with pytest.raises(ModelError, match="no Convolution"):
        to_fp16(bert.file, tmp_path / "x.onnx", "fp16", bert.checkpoint, keep_float=["Convolution"])


@pytest.mark.parametrize("level", ["none", "O2"])
def test_no_mask_is_infinite_in_fp16(bert: Exported, tmp_path: Path, level: str) -> None:
    from onnx import AttributeProto, numpy_helper

    source = bert.file
    if level != "none":
        source = optimise(source, level, tmp_path / "fused.onnx", bert.checkpoint)
    graph = read_graph(to_fp16(source, tmp_path / "h.onnx", "fp16", bert.checkpoint).path).graph
    attributes = [attribute for node in graph.node for attribute in node.attribute]
    fused = [node for node in graph.node if node.op_type == "Attention"]
    tensors = [a.t for a in attributes if a.type == AttributeProto.TENSOR]
    lowest = [
        *(numpy_helper.to_array(t).min(initial=0) for t in (*tensors, *graph.initializer)),
        *(a.f for a in attributes if a.name == "mask_filter_value"),
        # One without an attribute has ONNX Runtime's own, which is the same.
        *(MASKED for node in fused if all(a.name != "mask_filter_value" for a in node.attribute)),
    ]
    assert min(lowest) == MASKED


def test_weights_that_fp16_cannot_hold_are_refused(
    bert: Exported, edited: Edited, tmp_path: Path
) -> None:
    name = "classifier.weight"
    broken = edited({name: lambda values: values * 0 + 1e6})
    with pytest.raises(ModelError, match=name):
        to_fp16(broken, tmp_path / "model_fp16.onnx", "fp16", bert.checkpoint)


def test_infinite_logits_are_named_with_batch_and_row(
    bert: Exported, edited: Edited, tmp_path: Path, encoded: Any, tokenizer: Any
) -> None:
    """A number that fp16 holds, times weights: the sum that LayerNorm reads overflows."""
    bias = "bert.encoder.layer.0.intermediate.dense.bias"
    broken = edited({bias: lambda values: values * 0 + 60000.0})
    half = to_fp16(broken, tmp_path / "model_fp16.onnx", "fp16", bert.checkpoint)
    logits = predict_onnx(open_session(half.path, threads=1), encoded, tokenizer)
    assert not np.isfinite(logits).all()
    report = check_parity(
        [half],
        bert.checkpoint,
        encoded,
        tokenizer,
        auto_class=AUTO_CLASS,
        max_length=MAX_LENGTH,
        threads=THREADS,
    )
    with pytest.raises(
        ParityError, match=r"model_fp16\.onnx.*the first in batch 0 \(8 × \d+\), row \d+"
    ):
        report.require()


def test_bf16_is_refused_with_the_reason(bert: Exported, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no bf16 MatMul"):
        to_fp16(bert.file, tmp_path / "model_bf16.onnx", "bf16", bert.checkpoint)
    with pytest.raises(UsageError, match="no half precision"):
        to_fp16(bert.file, tmp_path / "model_int8.onnx", "int8", bert.checkpoint)
    assert not list(tmp_path.iterdir())


def test_a_half_is_not_halved_again(bert: Exported, tmp_path: Path) -> None:
    once = to_fp16(bert.file, tmp_path / "once.onnx", "fp16", bert.checkpoint)
    with pytest.raises(UsageError, match="fp16 already"):
        to_fp16(once, tmp_path / "twice.onnx", "fp16", bert.checkpoint)


def test_sidecar_out(bert: Exported, tmp_path: Path) -> None:
    output = tmp_path / "model_fp16.onnx"
    to_fp16(bert.file, output, "fp16", bert.checkpoint, sidecar_threshold=10_000)
    assert sidecar(output).is_file()
    open_session(output, threads=1)


def test_converting_prints_nothing(
    bert: Exported, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    to_fp16(bert.file, tmp_path / "model.onnx", "fp16", bert.checkpoint)
    assert capfd.readouterr() == ("", "")
