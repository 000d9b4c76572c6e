"""The card of a plain export: what was made of which checkpoint, and nothing that was not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glp_export.artifact import FileParity, OnnxFile
from glp_export.core.numbers import megabytes
from glp_export.precision.selection import ALWAYS
from glp_export.tasks import KINDS, Task


@dataclass(frozen=True)
class ExportedFile:
    """An ONNX file as the result of an export names it.

    Attributes:
        name: below `onnx/`.
        precision: of its arithmetic.
        bytes: on disk, sidecar included.
        max_abs: largest difference from PyTorch over the compared rows; None where none was finite.
        p50_ms: median milliseconds a batch.
        judged: whether its difference was held against a tolerance: int8 without data is not.
    """

    name: str
    precision: str
    bytes: int
    max_abs: float | None
    p50_ms: float
    judged: bool

    @classmethod
    def of(cls, file: OnnxFile, parity: FileParity, p50_ms: float) -> ExportedFile:
        """A file with what was found of it."""
        judged = file.precision == ALWAYS or parity.atol is not None
        return cls(file.variant, file.precision, file.bytes, parity.max_abs, p50_ms, judged)


def write_export_card(
    path: Path,
    name: str,
    task: Task,
    files: Sequence[ExportedFile],
    shape: str,
    max_length: int,
    *,
    kernels: Sequence[str] = (),
    license: str | None,
    language: Any,
) -> None:
    """Write `README.md`.

    Args:
        path: of the card.
        name: of the checkpoint, without its directories.
        task: that it is for.
        files: that ship.
        shape: that they were timed at.
        max_length: longest input in tokens.
        kernels: how much of full int8 each runtime computes in integers.
        license: of the checkpoint, where its own card names one.
        language: likewise.
    """
    from huggingface_hub import ModelCardData

    metadata = ModelCardData(
        language=language,
        library_name="transformers",
        license=license,
        pipeline_tag=KINDS[task.kind].hub_task,
        tags=["onnx", "onnxruntime", "glp-export"],
    )
    unjudged = [file.name for file in files if not file.judged]
    lines = [
        f"# {name}, exported to ONNX",
        "",
        f"The checkpoint `{name}` ({task.kind}) as it is, nothing removed and nothing trained, as "
        "ONNX files. Each was compared with the PyTorch model, on random tokens; the tokenizer was "
        "compared with that of transformers, on texts. No accuracy was measured.",
        "",
        f"| file | precision | MB | largest difference | median ms at {shape} |",
        "|---|---|---|---|---|",
        *(
            f"| `onnx/{file.name}` | {file.precision} | {megabytes(file.bytes)} | "
            f"{'none finite' if file.max_abs is None else f'{file.max_abs:.2g}'} | "
            f"{file.p50_ms:.2f} |"
            for file in files
        ),
        "",
        *(f"Nothing judged the accuracy of `{name}`: no data was given.\n" for name in unjudged),
        *(f"Full int8 on the machine that made it: {'; '.join(kernels)}.\n" for _ in kernels[:1]),
        f"Inputs are cut at {max_length} tokens.",
        "",
        "```python",
        "import glp_export",
        "",
        'model = glp_export.load("PATH")',
        "```",
    ]
    text = "\n".join(["---", metadata.to_yaml().strip(), "---", "", *lines]) + "\n"
    path.write_text(text, encoding="utf-8")
