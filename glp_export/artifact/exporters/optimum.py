"""Export through optimum's `main_export` (package optimum-onnx, transformers below 4.58)."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path
from typing import Any

from glp_export.artifact.exporters.base import Exporter, explained
from glp_export.artifact.staging import writing
from glp_export.core.errors import ModelError
from glp_export.core.quiet import quiet


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
    if getattr(config, "is_encoder_decoder", False):
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


def export(checkpoint: Path, output: Path, *, export_task: str, opset: int | None) -> None:
    """Export a checkpoint by tracing it, as `optimum-cli export onnx` does.

    The task is always given, since optimum cannot tell it from a local directory. Optimum's own
    validation is left out: it only warns, and `check_parity` does it on real rows.

    Raises:
        ModelError: optimum does not know the architecture, or not with this task.
        UsageError: the opset is not one that the model can be exported with.
    """
    with quiet():
        from optimum.exporters.onnx import main_export

        try:
            with writing(output):
                main_export(
                    str(checkpoint),
                    output.parent,
                    task=export_task,
                    opset=opset,
                    framework="pt",
                    library_name="transformers",
                    dtype="fp32",
                    local_files_only=True,
                    do_validation=False,
                )
        except (ValueError, KeyError, RuntimeError) as error:  # torch.onnx raises RuntimeErrors
            raise explained(
                error,
                checkpoint,
                tool="optimum",
                export_task=export_task,
                opset=opset,
                fix="See https://huggingface.co/docs/optimum-onnx/onnx/overview for the "
                "architectures that it knows.",
            ) from error
    made = output.parent / "model.onnx"
    if made != output:
        raise ModelError(f"The exporter writes {made.name} and was asked for {output.name}.")


EXPORTER = Exporter(
    name="optimum",
    install_hint='pip install "glp-export[optimum]"',
    available=available,
    knows=knows,
    export=export,
)
