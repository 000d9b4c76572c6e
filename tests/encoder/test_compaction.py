from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from glp_export.core.errors import ModelError, UsageError
from glp_export.core.shape import Kept
from glp_export.encoder.compaction import compact, expand, require_zeros
from glp_export.encoder.layer_stack import remove_layers
from glp_export.encoder.masking import masked, scaled
from glp_export.encoder.sublayers import (
    SUBLAYERS,
    find_sublayers,
    layer_shape,
    layers_of,
    require_sublayers,
    shape_of,
)
from tests.tiny import HEADS, auto_class_of, make_config

CUTS = {
    "uneven": [([0, 2], range(0, 64, 2)), ([1, 2, 3], range(5, 40)), ([3], [7]), ([0, 3], [1, 63])],
    "no heads first": [([], range(9)), ([1, 3], range(64)), ([0, 1], [3, 4]), ([2], range(64))],
    "no heads last": [([1], range(9)), ([1, 3], range(64)), ([0, 1], [3, 4]), ([], range(64))],
    "no neurons": [([0, 2], []), ([1, 3], range(30)), ([0, 1, 2, 3], []), ([2], [1, 5])],
    "neither": [([], []), ([1, 3], range(30)), ([], []), ([2], [1, 5])],
    "no heads at all": [([], range(9)), ([], []), ([], [3, 4]), ([], range(64))],
}
ROWS = {id(row): family for family, row in reversed(SUBLAYERS.items())}.values()
"""One family for each way of keeping heads and neurons."""


def model_of(family: str, auto_class: str | None = None, **extra: Any) -> Any:
    import transformers

    torch.manual_seed(0)
    loader = getattr(transformers, auto_class or auto_class_of(family))
    model = loader.from_config(make_config(family, num_labels=2, **extra)).eval()
    with torch.no_grad():  # what is zero at first would hide a mistake
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        if auto_class is None and family in HEADS:
            model.classifier.weight.mul_(0.1)  # answers of about 1, of which 1e-6 is rounding
    return model


