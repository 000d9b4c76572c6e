from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import onnx
import pytest

from glp_export.artifact import export_onnx, open_session
from glp_export.artifact.export import name_dimensions, require_standard
from glp_export.artifact.modules import config_of
from glp_export.artifact.onnx_file import read_graph, sidecar
from glp_export.artifact.shapes import longest_sequence, try_shapes
from glp_export.core.errors import ModelError, ParityError, UsageError
from tests.exported import EXPORT_TASK, Exported

FAMILIES = ("bert", "roberta", "distilbert")


@pytest.mark.parametrize("family", FAMILIES)
def test_dimensions_are_named_as_consumers_expect(
    export: Callable[..., Exported], family: str
) -> None:
    session = open_session(export(family).file.path, threads=1)
    for node in session.get_inputs():
        assert node.shape == ["batch_size", "sequence_length"]
        assert node.type == "tensor(int64)"
    assert [(node.name, node.shape) for node in session.get_outputs()] == [
        ("logits", ["batch_size", 2])
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_graph_is_left_and_it_is_standard(
    export: Callable[..., Exported], family: str
) -> None:
    file = export(family).file
    assert [path.name for path in file.path.parent.iterdir()] == ["model.onnx"]
    model = onnx.load(file.path)
    onnx.checker.check_model(model)
    assert {node.domain for node in model.graph.node} == {""}
    assert file.nodes == len(model.graph.node)
    assert file.fusions == {"LayerNormalization": 9}
    assert (file.precision, file.optimisation, file.variant) == ("fp32", "none", "model.onnx")


def test_opset_is_the_one_asked_for(bert: Exported, tmp_path: Path) -> None:
    file = export_onnx(bert.checkpoint, tmp_path / "model.onnx", export_task=EXPORT_TASK, opset=17)
    assert file.opset == 17


@pytest.mark.parametrize("opset", [1, 999])
def test_opset_that_cannot_be_names_the_flag(bert: Exported, tmp_path: Path, opset: int) -> None:
    with pytest.raises(UsageError, match=f"opset {opset}") as caught:
        export_onnx(bert.checkpoint, tmp_path / "m.onnx", export_task=EXPORT_TASK, opset=opset)
    assert caught.value.where == "--opset"


def test_export_prints_nothing_on_stdout(
    bert: Exported, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    export_onnx(bert.checkpoint, tmp_path / "model.onnx", export_task=EXPORT_TASK)
    assert capfd.readouterr().out == ""


def test_weights_past_the_threshold_lie_in_a_sidecar(bert: Exported, tmp_path: Path) -> None:
    # The real threshold is 2 GB; the tiny model's weights are 200 kB.
    path = tmp_path / "onnx" / "model.onnx"
    file = export_onnx(bert.checkpoint, path, export_task=EXPORT_TASK, sidecar_threshold=10_000)
    assert sorted(entry.name for entry in path.parent.iterdir()) == [
        "model.onnx",
        "model.onnx_data",
    ]
    locations = {
        entry.value
        for tensor in read_graph(path).graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    assert locations == {"model.onnx_data"}
    assert file.bytes == path.stat().st_size + sidecar(path).stat().st_size
    assert path.stat().st_size < sidecar(path).stat().st_size
    open_session(path, threads=1)


def test_exporting_twice_does_not_grow_the_sidecar(bert: Exported, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    sizes = [
        export_onnx(bert.checkpoint, path, export_task=EXPORT_TASK, sidecar_threshold=10_000).bytes
        for _ in range(2)
    ]
    assert sizes[0] == sizes[1]


def test_what_a_killed_export_left_is_not_shipped(bert: Exported, tmp_path: Path) -> None:
    (tmp_path / ".export").mkdir()
    (tmp_path / ".export" / "model.onnx_data").write_bytes(b"half")
    export_onnx(bert.checkpoint, tmp_path / "model.onnx", export_task=EXPORT_TASK)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_task_that_no_exporter_knows(bert: Exported, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="image-classification") as caught:
        export_onnx(bert.checkpoint, tmp_path / "m.onnx", export_task="image-classification")
    assert caught.value.exit_code == 7


def test_checkpoint_that_lacks_the_head(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"classifier\.weight") as caught:
        export_onnx(encoder, tmp_path / "m.onnx", export_task=EXPORT_TASK, exporter="torch")
    assert caught.value.exit_code == 7
    assert not (tmp_path / "m.onnx").exists()


def test_directory_without_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        export_onnx(tmp_path, tmp_path / "m.onnx", export_task=EXPORT_TASK)


def test_pickled_weights_are_refused(bert: Exported, tmp_path: Path) -> None:
    shutil.copy(bert.checkpoint / "config.json", tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(ModelError, match="pickles are not loaded") as caught:
        export_onnx(tmp_path, tmp_path / "m.onnx", export_task=EXPORT_TASK)
    assert "save_pretrained" in str(caught.value)


def test_dimensions_of_another_exporter_are_renamed(bert: Exported) -> None:
    model = read_graph(bert.file.path)
    old = {"batch_size": "s18", "sequence_length": "s41"}
    for value in (*model.graph.input, *model.graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            dimension.dim_param = old.get(dimension.dim_param, dimension.dim_param)
    name_dimensions(model)
    assert {d.dim_param for d in model.graph.input[0].type.tensor_type.shape.dim} == set(old)
    assert model.graph.output[0].type.tensor_type.shape.dim[0].dim_param == "batch_size"


def test_frozen_input_dimension_is_a_parity_failure(bert: Exported) -> None:
    model = read_graph(bert.file.path)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 16
    with pytest.raises(ParityError, match="froze the sequence_length of 'input_ids' at 16"):
        name_dimensions(model)


def test_shape_frozen_inside_the_graph_is_noticed(bert: Exported, tmp_path: Path) -> None:
    """The names of the dimensions promise what a Reshape in the middle does not keep."""
    from onnx import TensorProto, helper

    model = read_graph(bert.file.path)
    for node in model.graph.node:
        if "logits" in node.output:
            node.output[0] = "free"
    shape = helper.make_tensor("frozen_shape", TensorProto.INT64, [2], [2, 2])
    model.graph.initializer.append(shape)
    model.graph.node.append(helper.make_node("Reshape", ["free", "frozen_shape"], ["logits"]))
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(ParityError, match="batch 1"):
        try_shapes(tmp_path / "model.onnx", config_of(bert.checkpoint), "bert", threads=1)


def test_operator_outside_the_standard_is_named(bert: Exported) -> None:
    model = read_graph(bert.file.path)
    model.graph.node[0].domain = "com.microsoft"
    with pytest.raises(ModelError, match=r"com\.microsoft\."):
        require_standard(model, bert.file.path)


@pytest.mark.parametrize(
    ("config", "length"),
    [
        ({"max_position_embeddings": 514, "pad_token_id": 1}, 512),  # RoBERTa
        ({"max_position_embeddings": 80, "pad_token_id": 0}, 78),  # MPNet starts at 2
        ({"max_position_embeddings": 8192, "pad_token_id": 3}, 512),  # ModernBERT: long enough
        ({}, 510),
    ],
)
def test_longest_sequence_stays_inside_the_positions(config: dict[str, int], length: int) -> None:
    assert longest_sequence(SimpleNamespace(**config)) == length
