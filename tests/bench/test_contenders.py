"""Contenders: what is known of them before they are loaded, and that they compute the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glp_export.bench import Contender, pytorch_contender, shape_grid
from glp_export.bench.runtimes import open_contender
from glp_export.core.errors import DeviceError, ModelError
from glp_export.core.machine import CPU, CUDA
from tests.tiny import make_checkpoint


def test_facts_are_those_of_the_model(tiny_contenders: list[Contender]) -> None:
    from transformers import AutoModelForSequenceClassification

    for contender in tiny_contenders:
        assert contender.layers == {"unpruned": 4, "pruned": 2, "distilled": 2}[contender.contender]
        assert contender.provider == CPU
        assert contender.precision == "fp32"
        if contender.runtime == "pytorch":
            model = AutoModelForSequenceClassification.from_pretrained(contender.path)
            assert contender.parameters == model.num_parameters()
            assert contender.bytes == (contender.path / "model.safetensors").stat().st_size
        else:
            assert contender.variant == "model.onnx"
            assert contender.bytes == contender.path.stat().st_size


def test_both_runtimes_compute_the_same_logits(tiny_contenders: list[Contender]) -> None:
    [workload] = shape_grid(tiny_contenders, [3], [11])
    logits = {
        (contender.contender, contender.runtime): open_contender(contender)(workload.batches[0])
        for contender in tiny_contenders
    }
    for role in ("unpruned", "pruned", "distilled"):
        assert logits[role, "pytorch"].shape == (3, 3)
        # fp32 rounding of a few thousand products of numbers around 1.
        np.testing.assert_allclose(logits[role, "pytorch"], logits[role, "onnxruntime"], atol=1e-5)
    assert not np.allclose(logits["unpruned", "pytorch"], logits["pruned", "pytorch"], atol=1e-3)


def test_padding_reaches_both_runtimes_alike(tiny_contenders: list[Contender]) -> None:
    [workload] = shape_grid(tiny_contenders, [2], [9])
    feeds = {name: array.copy() for name, array in workload.batches[0].items()}
    feeds["attention_mask"][1, 5:] = 0
    in_pytorch, in_onnx = (open_contender(contender)(feeds) for contender in tiny_contenders[:2])
    np.testing.assert_allclose(in_pytorch, in_onnx, atol=1e-5)


def test_a_contender_survives_the_way_to_another_process(tiny_contenders: list[Contender]) -> None:
    for contender in tiny_contenders:
        assert Contender.from_json(contender.to_json()) == contender


@pytest.mark.parametrize("family", ["roberta", "mpnet", "deberta-v2", "modernbert", "electra"])
def test_families_run_with_the_best_attention_that_they_have(tmp_path: Path, family: str) -> None:
    contender = pytorch_contender(
        "unpruned", make_checkpoint(tmp_path, family, num_labels=2), "cpu", 1
    )
    [workload] = shape_grid([contender], [2], [contender.max_length])
    assert np.isfinite(open_contender(contender)(workload.batches[0])).all()


def test_positions_of_fairseq_families_start_after_the_padding_id(tmp_path: Path) -> None:
    lengths = {
        family: pytorch_contender(
            "unpruned", make_checkpoint(tmp_path / family, family, num_labels=2), "cpu", 1
        ).max_length
        for family in ("bert", "roberta")
    }
    assert lengths == {"bert": 80, "roberta": 79}


def test_a_provider_that_is_not_there_is_exit_6(tiny_contenders: list[Contender]) -> None:
    import onnxruntime
    import torch

    if torch.cuda.is_available() or CUDA in onnxruntime.get_available_providers():
        pytest.skip("there is a CUDA device")
    for contender in tiny_contenders[:2]:
        with pytest.raises(DeviceError) as caught:
            open_contender(replace(contender, provider=CUDA))
        assert caught.value.exit_code == 6


def test_a_broken_checkpoint_is_named(tmp_path: Path, tiny_contenders: list[Contender]) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        pytorch_contender("pruned", tmp_path / "nothing", "cpu", 1)
    checkpoint = make_checkpoint(tmp_path / "broken", num_labels=2)
    (checkpoint / "model.safetensors").write_bytes(b"\x10\x00")
    with pytest.raises(ModelError, match="cannot be read"):
        pytorch_contender("pruned", checkpoint, "cpu", 1)
    (checkpoint / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no safetensors"):
        pytorch_contender("pruned", checkpoint, "cpu", 1)
    with pytest.raises(ModelError):
        open_contender(replace(tiny_contenders[1], path=tmp_path / "gone.onnx"))
    with pytest.raises(ModelError, match="cannot be loaded"):
        open_contender(replace(tiny_contenders[0], path=checkpoint))


@pytest.mark.parametrize(
    "wrong", [{"num_hidden_layers": "x"}, {"vocab_size": None}, {"max_position_embeddings": [1]}]
)
def test_a_configuration_of_other_types_is_named(tmp_path: Path, wrong: dict[str, Any]) -> None:
    checkpoint = make_checkpoint(tmp_path / "broken", num_labels=2)
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps(config | wrong))
    with pytest.raises(ModelError, match="cannot be read") as caught:
        pytorch_contender("pruned", checkpoint, "cpu", 1)
    assert str(checkpoint) in str(caught.value.where)


def test_a_graph_with_foreign_inputs_is_refused(
    tmp_path: Path, tiny_contenders: list[Contender]
) -> None:
    import onnx

    model = onnx.load(str(tiny_contenders[1].path))
    old = model.graph.input[0].name
    for value in model.graph.input:
        value.name = value.name.replace(old, "pixels")
    for node in model.graph.node:
        node.input[:] = ["pixels" if name == old else name for name in node.input]
    onnx.save(model, str(tmp_path / "odd.onnx"))
    with pytest.raises(ModelError, match="pixels"):
        open_contender(replace(tiny_contenders[1], path=tmp_path / "odd.onnx"))
