"""What an exporter is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from glp_export.core.errors import ModelError, UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Export(Protocol):
    """Export a live module to an ONNX file."""

    def __call__(
        self, model: PreTrainedModel, output: Path, *, export_task: str, opset: int | None
    ) -> None:
        """Write the graph to `output`, weights in the file or in any file beside it.

        Args:
            model: fp32, on the CPU, in eval mode; its layers may differ in width.
            output: path of the ONNX file; its directory is empty scratch of the caller's.
            export_task: task in optimum's words, "text-classification".
            opset: version of the standard operators; None is the exporter's choice.

        Raises:
            ModelError: the architecture or the task cannot be exported.
            UsageError: the opset cannot be used.
        """


@dataclass(frozen=True)
class Exporter:
    """One way from PyTorch to ONNX.

    Attributes:
        name: what `--exporter` calls it.
        install_hint: the command that installs it.
        available: whether it can be used in this environment; cheap, imports nothing heavy.
        knows: whether it has the architecture of a configuration (transformers') with a task.
        export: the export itself.
    """

    name: str
    install_hint: str
    available: Callable[[], bool]
    knows: Callable[[Any, str], bool]
    export: Export


def explained(
    error: Exception,
    model: PreTrainedModel,
    *,
    tool: str,
    export_task: str,
    opset: int | None,
    fix: str,
) -> ModelError | UsageError:
    """What a tool's own error means to the user: an opset that does not do, or a model.

    Args:
        error: of the tool.
        model: that was to be exported.
        tool: its name in the sentence.
        export_task: task in optimum's words.
        opset: that was asked for.
        fix: what to do where it is the model.
    """
    message = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
    if opset is not None and "opset" in message.lower():
        return UsageError(
            f"The model cannot be exported with opset {opset}: {message}",
            where="--opset",
            fix="Leave --opset away: the exporter then takes the one that suits the model.",
        )
    return ModelError(
        f"{tool} cannot export this model for {export_task}: {message}",
        where=type(model).__name__,
        fix=fix,
    )
