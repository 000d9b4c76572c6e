from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glp_export.artifact import describe, describe_fusions, optimise, require_fusions
from glp_export.artifact.fusions import fusions_by_layer, missed_fusions
from glp_export.artifact.onnx_file import read_graph, write_graph
from glp_export.core.errors import ModelError, UsageError
from tests.exported import Exported

LAYERS = 4


@pytest.mark.parametrize("level", ["O2", "O3"])
@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "electra"])
def test_fused_everywhere(
    export: Callable[..., Exported], family: str, level: str, tmp_path: Path
) -> None:
    made = export(family)
    file = optimise(made.file, level, tmp_path / "model.onnx", made.checkpoint)
    by_layer = fusions_by_layer(file, LAYERS)
    assert [layer["attention"] for layer in by_layer] == [1] * LAYERS
    assert [layer["skip-layer-norm"] for layer in by_layer] == [2] * LAYERS
    require_fusions(file, LAYERS, made.checkpoint)


def test_a_plain_graph_lacks_every_pattern_and_they_are_named(bert: Exported) -> None:
    with pytest.raises(ModelError) as caught:
        require_fusions(bert.file, LAYERS, bert.checkpoint)
    for pattern in ("attention", "skip-layer-norm", "gelu"):
        assert f"{pattern} missed in all 4 layers" in caught.value.what
    assert str(bert.checkpoint) in (caught.value.where or "")
    require_fusions(bert.file, LAYERS, bert.checkpoint, patterns=[])


def test_the_family_whose_attention_is_not_found_is_refused_for_that_alone(
    export: Callable[..., Exported], tmp_path: Path
) -> None:
    made = export("mpnet")
    file = optimise(made.file, "O2", tmp_path / "model.onnx", made.checkpoint)
    assert missed_fusions(file, LAYERS) == {"attention": (0, 1, 2, 3)}
    require_fusions(file, LAYERS, made.checkpoint, ["skip-layer-norm", "gelu"])


def test_the_layer_that_was_missed_is_told(bert: Exported, tmp_path: Path) -> None:
    file = optimise(bert.file, "O2", tmp_path / "model.onnx", bert.checkpoint)
    model = read_graph(file.path)
    attention: list[Any] = [node for node in model.graph.node if node.op_type == "Attention"]
    gelu: list[Any] = [node for node in model.graph.node if node.op_type == "BiasGelu"]
    attention[2].op_type = "Softmax"  # what is left where the attention is not fused
    gelu[1].op_type = gelu[3].op_type = "Erf"
    broken = describe(write_graph(model, tmp_path / "broken.onnx"), optimisation="O2")
    with pytest.raises(ModelError, match="attention missed in layer 2; gelu missed in layers 1, 3"):
        require_fusions(broken, LAYERS, bert.checkpoint)


def test_unknown_pattern(bert: Exported) -> None:
    with pytest.raises(UsageError, match="rotary"):
        require_fusions(bert.file, LAYERS, bert.checkpoint, ["rotary"])


def test_fusions_in_words(bert: Exported) -> None:
    assert describe_fusions(bert.file) == "9 LayerNormalization"
