"""From a model to `onnx/model.onnx`: the contract that every exporter's graph must meet."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.artifact.exporters import resolve_exporter
from glp_export.artifact.modules import as_module, config_of, exportable, name_of
from glp_export.artifact.onnx_file import OnnxFile, describe, place, read_graph, write_graph
from glp_export.artifact.output_place import writing
from glp_export.artifact.shapes import try_shapes
from glp_export.core.errors import ModelError, ParityError
from glp_export.encoder.families import BARE
from glp_export.tasks import KINDS

if TYPE_CHECKING:
    from onnx import ModelProto, ValueInfoProto
    from transformers import PreTrainedModel

    from glp_export.artifact.modules import Source

logger = logging.getLogger(__name__)

STANDARD_DOMAINS = frozenset({"", "ai.onnx"})
"""Domains that every ONNX consumer implements; text-embeddings-inference assumes no other."""

AUTO_CLASSES = {kind.export_task: kind.auto_class for kind in KINDS.values()}
"""Task in optimum's words to the class of transformers that loads a checkpoint for it."""

INPUT_DIMENSIONS = ("batch_size", "sequence_length")


def export_onnx(
    source: Source,
    onnx_path: Path,
    *,
    export_task: str,
    opset: int | None = None,
    exporter: str = "auto",
    threads: int = 1,
    sidecar_threshold: int | None = None,
    module: PreTrainedModel | None = None,
    run: bool = True,
) -> OnnxFile:
    """Export a model to one fp32 ONNX file of standard operators.

    Inputs are `(batch_size, sequence_length) int64`, the first output begins with `batch_size`.
    A module is exported as it computes: its layers may differ in width, which no configuration
    says. One whose layers were cut in place keeps a stale layer index: build it anew first.

    Args:
        source: a module with its head, or a directory with config.json and safetensors weights.
        onnx_path: where the file goes; weights past `sidecar_threshold` go to `<name>_data`.
        export_task: task in optimum's words, "text-classification".
        opset: version of the standard operators; None is the exporter's choice for the model.
        exporter: a key of `EXPORTERS`, or "auto".
        threads: threads of the sessions that try the file.
        sidecar_threshold: bytes; None as `write_graph`.
        module: that of the directory, where it is loaded already.
        run: whether to run it at other shapes; False where `check_parity` comes next and does that.

    Raises:
        ModelError: no checkpoint there, no head in it, or its architecture cannot be exported.
        OutputError: the file cannot be written.
        ParityError: a shape was frozen into the graph.
        UsageError: the exporter is not installed, or the opset cannot be used.
    """
    if isinstance(source, Path):
        _require_checkpoint(source)
    chosen = resolve_exporter(exporter, config_of(source), export_task).exporter
    model = module or as_module(source, AUTO_CLASSES.get(export_task, BARE))
    where = name_of(source)
    with writing(onnx_path.parent), _scratch_beside(onnx_path) as scratch:
        # Exporters leave copies of config and tokenizer: only the graph leaves the scratch, and
        # only a graph that holds what is promised of it.
        raw = scratch / "raw" / "model.onnx"
        raw.parent.mkdir()
        with exportable(model) as ready:
            chosen.export(ready, raw, export_task=export_task, opset=opset)
        graph = read_graph(raw, weights=True)
        name_dimensions(graph)
        require_standard(graph, where)
        tried = write_graph(graph, scratch / onnx_path.name, threshold=sidecar_threshold)
        if run:
            try_shapes(tried, model.config, where, threads=threads)
        place(tried, onnx_path)
    file = describe(onnx_path, graph=graph)
    logger.info(
        "exported %s: opset %d, %d nodes, %d bytes", onnx_path, file.opset, file.nodes, file.bytes
    )
    return file


def _require_checkpoint(checkpoint: Path) -> None:
    """Refuse what is no checkpoint of safetensors before an exporter says it less clearly."""
    if not (checkpoint / "config.json").is_file():
        raise ModelError(
            "There is no checkpoint here: config.json is missing.",
            where=str(checkpoint),
            fix="Give a directory that save_pretrained wrote.",
        )
    if not any(checkpoint.glob("*.safetensors")):
        raise ModelError(
            "The checkpoint has no safetensors weights; pickles are not loaded.",
            where=str(checkpoint),
            fix="Convert it: AutoModel.from_pretrained(DIR).save_pretrained(DIR) writes "
            "safetensors.",
        )


@contextmanager
def _scratch_beside(path: Path) -> Iterator[Path]:
    """An empty directory on the disk that the file goes to, gone afterwards.

    Its name is fixed, so that one which a killed run left behind is not left to be shipped.
    """
    scratch = path.with_name(".export")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def name_dimensions(model: ModelProto) -> None:
    """Give the dynamic dimensions the names that consumers look for, wherever they occur.

    Raises:
        ParityError: an input dimension or the batch of the output is a number.
    """
    renamed: dict[str, str] = {}
    for value in model.graph.input:
        for dimension, name in zip(_dimensions(value), INPUT_DIMENSIONS, strict=False):
            if not dimension.dim_param:
                raise _frozen(value.name, name, dimension.dim_value)
            renamed[dimension.dim_param] = name
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        for dimension in _dimensions(value):
            if dimension.dim_param in renamed:
                dimension.dim_param = renamed[dimension.dim_param]
    for value in model.graph.output:
        batch = _dimensions(value)[0]
        if not batch.dim_param:
            raise _frozen(value.name, INPUT_DIMENSIONS[0], batch.dim_value)
        batch.dim_param = INPUT_DIMENSIONS[0]


def _dimensions(value: ValueInfoProto) -> list[Any]:
    return list(value.type.tensor_type.shape.dim)


def _frozen(tensor: str, dimension: str, size: int) -> ParityError:
    return ParityError(
        f"The export froze the {dimension} of {tensor!r} at {size}.",
        fix="Try another --opset or --exporter.",
    )


def require_standard(model: ModelProto, where: Path | str) -> None:
    """Check that a graph has operators of the ONNX standard only, and is well formed.

    Raises:
        ModelError: it has others; they are named.
    """
    foreign = {f"{n.domain}.{n.op_type}" for n in model.graph.node} - {
        f"{domain}.{n.op_type}" for n in model.graph.node for domain in STANDARD_DOMAINS
    }
    foreign |= {f"{function.domain}.{function.name}" for function in model.functions}
    if foreign:
        raise ModelError(
            f"The exported graph has operators outside the ONNX standard: "
            f"{', '.join(sorted(foreign))}.",
            where=str(where),
            fix="Try another --exporter or a higher --opset.",
        )
