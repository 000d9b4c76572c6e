from __future__ import annotations

import pytest
import torch

from glp_export.core.shape import Kept
from glp_export.encoder.compaction import compact, expand, kept_of, load_compact, masked
from glp_export.encoder.sublayers import SUBLAYERS, find_sublayers, shape_of
from tests.tiny import auto_class_of, make_config

CUTS = {
    "uneven": [([0, 2], range(0, 64, 2)), ([1, 2, 3], range(5, 40)), ([3], [7]), ([0, 3], [1, 63])],
    "no heads first": [([], range(9)), ([1, 3], range(64)), ([0, 1], [3, 4]), ([2], range(64))],
    "no heads last": [([1], range(9)), ([1, 3], range(64)), ([0, 1], [3, 4]), ([], range(64))],
    "no neurons": [([0, 2], []), ([1, 3], range(30)), ([0, 1, 2, 3], []), ([2], [1, 5])],
    "neither": [([], []), ([1, 3], range(30)), ([], []), ([2], [1, 5])],
    "no heads at all": [([], range(9)), ([], []), ([], [3, 4]), ([], range(64))],
}


def model_of(family: str, auto_class: str | None = None, **extra):
    import transformers

    torch.manual_seed(0)
    loader = getattr(transformers, auto_class or auto_class_of(family))
    model = loader.from_config(make_config(family, num_labels=2, **extra)).eval()
    with torch.no_grad():  # what is zero at first would hide a mistake
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def batch() -> dict[str, torch.Tensor]:
    ids = torch.arange(36).reshape(3, 12) % 14 + 5
    mask = torch.ones_like(ids)
    mask[1, 7:] = mask[2, 10:] = 0
    return {"input_ids": ids * mask, "attention_mask": mask}


def answers(model, given=None):
    with torch.no_grad():
        return model(**(given or batch()))[0]


def same(one, other) -> None:
    torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("family", SUBLAYERS)
def test_masked_compact_and_dense_models_compute_the_same(family, cut):
    model, kept = model_of(family), Kept.of(CUTS[cut])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    small = compact(model, kept)
    with masked(model, kept):
        expected = answers(model)
    same(answers(small), expected)
    dense = expand(small, kept)
    same(answers(dense), expected)
    assert shape_of(small) == kept.shape(shape_of(model))
    assert small.num_parameters() < model.num_parameters()
    assert kept_of(dense) == kept
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
