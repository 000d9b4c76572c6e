from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from glp_export.encoder import FAMILIES, find_layer_stack, remove_layers
from glp_export.encoder.layer_stack import LayerStack, _find_by_structure
from glp_export.errors import ModelError, UsageError
from tests.tiny import make_checkpoint, make_config


def classifier(family: str, directory: Path):
    from transformers import AutoModelForSequenceClassification

    make_checkpoint(directory, family, num_labels=2)
    return AutoModelForSequenceClassification.from_pretrained(directory).eval()


def skip_in_place(model, path: str, removed: tuple[int, ...]) -> None:
    parent, _, name = path.rpartition(".")
    holder = model.get_submodule(parent)
    kept = [layer for i, layer in enumerate(getattr(holder, name)) if i not in removed]
    setattr(holder, name, nn.ModuleList(kept))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("removed", [(0,), (1, 2), (3,)])
def test_pruned_checkpoint_answers_like_the_model_with_layers_skipped(family, removed, tmp_path):
    from transformers import AutoModelForSequenceClassification

    model = classifier(family, tmp_path / "whole")
    stack = find_layer_stack(model)
    if set(removed) & set(stack.pinned):
        pytest.skip(f"{family}: {stack.reason}")
    remove_layers(model, removed).save_pretrained(tmp_path / "pruned")
    reloaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "pruned").eval()
    skip_in_place(model, stack.path, removed)
    tokens = torch.randint(5, 20, (2, 7))
    # The same operations in the same order: only the last bits of fp32 may differ.
    torch.testing.assert_close(reloaded(tokens).logits, model(tokens).logits, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_config_counts_the_kept_layers(family, tmp_path):
    model = classifier(family, tmp_path / "whole")
    stack = find_layer_stack(model)
    pruned = remove_layers(model, (1, 3))
    assert getattr(pruned.config, stack.count) == 2
    assert getattr(model.config, stack.count) == 4
    assert len(pruned.get_submodule(stack.path)) == 2


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


def test_shared_layers_are_refused(tmp_path):
    with pytest.raises(ModelError, match="shared layer"):
        find_layer_stack(classifier("albert", tmp_path / "albert"))


def test_decoder_is_refused():
    from transformers import AutoModel

    with pytest.raises(ModelError, match="gpt2 is a decoder"):
        find_layer_stack(AutoModel.from_config(make_config("gpt2")))


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


def test_modernbert_keeps_its_first_layer(tmp_path):
    model = classifier("modernbert", tmp_path / "whole")
    with pytest.raises(UsageError, match="layer 0 cannot be removed"):
        remove_layers(model, (0,))
