"""What an exporter is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Export(Protocol):
    """Export a checkpoint directory to an ONNX file."""

    def __call__(
        self, checkpoint: Path, output: Path, *, export_task: str, opset: int | None
    ) -> None:
        """Write the graph to `output`, weights in the file or in any file beside it.

        Args:
            checkpoint: directory with config.json, safetensors weights and a tokenizer.
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
