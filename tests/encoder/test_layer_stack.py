from __future__ import annotations

from pathlib import Path

import pytest
import torch

from glp_export.core.errors import ModelError, UsageError
from glp_export.encoder import find_layer_stack, remove_layers
from glp_export.encoder.layer_stack import LayerStack, _find_by_structure
from tests.tiny import make_checkpoint, make_config


def classifier(family: str, directory: Path):
    from transformers import AutoModelForSequenceClassification

    make_checkpoint(directory, family, num_labels=2)
    return AutoModelForSequenceClassification.from_pretrained(directory).eval()


def test_removing_leaves_the_model_as_it_was(tmp_path):
    model = classifier("bert", tmp_path / "whole")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    pruned = remove_layers(model, (2,))
    with torch.no_grad():
        for parameter in pruned.parameters():
            parameter.zero_()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_layers_are_found_by_structure_in_a_family_that_is_not_listed(tmp_path):
    model = classifier("bert", tmp_path / "whole")
    assert _find_by_structure(model) == LayerStack("bert.encoder.layer", "num_hidden_layers", 4)


def test_bert_as_decoder_is_refused():
    from transformers import AutoModel

    with pytest.raises(ModelError, match="bert is a decoder"):
        find_layer_stack(AutoModel.from_config(make_config("bert", is_decoder=True)))


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        ((4,), "there is no layer 4"),
        ((-1,), "there is no layer -1"),
        ((1, 1), "one layer twice"),
        ((0, 1, 2, 3), "one must stay"),
    ],
)
def test_impossible_removals_are_usage_errors(removed, message, tmp_path):
    model = classifier("bert", tmp_path / "whole")
    with pytest.raises(UsageError, match=message):
        remove_layers(model, removed)


def test_what_the_configuration_says_of_a_layer_goes_with_it():
    """Longformer has a window for each layer, under a name that does not say so."""
    from transformers import AutoConfig, AutoModel

    from glp_export.encoder import require_removable

    sizes = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 23}
    config = AutoConfig.for_model(
        "longformer", attention_window=[4, 8, 16], intermediate_size=64, pad_token_id=1, **sizes
    )
    model = AutoModel.from_config(config)
    require_removable(model)
    assert remove_layers(model, (1,)).config.attention_window == [4, 16]


def test_a_list_that_is_as_long_as_the_model_is_deep_by_chance_is_left_alone():
    from transformers import AutoModel

    model = AutoModel.from_config(make_config("deberta-v2", 2))
    assert len(model.config.pos_att_type) == 2
    assert list(remove_layers(model, (1,)).config.pos_att_type) == list(model.config.pos_att_type)


def test_heads_that_were_pruned_go_with_their_layer():
    from transformers import AutoModel

    config = make_config("bert", 3)
    config.pruned_heads = {0: [1], 2: [0, 3]}
    model = AutoModel.from_config(config)
    if not hasattr(model, "prune_heads"):
        pytest.skip("transformers 5 prunes no heads")
    small = remove_layers(model, (0,))
    assert small.config.pruned_heads == {1: [0, 3]}
    assert small.encoder.layer[1].attention.self.num_attention_heads == 2
