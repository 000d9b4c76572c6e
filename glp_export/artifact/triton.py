"""A model repository for Triton: the file that an artifact recommends, with its `config.pbtxt`.

Sources: Triton's model repository layout; `model_config.proto` of triton-inference-server/common;
the parameters of triton-inference-server/onnxruntime_backend.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.artifact.binding import DEVICES
from glp_export.artifact.layout import ArtifactLayout
from glp_export.artifact.onnx_file import describe, read_graph, relocate
from glp_export.artifact.output_place import writing
from glp_export.artifact.serving import ServingSettings
from glp_export.core.errors import ModelError
from glp_export.serve.settings import PLAIN

if TYPE_CHECKING:
    from onnx import ValueInfoProto

MODEL = "served.onnx"
"""Not `model.onnx`: of two files of that name below a directory optimum takes any one."""

LABELS = "labels.txt"
VERSION = "1"

UNMEASURED_BATCH = 8
"""Largest batch where none was measured."""

_TYPES = {
    "BOOL": "TYPE_BOOL",
    "DOUBLE": "TYPE_FP64",
    "FLOAT": "TYPE_FP32",
    "FLOAT16": "TYPE_FP16",
    "INT32": "TYPE_INT32",
    "INT64": "TYPE_INT64",
}


def write_triton(layout: ArtifactLayout, repository: Path, *, name: str) -> Path:
    """Write a model of a Triton repository: `<name>/config.pbtxt`, labels and `1/served.onnx`.

    Triton runs ONNX Runtime, so it gets the file that was fastest there, with the threads that it
    was measured with. The file is copied: onnx refuses weights that have a second hard link, and
    a link to a place outside would break where the repository alone is deployed.

    Args:
        layout: of an artifact whose ONNX files and `ort_config.json` are in place.
        repository: what Triton is started with; other models and versions in it are let be.
        name: of the model; see `triton_name`.

    Returns:
        The model's directory.

    Raises:
        DataError: `ort_config.json` cannot be read.
        ModelError: the graph cannot be read, or has a tensor that Triton has no type for.
        OutputError: it cannot be written.
    """
    settings = ServingSettings.load(layout)
    measured = settings.providers[settings.provider].files
    source = layout.onnx_dir / (measured[0].name if measured else PLAIN.name)
    model = repository / name
    with writing(repository):
        relocate(describe(source), model / VERSION / MODEL)
        classes = _classes(settings)
        (model / LABELS).unlink(missing_ok=True)
        if classes:
            (model / LABELS).write_text(classes, encoding="utf-8")
        text = "\n".join(_config(name, source, settings, labelled=bool(classes)))
        (model / "config.pbtxt").write_text(text + "\n", encoding="utf-8")
    return model


def triton_name(text: str) -> str:
    """A name that is a directory, a part of a URL and a value of `config.pbtxt` alike."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", text).strip("._-") or "model"


def _classes(settings: ServingSettings) -> str:
    """A line for each label, for Triton's classification extension; none for a number."""
    if any("\n" in label for label in settings.labels):
        return ""
    return "".join(f"{label}\n" for label in settings.labels)


def _config(name: str, source: Path, settings: ServingSettings, *, labelled: bool) -> Iterator[str]:
    graph = read_graph(source).graph
    weights = {tensor.name for tensor in graph.initializer}
    yield f"# A copy of onnx/{source.name}, as it is best run on {settings.provider}."
    yield f'name: "{name}"'
    yield 'backend: "onnxruntime"'
    yield f'default_model_filename: "{MODEL}"'
    yield f"max_batch_size: {max(settings.shapes.batch_sizes, default=UNMEASURED_BATCH)}"
    for value in graph.input:
        if value.name not in weights:
            yield from _tensor("input", value)
    for value in graph.output:
        # Classes are counted along one axis: scores of every token have two.
        one_row = len(value.type.tensor_type.shape.dim) == 2
        yield from _tensor("output", value, LABELS if labelled and one_row else None)
    yield (
        "# Only requests of the same length share a batch: let clients pad to a few lengths."
        if settings.shapes.pads
        else "# Clients must not pad: beside padding this model answers otherwise."
    )
    yield "dynamic_batching { }"
    on_gpu = DEVICES.get(settings.provider) == "cuda"
    yield f"instance_group [ {{ kind: {'KIND_GPU' if on_gpu else 'KIND_CPU'} count: 1 }} ]"
    if not on_gpu:
        yield "# Without it each instance takes every core of the host."
        yield (
            'parameters { key: "intra_op_thread_count" '
            f'value {{ string_value: "{settings.threads}" }} }}'
        )


def _tensor(kind: str, value: ValueInfoProto, labels: str | None = None) -> Iterator[str]:
    """An input or an output; its first dimension, the batch, is not listed."""
    yield f"{kind} [ {{"
    yield f'  name: "{value.name}"'
    yield f"  data_type: {_type(value)}"
    yield f"  dims: [ {', '.join(_sizes(value)[1:])} ]"
    if labels:
        yield f'  label_filename: "{labels}"'
    yield "} ]"


def _sizes(value: ValueInfoProto) -> list[str]:
    dimensions: list[Any] = list(value.type.tensor_type.shape.dim)
    return [str(one.dim_value) if one.HasField("dim_value") else "-1" for one in dimensions]


def _type(value: ValueInfoProto) -> str:
    """Triton's name for a tensor's type.

    Raises:
        ModelError: it has none.
    """
    import onnx

    name = onnx.TensorProto.DataType.Name(value.type.tensor_type.elem_type)
    if name not in _TYPES:
        raise ModelError(
            f"the tensor {value.name!r} is of type {name}, which Triton does not take",
            fix="leave --triton out",
        )
    return _TYPES[name]
