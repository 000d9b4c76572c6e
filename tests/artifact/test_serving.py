from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glp_export.artifact import ArtifactLayout
from glp_export.artifact.serving import ServingSettings, serving_settings
from glp_export.core.errors import DataError
from glp_export.serve.settings import read_settings
from tests.exported import Exported

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
PLAIN, OPTIMISED = "model.onnx", "model_optimized.onnx"


@pytest.fixture
def layout(bert: Exported, tmp_path: Path) -> ArtifactLayout:
    """An artifact with two ONNX files."""
    made = ArtifactLayout(shutil.copytree(bert.checkpoint, tmp_path / "out"))
    made.onnx_dir.mkdir()
    shutil.copyfile(bert.file.path, made.onnx_model)
    shutil.copyfile(bert.file.path, made.variant("fp32-optimized"))
    return made


def settings(layout: ArtifactLayout, **changes: Any) -> ServingSettings:
    given: dict[str, Any] = {
        "kind": "text-classification",
        "labels": ("bad", "good"),
        "provider": CPU,
        "threads": 2,
        "max_length": 32,
        "opset": 14,
    }
    return serving_settings(layout, **{**given, **changes})


def test_what_is_saved_is_read_back(layout: ArtifactLayout) -> None:
    rows = [(CPU, PLAIN, "1x32", 1, 32, 3.5), (CPU, OPTIMISED, "1x32", 1, 32, 3.0)]
    entries = {"session_config": {"session.use_env_allocators": "1"}}
    written = settings(layout, measured=rows).model_copy(update=entries)
    assert written.save(layout) == layout.root / "ort_config.json"
    assert ServingSettings.load(layout) == written
    assert written.shapes.batch_sizes == (1,)
    assert written.shapes.pad_token_id == 0
    read = read_settings(layout.root)
    assert (read.provider, read.threads, read.max_length) == (CPU, 2, 32)
    assert read.session_config == {"session.use_env_allocators": "1"}
    assert read.choose(CPU).name == OPTIMISED
    assert [file.variant for file in read.files] == ["fp32", "fp32-optimized"]


def test_optimum_reads_the_file_and_loads_the_model(layout: ArtifactLayout) -> None:
    onnxruntime = pytest.importorskip("optimum.onnxruntime", reason="needs the optimum extra")
    settings(layout).save(layout)
    config = onnxruntime.ORTConfig.from_pretrained(layout.root)
    assert (config.opset, config.use_external_data_format) == (14, False)
    assert config.optimization is None
    assert config.quantization is None
    model = onnxruntime.ORTModelForSequenceClassification.from_pretrained(
        layout.root, subfolder="onnx", file_name=PLAIN
    )
    ids = np.array([[2, 5, 3]])
    assert model(input_ids=ids, attention_mask=np.ones_like(ids)).logits.shape == (1, 2)


def test_optimums_own_file_says_nothing_of_serving(layout: ArtifactLayout) -> None:
    onnxruntime = pytest.importorskip("optimum.onnxruntime", reason="needs the optimum extra")
    onnxruntime.ORTConfig(opset=14).save_pretrained(layout.root)
    assert read_settings(layout.root).threads is None
    with pytest.raises(DataError, match="serving"):
        ServingSettings.load(layout)


@pytest.mark.parametrize(
    ("rows", "order"),
    [
        # One request at the task's own lengths stands for the others.
        (
            [
                (CPU, PLAIN, "8xtask", 8, 20, 1.0),
                (CPU, PLAIN, "1xtask", 1, 14, 3.0),
                (CPU, PLAIN, "1x128", 1, 128, 1.0),
                (CPU, OPTIMISED, "8xtask", 8, 20, 2.0),
                (CPU, OPTIMISED, "1xtask", 1, 14, 2.0),
                (CPU, OPTIMISED, "1x128", 1, 128, 2.0),
            ],
            [OPTIMISED, PLAIN],
        ),
        # Without them the smallest batch of the greatest length.
        (
            [
                (CPU, PLAIN, "1x32", 1, 32, 9.0),
                (CPU, PLAIN, "1x128", 1, 128, 1.0),
                (CPU, PLAIN, "8x128", 8, 128, 9.0),
                (CPU, OPTIMISED, "1x32", 1, 32, 2.0),
                (CPU, OPTIMISED, "1x128", 1, 128, 2.0),
                (CPU, OPTIMISED, "8x128", 8, 128, 2.0),
            ],
            [PLAIN, OPTIMISED],
        ),
    ],
)
def test_the_fastest_file_comes_first_and_says_why(
    layout: ArtifactLayout, rows: list[tuple[Any, ...]], order: list[str]
) -> None:
    files = settings(layout, measured=rows).providers[CPU].files
    assert [file.name for file in files] == order
    shapes = {row[2]: row[5] for row in rows if row[1] == PLAIN}
    assert next(file for file in files if file.name == PLAIN).p50_ms == shapes


def test_the_order_is_that_of_the_model_card() -> None:
    from glp_export.artifact.serving import _in_order
    from glp_export.report.measurements import recommended
    from glp_export.workflows.stages.size import measured_rows
    from tests.report.helpers import make_benchmark

    benchmark = make_benchmark()
    rows = measured_rows(benchmark)
    best = recommended(benchmark)
    assert best is not None
    assert _in_order(rows)[0].name == best.any.variant


def test_every_provider_has_its_own_order_and_options(layout: ArtifactLayout) -> None:
    rows = [
        (CPU, PLAIN, "1x32", 1, 32, 3.0),
        (CPU, OPTIMISED, "1x32", 1, 32, 2.0),
        (CUDA, PLAIN, "1x32", 1, 32, 1.0),
        (CUDA, OPTIMISED, "1x32", 1, 32, 2.0),
        (CUDA, "model_of_another.onnx", "1x32", 1, 32, 0.1),
    ]
    made = settings(layout, measured=rows)
    assert [file.name for file in made.providers[CPU].files] == [OPTIMISED, PLAIN]
    assert [file.name for file in made.providers[CUDA].files] == [PLAIN, OPTIMISED]
    assert made.providers[CUDA].options == {"use_tf32": "0"}  # as it was measured
    made.save(layout)
    assert read_settings(layout.root).choose(CUDA).name == PLAIN


def test_weights_in_a_sidecar_are_told(layout: ArtifactLayout) -> None:
    (layout.onnx_dir / "model.onnx_data").write_bytes(b"weights")
    content = json.loads(settings(layout).save(layout).read_text())
    assert content["use_external_data_format"] is True


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"threads": 0}, "threads"), ({"graph": "all"}, "graph"), ({"shapes": {}}, "shapes")],
)
def test_a_field_that_is_wrong_is_named(
    layout: ArtifactLayout, changes: dict[str, Any], field: str
) -> None:
    path = settings(layout).save(layout)
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "serving": {**content["serving"], **changes}}))
    with pytest.raises(DataError, match=field) as caught:
        ServingSettings.load(layout)
    assert caught.value.where == str(path)


def test_a_file_that_is_too_large_stands_behind_slower_ones(layout: ArtifactLayout) -> None:
    measured = [(CPU, PLAIN, "1x8", 1, 8, 1.0), (CPU, OPTIMISED, "1x8", 1, 8, 2.0)]
    made = settings(layout, measured=measured, too_large=[PLAIN])
    assert [file.name for file in made.providers[CPU].files] == [OPTIMISED, PLAIN]
