"""A graph whose answer changes with the padding beside a row is told from one whose does not."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from datasets import Dataset
from onnx import TensorProto, helper

from glp_export.artifact.padding import padding_matters
from tests.tiny import make_tokenizer


def graph(
    path: Path, *, masked: bool, words: bool = False, centre: int = 0, labels: int = 1
) -> Path:
    """The sum of the ids over all tokens, or over those of the text; one number, or one a token.

    One number is counted from another one than 0 if that is asked for.
    """
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"])
        for name in ("input_ids", "attention_mask")
    ]
    one = helper.make_tensor("one", TensorProto.INT64, [1], [1])
    added = helper.make_tensor("centre", TensorProto.INT64, [1], [centre])
    wide = helper.make_tensor("labels", TensorProto.INT64, [2], [1, labels])
    summed, shown = ("seen", "input_ids") if masked else ("shifted", "shifted")
    nodes = [
        helper.make_node("Mul", ["input_ids", "attention_mask"], ["seen"]),
        helper.make_node("Add", ["input_ids", "one"], ["shifted"]),
        helper.make_node("ReduceSum", [summed, "one"], ["summed"], keepdims=1),
        helper.make_node("Add", ["summed", "centre"], ["sum"]),
        helper.make_node("Add", ["sum", shown], ["each"]),
        helper.make_node("Expand", ["sum", "labels"], ["scores"]),
        helper.make_node("Cast", ["each" if words else "scores"], ["logits"], to=TensorProto.FLOAT),
    ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "width"])
    made = helper.make_graph(nodes, "sums", inputs, [output], [one, added, wide])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("words", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_padding_that_is_read_is_seen(tmp_path: Path, masked, words, side) -> None:
    tokenizer = make_tokenizer()
    tokenizer.padding_side = side
    rows = Dataset.from_list(
        [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in ([5, 6, 7], [8] * 20)]
    )
    path = graph(tmp_path / "model.onnx", masked=masked, words=words)
    place = {"provider": "CPUExecutionProvider", "threads": 1}
    assert padding_matters(path, rows, tokenizer, longest=32, **place) is not masked
    longest = rows.select([1])  # nothing is padded where every row is as long as can be
    assert not padding_matters(path, longest, tokenizer, longest=20, **place)


@pytest.mark.parametrize("labels", [3, 11])
@pytest.mark.parametrize("masked", [False, True])
def test_as_many_labels_as_tokens_are_no_answers_to_tokens(tmp_path: Path, masked, labels) -> None:
    rows = Dataset.from_list(
        [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in ([5, 6, 7], [8] * 20)]
    )
    path = graph(tmp_path / "model.onnx", masked=masked, labels=labels)
    assert padding_matters(path, rows, make_tokenizer()) is not masked


@pytest.mark.parametrize("masked", [False, True])
def test_padding_is_seen_in_numbers_far_from_0(tmp_path: Path, masked) -> None:
    rows = Dataset.from_list(
        [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in ([5, 6, 7], [8] * 4)]
    )
    path = graph(tmp_path / "model.onnx", masked=masked, centre=2000)
    place = {"longest": 32, "provider": "CPUExecutionProvider", "threads": 1, "scaled": True}
    assert padding_matters(path, rows, make_tokenizer(), **place) is not masked
