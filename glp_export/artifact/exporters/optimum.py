"""Export through optimum's `export` of a loaded model (optimum-onnx, transformers below 4.58)."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.artifact.exporters.base import Exporter, explained
from glp_export.artifact.output_place import writing
from glp_export.core.quiet import quiet
from glp_export.encoder.families import has_decoder

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_SEGMENTS = "token_type_ids"


def available() -> bool:
    """Whether optimum-onnx is installed beside a transformers that it can work with."""
    if importlib.util.find_spec("optimum") is None:
        return False
    try:
        found = importlib.util.find_spec("optimum.exporters.onnx") is not None
    except ImportError:  # an optimum without optimum.exporters
        return False
    return found and int(importlib.metadata.version("transformers").split(".")[0]) < 5


def knows(config: Any, export_task: str) -> bool:
    """Whether optimum has the architecture with the task, and would export an encoder alone.

    Of models with a decoder, such as T5, it exports both halves.
    """
    if has_decoder(config):
        return False
    with quiet():
        from optimum.exporters.onnx import model_configs  # noqa: F401 - fills the table
        from optimum.exporters.tasks import TasksManager

        try:
            tasks = TasksManager.get_supported_tasks_for_model_type(
                config.model_type, exporter="onnx", library_name="transformers"
            )
        except KeyError:
            return False
    return export_task in tasks


def export(model: PreTrainedModel, output: Path, *, export_task: str, opset: int | None) -> None:
    """Export a module by tracing it, as `optimum-cli export onnx` does once it has loaded one.

    Optimum's own validation is left out: it only warns, and `check_parity` does it on real rows.

    Raises:
        ModelError: optimum does not know the architecture, or not with this task.
        UsageError: the opset is not one that the model can be exported with.
    """
    with quiet():
        from optimum.exporters import onnx
        from optimum.exporters.tasks import TasksManager

        try:
            make = TasksManager.get_exporter_config_constructor(
                "onnx",
                model_type=model.config.model_type,
                task=export_task,
                library_name="transformers",
            )
            described = _with_its_segments(make(model.config, task=export_task), model)
            with writing(output):
                onnx.export(model, described, output, opset=opset or described.DEFAULT_ONNX_OPSET)
        # torch.onnx raises RuntimeErrors.
        except (ValueError, TypeError, KeyError, RuntimeError) as error:
            raise explained(
                error,
                model,
                tool="optimum",
                export_task=export_task,
                opset=opset,
                fix="See https://huggingface.co/docs/optimum-onnx/onnx/overview for the "
                "architectures that it knows.",
            ) from error


def _with_its_segments(described: Any, model: PreTrainedModel) -> Any:
    """Let a graph read `token_type_ids` where the model has several kinds of segment, else not.

    Optimum traces BERT with segments 0 and 1, whatever the size of the table, and RoBERTa without.
    """
    several = getattr(model.config, "type_vocab_size", None)
    taken = _SEGMENTS in inspect.signature(model.forward).parameters
    if several is None or not taken or (several > 1) == (_SEGMENTS in described.inputs):
        return described
    kept = {name: axes for name, axes in described.inputs.items() if name != _SEGMENTS}
    if several > 1:
        kept[_SEGMENTS] = kept["input_ids"]
    own = type(described)
    described.__class__ = type(own.__name__, (own,), {"inputs": property(lambda self: kept)})
    return described


EXPORTER = Exporter(
    name="optimum",
    install_hint='pip install "glp-export[optimum]"',
    available=available,
    knows=knows,
    export=export,
)