def batch(rows: int = 3, tokens: int = 12) -> dict[str, torch.Tensor]:
    """Rows of which all but the first end in padding."""
    ids = torch.arange(rows * tokens).reshape(rows, tokens) % 14 + 5
    mask = torch.ones_like(ids)
    mask[1, tokens // 2 :] = mask[2:, tokens - 2 :] = 0
    return {"input_ids": ids * mask, "attention_mask": mask}


def answers(model: Any, given: dict[str, torch.Tensor] | None = None) -> torch.Tensor:
    with torch.no_grad():
        return model(**(given or batch()))[0]


def same(one: torch.Tensor, other: torch.Tensor) -> None:
    # Sums in another order: by the CPU up to some units of the last place.
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def kept_of(model: Any) -> Kept:
    """The heads and neurons whose output columns are not all zero."""
    row = require_sublayers(model)
    outputs = row.attention_output, row.feed_forward_output

    def used(layer: Any, output: str, units: int) -> list[int]:
        if not units:
            return []
        weight = layer.get_submodule(output).weight.detach()
        some = weight.reshape(len(weight), units, -1).abs().amax(dim=(0, 2)) > 0
        return torch.nonzero(some).flatten().tolist()

    layers = []
    for layer in layers_of(model):
        shape = layer_shape(layer, row)
        counts = shape.heads, shape.neurons
        layers.append(tuple(map(used, (layer, layer), outputs, counts)))
    return Kept.of(layers)


def check(model: Any, kept: Kept) -> tuple[Any, Any]:
    """Hold masked, compact and dense model against one another; the latter two come back."""
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    small = compact(model, kept)
    with masked(model, kept):
        expected = answers(model)
    assert not torch.allclose(answers(model), expected)
    same(answers(small), expected)
    dense = expand(small, kept)
    same(answers(dense), expected)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    return small, dense


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("family", ROWS)
def test_masked_compact_and_dense_models_compute_the_same(family, cut):
    model, kept = model_of(family), Kept.of(CUTS[cut])
    small, dense = check(model, kept)
    assert type(small) is type(dense) is type(model)
    assert shape_of(small) == kept.shape(shape_of(model))
    assert shape_of(dense) == shape_of(model)
    assert small.num_parameters() < model.num_parameters()
    assert kept_of(dense) == kept


@pytest.mark.parametrize("family", sorted({*SUBLAYERS} - {*ROWS}))
def test_families_with_the_row_of_another_do_as_well(family):
    check(model_of(family), Kept.of(CUTS["uneven"]))


@pytest.mark.parametrize(
    ("family", "extra"),
    [
        ("deberta-v2", {"share_att_key": True, "position_buckets": 4, "conv_kernel_size": 3}),
        ("deberta-v2", {"relative_attention": False}),
        ("deberta", {"relative_attention": False}),
        ("modernbert", {"attention_bias": True, "mlp_bias": True, "norm_bias": True}),
        ("t5", {"feed_forward_proj": "gated-gelu"}),
        ("t5", {"d_kv": 12}),
        ("bert", {"position_embedding_type": "relative_key"}),
        ("bert", {"chunk_size_feed_forward": 3}),
    ],
)
def test_variants_of_a_family(family, extra):
    check(model_of(family, **extra), Kept.of(CUTS["neither"]))


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert"])
def test_attention_may_be_computed_either_way(family, attention):
    model, kept = model_of(family), Kept.of(CUTS["uneven"])
    small = compact(model, kept)
    other = expand(small, kept, attention=attention)
    assert other.config._attn_implementation == attention
    # Rows that see padding alone may differ, answers of real tokens may not.
    torch.testing.assert_close(answers(compact(other, kept)), answers(small), atol=2e-6, rtol=0)


@pytest.mark.parametrize(
    "auto_class",
    [
        "AutoModel",
        "AutoModelForMaskedLM",
        "AutoModelForQuestionAnswering",
        "AutoModelForSequenceClassification",
        "AutoModelForTokenClassification",
    ],
)
@pytest.mark.parametrize("family", ["bert", "modernbert"])
def test_any_head_and_plain_transformers_loads_the_dense_model(family, auto_class, tmp_path):
    import transformers

    model, kept = model_of(family, auto_class), Kept.of(CUTS["neither"])
    small, dense = check(model, kept)
    assert dense.config.to_dict() == model.config.to_dict() == small.config.to_dict()
    dense.save_pretrained(tmp_path)
    loaded = getattr(transformers, auto_class).from_pretrained(tmp_path).eval()
    same(answers(loaded), answers(small))
    same(answers(compact(loaded, kept)), answers(small))


def test_a_model_and_the_record_of_another_are_refused():
    model = model_of("bert")
    kept, other = Kept.of(CUTS["uneven"]), Kept.of(CUTS["no heads last"])
    with pytest.raises(ModelError, match="record"):
        expand(compact(model, kept), other)


@pytest.mark.parametrize("family", ["bert", "modernbert", "t5"])
def test_what_a_record_says_is_gone_has_no_output(family):
    """A dense model that was trained on has weights there again: cut, it would be another."""
    model, kept = model_of(family), Kept.of(CUTS["uneven"])
    _, dense = check(model, kept)
    require_zeros(dense, kept)
    with pytest.raises(ModelError, match="record"):
        require_zeros(model, kept)


@pytest.mark.parametrize("family", ["bert", "modernbert", "t5"])
def test_a_compact_model_trains(family):
    model, kept = model_of(family), Kept.of(CUTS["neither"])
    small = compact(model, kept).train()
    optimiser = torch.optim.AdamW(small.parameters(), lr=1e-2)
    shape = (3,) if model.config.model_type in ("bert", "modernbert") else (3, 12)
    labels = torch.ones(shape, dtype=torch.int64)
    losses = []
    for _ in range(4):
        loss = small(**batch(), labels=labels).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss))
    assert losses[-1] < losses[0]
    used = {name for name, parameter in small.named_parameters() if parameter.grad is not None}
    bias = [name for name, _ in small.named_parameters() if name.endswith("0.output.dense.bias")]
    assert set(bias) <= used  # the emptied sublayer's own
    dense = expand(small.eval(), kept)
    same(answers(dense), answers(small))
    assert kept_of(dense) == kept


@pytest.mark.parametrize("family", ROWS)
def test_a_compact_model_can_be_pruned_again_and_copied(family):
    model = model_of(family)
    first = Kept.of(CUTS["uneven"])
    second = Kept.of([([], range(3)), ([1], range(30)), ([0], []), ([0, 1], [0])])
    both = first.then(second)
    small = copy.deepcopy(compact(compact(model, first), second))
    assert shape_of(small) == both.shape(shape_of(model))
    with masked(model, both):
        same(answers(small), answers(model))
    same(answers(expand(small, both)), answers(small))
    same(answers(compact(small, Kept.everything(shape_of(small)))), answers(small))


def test_heads_go_from_what_whole_layers_have_left():
    shallow = remove_layers(model_of("bert"), (1,)).eval()
    check(shallow, Kept.of(CUTS["uneven"][:3]))


