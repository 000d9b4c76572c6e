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
