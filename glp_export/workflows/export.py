"""Exporting a fine-tuned checkpoint as it is, with nothing removed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from glp_export.artifact import (
    ArtifactLayout,
    commit,
    locked,
    prepare,
    resolve_exporter,
    triton_name,
    write_triton,
    writing,
)
from glp_export.artifact.modules import load_fp32
from glp_export.artifact.served_text import check_served_texts
from glp_export.artifact.staging import discard, finished
from glp_export.bench import measure, onnx_contender
from glp_export.bench.contenders import longest_input
from glp_export.config.run_config import RunConfig
from glp_export.core.errors import UsageError
from glp_export.core.machine import describe as describe_machine
from glp_export.core.notebook import table_html
from glp_export.core.numbers import megabytes, milliseconds, tiny
from glp_export.core.progress import Progress
from glp_export.encoder import (
    ModelSource,
    load_tokenizer,
    mark_kind,
    match_inputs,
    random_rows,
    require_model,
    task_of_model,
    write_loader_files,
)
from glp_export.encoder.block_sparse_file import copy_dense
from glp_export.precision.record import PrecisionsFile
from glp_export.tasks import KINDS, Task
from glp_export.tasks.unlabeled import text_columns_of
from glp_export.workflows.execution import (
    ExecutionContext,
    execution_context,
    on_device,
    with_length,
)
from glp_export.workflows.stages.base_card import told_by_card
from glp_export.workflows.stages.export import (
    Exported,
    as_pytorch,
    export_contender,
    fixed_shapes,
    quick_timing,
)
from glp_export.workflows.stages.export_card import ExportedFile, write_export_card
from glp_export.workflows.stages.gate_files import store_inputs
from glp_export.workflows.stages.precision import add_precisions, encoded_texts, require_texts
from glp_export.workflows.stages.trained import Trained
from glp_export.workflows.stages.writing import write_extra_files, write_serving

_SECONDS, _ROUNDS = 0.5, 3
"""Least seconds and rounds of timing the files that ship; the choice among them is timed longer."""


@dataclass(frozen=True)
class ExportResult:
    """A finished export.

    Attributes:
        output: the artifact's directory.
        files: what ships, the plain file first.
        shape: that they were timed at, `1x32`.
    """

    output: Path
    files: tuple[ExportedFile, ...]
    shape: str

    def __repr__(self) -> str:
        return f"ExportResult({self.output}: {', '.join(file.name for file in self.files)})"

    def _repr_html_(self) -> str:
        head = ("file", "MB", "largest difference", f"ms at {self.shape}")
        rows = (
            (file.name, megabytes(file.bytes), tiny(file.max_abs), milliseconds(file.p50_ms))
            for file in self.files
        )
        return table_html(str(self.output), head, rows)

    def table(self) -> Table:
        """Files, sizes, largest differences from PyTorch and latencies, for people."""
        table = Table(box=None, pad_edge=False)
        for title in ("file", "MB", "largest difference", f"ms at {self.shape}"):
            table.add_column(title, justify="left" if title == "file" else "right")
        for file in self.files:
            largest = "none finite" if file.max_abs is None else f"{file.max_abs:.2g}"
            table.add_row(file.name, megabytes(file.bytes), largest, f"{file.p50_ms:.2f}")
        return table

    def as_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return {"measured_at": self.shape, "exported": [asdict(file) for file in self.files]}


def export(checkpoint: Path, config: RunConfig, progress: Progress) -> ExportResult:
    """Export a fine-tuned checkpoint as it is: ONNX, optimised, proved right.

    Without data the files are compared on random tokens, and the served tokenizer on texts.

    Raises:
        GlpError: see `glp_export.core.errors`.
    """
    output = config.output.output
    if output is None:
        raise UsageError("no output directory was named", where="--output", fix="add -o out/mine")
    if config.output.resume and finished(output):
        progress.say(f"{output} is complete: there is nothing to resume")
        return ExportResult(output, (), "")
    with locked(output):
        return _export(checkpoint, config, output, progress)


@contextmanager
def _cleared(staging: Path) -> Iterator[None]:
    """Leave nothing behind where other flags are needed: no later run could go on with it."""
    try:
        yield
    except UsageError:
        with suppress(OSError):
            discard(staging)
        raise


def _export(checkpoint: Path, config: RunConfig, output: Path, progress: Progress) -> ExportResult:
    source = ModelSource(str(checkpoint), offline=True)
    require_model(source)
    task = task_of_model(checkpoint, config.data.kind)
    tokenizer = load_tokenizer(source)
    model = load_fp32(checkpoint, KINDS[task.kind].auto_class)
    chosen = resolve_exporter(config.export.exporter, model.config, KINDS[task.kind].export_task)
    progress.say(str(chosen))
    match_inputs(tokenizer, model, where=str(checkpoint))
    config = with_length(config, tokenizer).updated(exporter=chosen.exporter.name)
    max_length = config.data.max_length
    device, precisions = on_device(config.machine, config.precision)
    execution = execution_context(config, task, device, precisions)
    # A file that cannot be read is said before any work.
    texts = encoded_texts(config.precision, _as_calibrated(task, config), tokenizer, max_length)
    require_texts(execution, texts)
    staging = prepare(output, overwrite=config.output.overwrite, resume=config.output.resume)
    layout = ArtifactLayout(staging)
    with writing(staging), _cleared(staging):
        copy_dense(checkpoint, staging)
        write_loader_files(staging, tokenizer, longest=min(longest_input(staging), max_length))
        check_served_texts(staging, tokenizer, max_length=max_length)
        rows = random_rows(tokenizer, max_length, execution.seed)
        mark_kind(layout.config, task)
        trained = Trained("unpruned", str(checkpoint), staging, tokenizer, rows)
        work = layout.work_dir / "onnx"
        exported = export_contender(execution, trained, layout, work, progress)
        exported = add_precisions(execution, exported, layout, work, None, progress, texts=texts)
        layout.glp_dir.mkdir(exist_ok=True)
        layout.parity.write_text(exported.parity.to_json())
        PrecisionsFile.of(exported.entries).save(layout.precisions)
        write_serving(execution, layout, max_length, exported)
        if config.export.triton:
            write_triton(layout, layout.triton, name=triton_name(output.name))
        write_extra_files(execution, layout, max_length, source)
        store_inputs(layout, execution, tokenizer, reference=exported.reference)
        layout.environment.write_text(json.dumps(asdict(describe_machine()), indent=2) + "\n")
        config.save(layout.run_config)
        files, shape = _measured(execution, exported)
        write_export_card(
            layout.card,
            checkpoint.name,
            task,
            files,
            shape,
            max_length,
            kernels=[count.words for entry in exported.entries for count in entry.kernels],
            **told_by_card(source),
        )
        layout.write_checksums()
        commit(staging, output, overwrite=config.output.overwrite)
    for file in files:
        if not file.judged:
            progress.say(f"{file.name}: no data was given, so nothing judged its accuracy")
    return ExportResult(output, files, shape)


def _as_calibrated(task: Task, config: RunConfig) -> Task:
    """The task with the columns of the calibration texts: no data has told any."""
    path = config.precision.calibration_texts
    return task if path is None else replace(task, text_columns=text_columns_of(path, task))


def _measured(
    execution: ExecutionContext, exported: Exported
) -> tuple[tuple[ExportedFile, ...], str]:
    """The files that ship with their latencies at the first shape that is asked for."""
    trained, files = exported.trained, exported.files
    (workload, *_) = fixed_shapes([as_pytorch(execution, trained)], execution)
    samples = measure(
        [
            onnx_contender(
                trained.contender,
                file,
                trained.checkpoint,
                execution.provider,
                execution.threads,
                auto_class=execution.kind.auto_class,
            )
            for file in files
        ],
        [workload],
        timing=replace(quick_timing(_SECONDS, execution), min_rounds=_ROUNDS),
    )
    found = {parity.variant: parity for parity in exported.parity.files}
    made = (
        ExportedFile.of(file, found[file.variant], median(sample.milliseconds))
        for file, sample in zip(files, samples, strict=True)
    )
    return tuple(made), workload.shape.name
