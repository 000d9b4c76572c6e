from __future__ import annotations

import subprocess
import sys

import pytest
from pydantic import ValidationError

from glp_export.core.shape import MAX_LAYERS, Kept, KeptLayer, LayerShape, ModelShape

WHOLE = LayerShape(heads=12, head_size=64, neurons=3072)
BASE = ModelShape(layers=(WHOLE,) * 12, vocabulary=30522, hidden_size=768)


def narrow(heads: int, neurons: int, layers: int = 12, **more) -> ModelShape:
    layer = LayerShape(heads=heads, head_size=64, neurons=neurons)
    return BASE.model_copy(update={"layers": (layer,) * layers, **more})


def test_whole_layers_are_told_by_their_number_alone():
    six = BASE.model_copy(update={"layers": (WHOLE,) * 6})
    assert six.whole_layers_of(BASE)
    assert six.label(BASE) == six.label() == "6 layers"
    assert six.depth == 6
    assert narrow(12, 3072, layers=1).label(BASE) == "1 layer"


def test_the_label_has_the_shares_of_the_base():
    half = narrow(6, 768)
    assert not half.whole_layers_of(BASE)
    assert half.label(BASE) == "12 layers, 50 % of heads, 25 % of neurons"
    trimmed = narrow(12, 3072, vocabulary=15261)
    assert trimmed.label(BASE) == "12 layers, 50 % of the vocabulary"
    fewer = narrow(6, 768, layers=6)  # of all the base has, not of six of its layers
    assert fewer.label(BASE) == "6 layers, 25 % of heads, 12 % of neurons"


def test_layers_that_differ_are_counted_out_without_a_base():
    layers = (WHOLE, WHOLE.model_copy(update={"heads": 1, "neurons": 0}))
    assert BASE.model_copy(update={"layers": layers}).label() == "2 layers, 13 heads, 3072 neurons"


def test_whole_layers_come_in_the_order_of_the_base():
    small = LayerShape(heads=2, head_size=64, neurons=5)
    base = BASE.model_copy(update={"layers": (WHOLE, small, WHOLE)})
    shapes = {
        (WHOLE, small): True,
        (small, WHOLE): True,
        (WHOLE, WHOLE): True,
        (small, small): False,
        (WHOLE, small, small): False,
    }
    for layers, whole in shapes.items():
        assert base.model_copy(update={"layers": layers}).whole_layers_of(base) is whole


def test_equal_shapes_are_one_key_and_survive_json():
    again = ModelShape.model_validate_json(BASE.model_dump_json())
    assert again == BASE
    assert len({again, BASE, narrow(6, 768)}) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"layers": [WHOLE.model_dump()] * (MAX_LAYERS + 1)},
        {"layers": [{"heads": -1, "head_size": 64, "neurons": 1}]},
        {"layers": [{"heads": 1, "head_size": 0, "neurons": 1}]},
        {"layers": [{"heads": 1, "head_size": 64, "neurons": 10**6 + 1}]},
        {"vocabulary": 10**8 + 1},
        {"hidden_size": 0},
        {"width": 3},
    ],
)
def test_sizes_out_of_bounds_are_refused(changes):
    with pytest.raises(ValidationError):
        ModelShape.model_validate({**BASE.model_dump(), **changes})


def test_a_record_says_what_shape_is_left():
    base = BASE.model_copy(update={"layers": (WHOLE, WHOLE)})
    kept = Kept.of([([3, 1], range(10)), ([], [])])
    assert kept.layers[0].heads == (1, 3)
    assert [(s.heads, s.neurons) for s in kept.shape(base).layers] == [(2, 10), (0, 0)]
    assert Kept.everything(base).shape(base) == base
    assert Kept.model_validate_json(kept.model_dump_json()) == kept


def test_records_join():
    first = Kept.of([([1, 3, 5], [0, 2, 4, 6])])
    assert first.then(Kept.of([([0, 2], [1, 3])])) == Kept.of([([1, 5], [2, 6])])


@pytest.mark.parametrize("kept", [[([12], [])], [([], [3072])], [([], []), ([], [])]])
def test_a_record_for_another_model_does_not_fit(kept):
    assert not Kept.of(kept).fits(BASE.model_copy(update={"layers": (WHOLE,)}))


@pytest.mark.parametrize("heads", [(1, 1), (2, 1), (-1,)])
def test_numbers_ascend(heads):
    with pytest.raises(ValidationError):
        KeptLayer(heads=heads, neurons=())


@pytest.mark.parametrize("module", ["core.shape", "encoder.compaction"])
def test_the_command_line_may_import_it(module):
    code = f"import sys, glp_export.{module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
