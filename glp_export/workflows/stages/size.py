"""How large an artifact is, before it is made and after: its ONNX file and its tokenizer.json."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glp_export.artifact import ArtifactLayout, Measured, OnnxFile, export_onnx
from glp_export.artifact.serving import preferred
from glp_export.bench import BenchmarkFile
from glp_export.compress.plan import Plan
from glp_export.config.outcomes import OpenedFile
from glp_export.config.targets import Targets
from glp_export.core.errors import GlpError
from glp_export.core.scratch import scratch_directory
from glp_export.encoder.vocabulary import trim_tokenizer
from glp_export.precision.int8 import Int8Recipe, any_ranges, quantise
from glp_export.precision.int8.recipe import DYNAMIC, FULL, RECIPES
from glp_export.workflows.context import RunContext

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from glp_export.bench.benchmark_rows import Row

INT8 = "int8"


class Sizes:
    """What the artifact of a plan will take, by files that are exported for it and thrown away.

    Bytes do not depend on what the weights have learned.
    """

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._known: dict[str, float] = {}

    def megabytes(self, plan: Plan) -> float:
        """The smallest file of a plan's model, int8 where the run makes that, and its tokenizer.

        Raises:
            ModelError: the architecture cannot be exported.
        """
        if plan.id not in self._known:
            self._known[plan.id] = self._measured(plan)
        return self._known[plan.id]

    def _measured(self, plan: Plan) -> float:
        context = self._context
        tokenizer = context.tokenizer
        if plan.kept_tokens is not None:
            tokenizer = trim_tokenizer(tokenizer, plan.kept_tokens)
        with scratch_directory("size-") as scratch:
            file = self._exported(plan.apply(context.pretrained()).eval(), scratch)
            taken = file.bytes  # while it is there
        return (taken + _bytes_of(tokenizer)) / 1e6

    def _exported(self, model: PreTrainedModel, directory: Path) -> OnnxFile:
        execution = self._context.execution
        plain = export_onnx(
            model,
            directory / "model.onnx",
            export_task=execution.kind.export_task,
            opset=execution.export.opset,
            exporter=execution.export.exporter,
            threads=execution.threads,
        )
        if INT8 not in execution.precisions.names:
            return plain
        full = execution.precision.int8_scope == FULL  # in which every table is integers
        try:
            recipe = Int8Recipe("full", "static") if full else RECIPES[DYNAMIC]
            ranges = any_ranges(plain, recipe) if full else None
            return quantise(plain, directory / "int8.onnx", model, recipe, ranges=ranges)
        except GlpError:  # then there will be no such file
            return plain


def _bytes_of(tokenizer: PreTrainedTokenizerBase) -> int:
    return len(tokenizer.backend_tokenizer.to_str(pretty=True).encode())


def measured_of(row: Row) -> Measured:
    """What a row of a benchmark says of a file."""
    return Measured(
        row.provider,
        row.variant,
        row.shape,
        row.batch_size,
        row.sequence_length,
        row.p50_ms,
        row.runtime,
    )


def measured_rows(benchmark: BenchmarkFile) -> list[Measured]:
    """The rows of the pruned model's ONNX files."""
    return [
        measured_of(row)
        for row in benchmark.rows
        if (row.contender, row.runtime) == ("pruned", "onnxruntime")
    ]


def too_large(layout: ArtifactLayout, targets: Targets, benchmark: BenchmarkFile) -> set[str]:
    """The ONNX files of an artifact that do not keep its size; none where no size is asked for."""
    most = targets.size
    if most is None:
        return set()
    tokenizer = _tokenizer_bytes(layout)
    return {
        row.variant
        for row in benchmark.rows
        if row.contender == "pruned" and (row.bytes + tokenizer) / 1e6 > most.megabytes
    }


def opened_file(
    layout: ArtifactLayout, targets: Targets, provider: str, benchmark: BenchmarkFile
) -> OpenedFile | None:
    """The file that `load` opens and what it takes; None where nothing was measured.

    Args:
        layout: of an artifact whose files are in place.
        targets: with a size, the fastest file that keeps it is opened.
        provider: that it was measured on.
        benchmark: of its pruned model.
    """
    rows = [row for row in measured_rows(benchmark) if row.provider == provider]
    name = preferred(rows, too_large(layout, targets, benchmark))
    pruned = [row for row in benchmark.rows if row.contender == "pruned"]
    sizes: Sequence[int] = [row.bytes for row in pruned if row.variant == name]
    if name is None or not sizes:
        return None
    return OpenedFile(name, (max(sizes) + _tokenizer_bytes(layout)) / 1e6)


def _tokenizer_bytes(layout: ArtifactLayout) -> int:
    path = layout.root / "tokenizer.json"
    return path.stat().st_size if path.is_file() else 0
