from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import nn

from glp_export.core.errors import ModelError
from glp_export.core.factors import PRESETS, Factors, Preset
from glp_export.encoder.kronecker import (
    count_parameters,
    factorize,
    multiply_out,
    parameters_after,
)
from glp_export.encoder.kronecker_parts import (
    KroneckerEmbedding,
    KroneckerLinear,
    nearest_kronecker,
)
from tests.tiny import WORDS, make_config

SIZES = [((12, 8), (3, 2)), ((12, 8), (4, 4)), ((8, 12), (1, 6)), ((12, 8), (12, 1))]
INPUTS = {
    "input_ids": torch.randint(5, 5 + len(WORDS), (3, 7), generator=torch.manual_seed(1)),
    "attention_mask": torch.tensor([[1] * 7, [1] * 5 + [0] * 2, [1] * 7]),
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def model_of(family: str = "bert", **extra: Any) -> Any:
    config = make_config(family, 2, num_labels=3, **extra)
    return transformers.AutoModelForSequenceClassification.from_config(config).eval()


def multiplied(outer: torch.Tensor, inner: torch.Tensor) -> torch.Tensor:
    return sum(torch.kron(a, b) for a, b in zip(outer, inner, strict=True))


def distance(matrix: torch.Tensor, inner: tuple[int, int], terms: int) -> float:
    return float((matrix - multiplied(*nearest_kronecker(matrix, inner, terms))).norm())


@pytest.mark.parametrize(("size", "inner"), SIZES)
@pytest.mark.parametrize("terms", [1, 2])
def test_a_sum_of_products_is_found_again(size, inner, terms):
    outer = torch.randn(terms, size[0] // inner[0], size[1] // inner[1])
    matrix = multiplied(outer, torch.randn(terms, *inner))
    assert distance(matrix, inner, terms) < 1e-5 * matrix.norm()
    # Terms too many are zeros, not noise of division by nothing.
    if terms == 1:
        assert distance(matrix, inner, 2) < 1e-5 * matrix.norm()


@pytest.mark.parametrize(("size", "inner"), SIZES)
def test_each_term_comes_nearer_and_all_of_them_are_exact(size, inner):
    matrix = torch.randn(size)
    most = min(inner[0] * inner[1], matrix.numel() // (inner[0] * inner[1]))
    errors = [distance(matrix, inner, terms) for terms in range(1, most + 1)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-5 * matrix.norm()
    # Nothing is nearer: what is left is the rest of the singular values.
    blocks = matrix.reshape(size[0] // inner[0], inner[0], size[1] // inner[1], inner[1])
    values = torch.linalg.svdvals(blocks.transpose(1, 2).reshape(-1, inner[0] * inner[1]))
    assert errors[0] == pytest.approx(float(values[1:].norm()), rel=1e-4)
    with pytest.raises(ModelError, match="terms"):
        nearest_kronecker(matrix, inner, most + 1)


@pytest.mark.parametrize(("size", "inner"), SIZES)
@pytest.mark.parametrize("terms", [1, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_computes_what_its_dense_one_does(size, inner, terms, bias):
    made = KroneckerLinear(size[1], size[0], inner, terms, bias=bias)
    if bias:
        nn.init.normal_(made.bias)
    dense = made.to_dense()
    assert type(dense) is nn.Linear
    assert torch.allclose(
        dense.weight, multiplied(made.outer, made.inner), atol=1e-6
    )  # A ⊗ B as torch has it
    for shape in ((size[1],), (5, size[1]), (2, 3, size[1])):
        inputs = torch.randn(shape)
        assert torch.allclose(made(inputs), dense(inputs), atol=1e-5)


def test_the_cheaper_side_comes_first():
    assert KroneckerLinear(64, 64, (2, 2)).inner_first
    assert KroneckerLinear(32, 256, (16, 32)).inner_first
    assert not KroneckerLinear(256, 32, (16, 2)).inner_first


def test_a_layer_near_a_dense_one_is_fitted_with_its_bias():
    dense = KroneckerLinear(8, 12, (3, 2), terms=2).to_dense().eval()
    nn.init.normal_(dense.bias)
    made = KroneckerLinear.of(dense, (3, 2), terms=2)
    inputs = torch.randn(4, 8)
    assert torch.allclose(made(inputs), dense(inputs), atol=1e-5)
    assert not made.training
    assert KroneckerLinear.of(dense.double(), (3, 2)).outer.dtype == torch.float64


def test_an_embedding_computes_what_its_dense_one_does():
    dense = nn.Embedding(50, 24, padding_idx=3)
    made = KroneckerEmbedding.of(dense, 8)
    again = made.to_dense()
    numbers = torch.randint(0, 50, (2, 5))
    assert torch.allclose(made(numbers), again(numbers), atol=1e-6)
    assert again.padding_idx == made.padding_idx == 3
    assert count_parameters(made) == 50 * 3 + 8
    exact = KroneckerEmbedding.of(again, 8)
    assert torch.allclose(exact(numbers), again(numbers), atol=1e-6)
    made(torch.tensor([[3, 4]])).sum().backward()
    assert not made.table.weight.grad[3].any()
    assert made.table.weight.grad[4].any()
    with pytest.raises(ModelError, match="divide"):
        KroneckerEmbedding(50, 24, 7)


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "distilbert", "mpnet"])
def test_a_model_and_its_dense_one_agree(family, preset, tmp_path):
    model = model_of(family)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    made = factorize(model, PRESETS[preset])
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    linears = [one for one in made.modules() if isinstance(one, KroneckerLinear)]
    assert len(linears) == 12
    assert count_parameters(made) == parameters_after(model, PRESETS[preset])
    assert count_parameters(made) < count_parameters(model)
    dense = multiply_out(made)
    assert not any("Kronecker" in type(one).__name__ for one in dense.modules())
    dense.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        wanted = made(**INPUTS).logits
        assert torch.allclose(dense(**INPUTS).logits, wanted, atol=1e-5)
        assert torch.allclose(loaded(**INPUTS).logits, wanted, atol=1e-5)


def test_a_model_of_products_loses_nothing():
    preset = PRESETS["x8"]
    made = factorize(model_of(), preset)
    again = factorize(multiply_out(made), preset)
    with torch.inference_mode():
        assert torch.allclose(again(**INPUTS).logits, made(**INPUTS).logits, atol=1e-5)


def test_weights_of_factors_load_into_a_model_without_fitting():
    model, preset = model_of(), PRESETS["x5"]
    made = factorize(model, preset)
    empty = factorize(model, preset, fit=False)
    assert not torch.equal(empty(**INPUTS).logits, made(**INPUTS).logits)
    empty.load_state_dict(made.state_dict())
    assert torch.equal(empty(**INPUTS).logits, made(**INPUTS).logits)


@pytest.mark.parametrize("preset", PRESETS)
def test_all_factors_learn(preset):
    made = factorize(model_of(), PRESETS[preset]).train()
    optimizer = torch.optim.AdamW(made.parameters(), lr=1e-2)
    labels = torch.tensor([0, 1, 2])
    losses = []
    for _ in range(12):
        loss = made(**INPUTS, labels=labels).loss
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0] / 2
    for name, parameter in made.named_parameters():
        if name.endswith(("outer", "inner", "table.weight", ".row")):
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize("preset", ["x5", "x8"])
def test_the_exported_graph_has_standard_operators_and_agrees(preset, dynamo, tmp_path):
    import onnx
    import onnxruntime

    if dynamo:
        pytest.importorskip("onnxscript")
    config = make_config("bert", 2, num_labels=3)
    config._attn_implementation = "eager"
    model = transformers.AutoModelForSequenceClassification.from_config(config).eval()
    made = Whole(factorize(model, PRESETS[preset])).eval()
    path = export(made, tmp_path / "model.onnx", dynamo=dynamo)
    graph = onnx.load(path)
    assert {node.domain for node in graph.graph.node} <= {"", "ai.onnx"}
    held = sum(int(np.prod(one.dims)) for one in graph.graph.initializer)
    assert held < 1.1 * count_parameters(made) + 200
    session = onnxruntime.InferenceSession(str(path))
    other = {"input_ids": INPUTS["input_ids"][:, :4].repeat(2, 1)}
    other["attention_mask"] = torch.ones_like(other["input_ids"])
    for batch in (INPUTS, other):
        given = {name: tensor.numpy() for name, tensor in batch.items()}
        with torch.inference_mode():
            wanted = made(**batch).numpy()
        assert np.abs(session.run(None, given)[0] - wanted).max() < 1e-5


class Whole(nn.Module):
    """A model whose output is its logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def export(model: nn.Module, path: Path, *, dynamo: bool) -> Path:
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    axes: dict[str, Any] = (
        {"dynamic_shapes": {name: {0: batch, 1: length} for name in INPUTS}}
        if dynamo
        else {"dynamic_axes": {name: {0: "batch", 1: "length"} for name in INPUTS}}
    )
    with torch.inference_mode():
        torch.onnx.export(
            model,
            tuple(INPUTS.values()),
            path,
            input_names=list(INPUTS),
            opset_version=18,
            dynamo=dynamo,
            external_data=False,
            **axes,
        )
    return path


def test_factors_that_do_not_divide_are_told_of_before_anything_is_computed():
    preset = Preset(Factors((3, 2)), Factors((2, 8), inner=False), 8)
    with pytest.raises(ModelError, match="3×2") as caught:
        factorize(model_of(), preset)
    assert "attention" in (caught.value.where or "")
    with pytest.raises(ModelError, match="divide"):
        parameters_after(model_of(), Preset(Factors((2, 2)), Factors((2, 2)), 7))
    with pytest.raises(ModelError, match="terms"):
        factorize(model_of(), Preset(Factors((2, 2), 5), Factors((2, 2)), 8))


def test_models_that_cannot_have_factors_say_why():
    preset = PRESETS["x8"]
    masked = transformers.AutoModelForMaskedLM.from_config(make_config("bert", 2))
    with pytest.raises(ModelError, match="predicts words"):
        factorize(masked, preset)
    model = model_of()
    model.bert.encoder.layer[1].attention.self.query = nn.Linear(32, 24)
    with pytest.raises(ModelError, match="neither"):
        factorize(model, preset)
    with pytest.raises(ModelError):
        factorize(model_of("modernbert"), preset)
    t5 = transformers.AutoModelForTokenClassification.from_config(make_config("t5", 2))
    with pytest.raises(ModelError, match="t5"):
        factorize(t5, preset)
    with pytest.raises(ModelError, match="plain"):
        factorize(factorize(model_of(), preset), preset)


def test_the_presets_of_bert_base_are_what_they_are_called():
    with torch.device("meta"):
        base = transformers.BertModel(transformers.BertConfig())
    before = count_parameters(base)
    for name, ratio in {"x5": 5, "x8": 7.4, "x21": 20}.items():
        assert ratio < before / parameters_after(base, PRESETS[name]) < ratio + 1