def test_gradients_reach_the_factors_of_heads_and_neurons():
    model = model_of("bert")
    masks = [
        (torch.ones(layer.heads, requires_grad=True), torch.ones(layer.neurons, requires_grad=True))
        for layer in shape_of(model).layers
    ]
    with scaled(model, masks):
        model(**batch(), labels=torch.tensor([0, 1, 1])).loss.backward()
    assert all((mask.grad != 0).any() for pair in masks for mask in pair)
    same(answers(model), answers(model_of("bert")))


@pytest.mark.parametrize("family", ["data2vec-text", "megatron-bert"])
def test_a_family_without_a_row_is_taken_for_bert_where_it_is_built_like_it(family):
    from transformers import AutoConfig, AutoModelForSequenceClassification

    sizes = {name: getattr(make_config(), name) for name in make_config().to_diff_dict()}
    config = AutoConfig.for_model(family, **{k: v for k, v in sizes.items() if k != "model_type"})
    model = AutoModelForSequenceClassification.from_config(config).eval()
    assert model.config.model_type not in SUBLAYERS
    check(model, Kept.of(CUTS["uneven"]))


def test_a_family_without_a_row_loses_layers_only():
    model = model_of("own-bert")
    assert find_sublayers(model) is None
    with pytest.raises(ModelError, match="of own-bert only whole layers can be pruned"):
        require_sublayers(model)
    with pytest.raises(ModelError, match="own-bert"):
        compact(model, Kept.of(CUTS["uneven"]))
    shape = shape_of(model)
    assert [(layer.heads, layer.head_size, layer.neurons) for layer in shape.layers] == [
        (4, 8, 64)
    ] * 4


def test_weights_between_heads_that_no_row_names_leave_whole_layers_only():
    model = model_of("deberta", talking_head=True)
    assert find_sublayers(model) is None


@pytest.mark.parametrize(
    ("layers", "word"),
    [
        ([([4], [1])] * 4, "has not"),
        ([([0], [64])] * 4, "has not"),
        ([([0], [1])] * 3, "has not"),
        ([([], [])] * 4, "no head"),
    ],
)
def test_what_cannot_be_kept_is_a_usage_error(layers, word):
    with pytest.raises(UsageError, match=word):
        compact(model_of("bert"), Kept.of(layers))


@pytest.mark.parametrize("family", ["bert", "distilbert", "modernbert", "mpnet", "t5"])
def test_the_onnx_graph_agrees_and_can_be_quantised(family, tmp_path):
    import onnxruntime
    from onnxruntime.quantization import quantize_dynamic

    model, kept = model_of(family), Kept.of(CUTS["neither"])
    small = compact(expand(compact(model, kept), kept, attention="eager"), kept)
    to_onnx(small, tmp_path / "small.onnx")
    to_onnx(model, tmp_path / "whole.onnx")
    # With the quantiser's own check of shapes: an emptied sublayer has no matrix left.
    quantize_dynamic(tmp_path / "small.onnx", tmp_path / "int8.onnx", per_channel=True)
    assert products(tmp_path / "small.onnx") < products(tmp_path / "whole.onnx")
    for given in (batch(), batch(5, 9)):
        feed = {name: tensor.numpy() for name, tensor in given.items()}
        session = onnxruntime.InferenceSession(tmp_path / "small.onnx")
        np.testing.assert_allclose(session.run(None, feed)[0], answers(small, given), atol=1e-5)
        int8 = onnxruntime.InferenceSession(tmp_path / "int8.onnx").run(None, feed)[0]
        assert np.isfinite(int8).all()


def to_onnx(model: Any, path: Any) -> None:
    names = list(batch())
    forward = model.forward
    model.forward = lambda *tensors: forward(**dict(zip(names, tensors, strict=True)))[0]
    axes = {name: {0: "batch", 1: "tokens"} for name in names}
    try:
        torch.onnx.export(
            model,
            tuple(batch().values()),
            path,
            input_names=names,
            output_names=["answers"],
            dynamic_axes={**axes, "answers": {0: "batch"}},
            opset_version=18,
            dynamo=False,
        )
    finally:
        del model.forward


def products(path: Any) -> int:
    import onnx

    return sum(node.op_type in ("MatMul", "Gemm") for node in onnx.load(path).graph.node)


def test_layers_of_a_compact_model_keep_no_trace_of_what_is_gone():
    small = compact(model_of("bert"), Kept.of(CUTS["uneven"]))
    counts = [layer.attention.self.num_attention_heads for layer in layers_of(small)]
    assert counts == [2, 3, 1, 2]
    sizes = [tuple(layer.output.dense.weight.shape) for layer in layers_of(small)]
    assert sizes == [(32, 32), (32, 35), (32, 1), (32, 2)]
    linear = layers_of(small)[1].intermediate.dense
    assert (linear.in_features, linear.out_features) == (32, 35)
