"""Every family: which layers there are, and that a model without some computes what it should."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from glp_export.core.errors import ModelError, UsageError
from glp_export.encoder import (
    LayerStack,
    ModelSource,
    find_layer_stack,
    load_model,
    remove_layers,
)
from glp_export.tasks import Task
from tests.families import TESTED, batch
from tests.tiny import FAMILIES, make_config

LAYERS = 4

DROPPED: dict[str, tuple[int, ...]] = {
    "first": (0,),
    "middle": (-2,),
    "last": (-1,),
    "several": (0, -2),
}
"""Positions among the layers that may go."""


def stack_of(model: Any) -> LayerStack:
    """The layers, or the reason why this transformers cannot tell them: a cell of the table."""
    try:
        return find_layer_stack(model)
    except ModelError as error:
        if "installed transformers" not in error.what:
            raise
        pytest.skip(error.what)


def bypass(model: Any, stack: LayerStack, removed: tuple[int, ...]) -> None:
    """Let layers of a model as it is hand on what they are given; what else they make stays."""

    def hand_on(module: Any, args: Any, kwargs: Any, output: Any) -> Any:
        given = args[0] if args else kwargs["hidden_states"]
        return (given, *output[1:]) if isinstance(output, tuple) else given

    for layer in removed:
        module = model.get_submodule(f"{stack.path}.{layer}")
        module.register_forward_hook(hand_on, with_kwargs=True)


def predictions(model: Any) -> torch.Tensor:
    # Longer than the window of local attention, so that a layer of the wrong kind shows.
    inputs = {name: torch.from_numpy(values) for name, values in batch(17, 9).items()}
    with torch.inference_mode():
        return model(**inputs).logits


@pytest.mark.parametrize("row", TESTED)
def test_layers_are_found(row: str, tmp_path: Path, record_support: Any) -> None:
    record_support("families", row, "layers that may go")
    model = TESTED[row].load(TESTED[row].make(tmp_path))
    stack = stack_of(model)
    assert stack.num_layers == LAYERS
    assert len(model.get_submodule(stack.path)) == LAYERS
    all_but = ", ".join(map(str, stack.pinned))
    says = f"all but {all_but}: {stack.reason}" if stack.pinned else "all"
    record_support("families", row, "layers that may go", says=says)


@pytest.mark.parametrize("dropped", DROPPED)
@pytest.mark.parametrize("row", TESTED)
def test_saved_and_loaded_it_answers_like_the_model_with_layers_skipped(
    row: str, dropped: str, tmp_path: Path, record_support: Any
) -> None:
    record_support("families", row, "dropped, saved, loaded: as if skipped")
    tested = TESTED[row]
    model = tested.load(tested.make(tmp_path / "whole"))
    stack = stack_of(model)
    removed = tuple(stack.removable[position] for position in DROPPED[dropped])
    remove_layers(model, removed).save_pretrained(tmp_path / "pruned")
    pruned = tested.load(tmp_path / "pruned")
    whole = predictions(model)
    bypass(model, stack, removed)
    expected = predictions(model)
    # The same operations in the same order: only the last bits of fp32 may differ.
    torch.testing.assert_close(predictions(pruned), expected, atol=2e-5, rtol=1e-5)
    assert (expected - whole).abs().max() > 1e-2  # so the layers did something
    assert len(pruned.get_submodule(stack.path)) == LAYERS - len(removed)
    assert getattr(pruned.config, stack.count) == LAYERS - len(removed)


@pytest.mark.parametrize(
    ("row", "family", "reason"),
    [("ALBERT", "albert", "shared layer"), ("decoders, such as GPT-2", "gpt2", "is a decoder")],
)
def test_models_without_layers_to_take_are_refused(
    row: str, family: str, reason: str, record_support: Any
) -> None:
    from transformers import AutoModel

    record_support("families", row, "layers that may go")
    with pytest.raises(ModelError, match=reason) as caught:
        find_layer_stack(AutoModel.from_config(make_config(family)))
    assert caught.value.exit_code == 7
    says = f"refused: {caught.value.what}"
    record_support("families", row, "layers that may go", says=says)


@pytest.mark.parametrize("family", ["t5", "mt5", "umt5"])
def test_an_encoder_with_its_decoder_is_refused(family: str) -> None:
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_config(make_config(family))
    with pytest.raises(ModelError, match="has an encoder and a decoder") as caught:
        find_layer_stack(model)
    assert "token classification" in str(caught.value.fix)


def test_the_encoder_of_t5_alone_has_layers() -> None:
    from transformers import AutoModelForTextEncoding

    model = AutoModelForTextEncoding.from_config(make_config("t5"))
    assert find_layer_stack(model).path == "encoder.block"


def test_the_encoder_of_t5_may_be_saved_alone(tmp_path: Path) -> None:
    """Its configuration then no longer says that the family has a decoder."""
    from transformers import AutoModelForTextEncoding

    from glp_export.artifact.exporters.optimum import knows

    AutoModelForTextEncoding.from_config(make_config("t5")).save_pretrained(tmp_path)
    source = ModelSource(str(tmp_path))
    vectors = Task("like", "sentence-embeddings", ("a", "b"), "label", (), "spearman")
    model = load_model(source, vectors)
    assert find_layer_stack(model).path == "encoder.block"
    assert not knows(model.config, "feature-extraction")
    classes = Task("feeling", "text-classification", ("text",), "label", ("bad", "good"), "f1")
    with pytest.raises(ModelError, match="has an encoder and a decoder"):
        load_model(source, classes)


def test_the_position_bias_of_t5_moves_to_the_layer_that_is_first(tmp_path: Path) -> None:
    model = TESTED["T5 encoder"].load(TESTED["T5 encoder"].make(tmp_path))
    weights = model.state_dict(), remove_layers(model, (0, 1)).state_dict()
    name = "transformer.encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
    assert torch.equal(weights[0][name], weights[1][name])


def test_the_layer_before_a_convolution_stays(tmp_path: Path) -> None:
    tested = TESTED["DeBERTa-v2"]
    with pytest.raises(UsageError, match="convolution"):
        remove_layers(tested.load(tested.make(tmp_path)), (0,))


def test_a_layer_that_its_number_would_change_is_not_moved() -> None:
    """A family of which nothing is known, in which every other layer is another thing."""
    from tests import own_model

    class Alternating(own_model.OwnForSequenceClassification):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            for number, block in enumerate(self.own.blocks):
                block.window = 8 if number % 2 else 0

    model = Alternating(make_config("own-bert"))
    assert remove_layers(model, (2, 3)).config.num_hidden_layers == 2
    with pytest.raises(ModelError, match=r"layer 2 would be layer 1 .* window 0 would be 8"):
        remove_layers(model, (1,))


def test_every_family_of_the_table_is_tested() -> None:
    from glp_export.encoder import FAMILIES as KNOWN

    assert set(KNOWN) <= {tested.family for tested in TESTED.values()} <= set(FAMILIES)
