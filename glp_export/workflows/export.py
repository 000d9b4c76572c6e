"""Exporting a fine-tuned checkpoint as it is, with nothing removed."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

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
from glp_export.artifact.modules import config_of
from glp_export.artifact.staging import finished
from glp_export.bench.contenders import longest_input
from glp_export.config.run_config import RunConfig
from glp_export.core.errors import UsageError
from glp_export.core.machine import describe as describe_machine
from glp_export.core.progress import Progress
from glp_export.encoder import (
    ModelSource,
    load_tokenizer,
    mark_kind,
    random_rows,
    task_of_model,
    write_loader_files,
)
from glp_export.precision.record import PrecisionsFile
from glp_export.tasks import KINDS
from glp_export.workflows.context import execution_context, on_device
from glp_export.workflows.stages.export import export_contender
from glp_export.workflows.stages.gate_files import store_inputs
from glp_export.workflows.stages.precision import add_precisions
from glp_export.workflows.stages.training import Trained
from glp_export.workflows.stages.writing import write_extra_files, write_serving

_MADE_HERE = shutil.ignore_patterns("onnx", "glp", "triton", "ort_config.json")
"""What an earlier export left beside a checkpoint, and this one makes anew."""


def export(checkpoint: Path, config: RunConfig, progress: Progress) -> Path:
    """Export a fine-tuned checkpoint as it is: ONNX, optimised, proved right.

    Without data the files are compared on random tokens.

    Raises:
        GlpError: see `glp_export.core.errors`.
    """
    output = config.output.output
    if output is None:
        raise UsageError("no output directory was named", where="--output", fix="add -o out/mine")
    if config.output.resume and finished(output):
        progress.say(f"{output} is complete: there is nothing to resume")
        return output
    with locked(output):
        return _export(checkpoint, config, output, progress)


def _export(checkpoint: Path, config: RunConfig, output: Path, progress: Progress) -> Path:
    source = ModelSource(str(checkpoint), offline=True)
    tokenizer = load_tokenizer(source)
    task = task_of_model(checkpoint)
    chosen = resolve_exporter(
        config.export.exporter, config_of(checkpoint), KINDS[task.kind].export_task
    )
    progress.say(str(chosen))
    staging = prepare(output, overwrite=config.output.overwrite, resume=config.output.resume)
    layout = ArtifactLayout(staging)
    with writing(staging):
        shutil.copytree(checkpoint, staging, ignore=_MADE_HERE, dirs_exist_ok=True)
        write_loader_files(staging, tokenizer, longest=longest_input(staging))
        device, precisions = on_device(config.machine, config.precision)
        config = config.updated(exporter=chosen.exporter.name)
        execution = execution_context(config, task, device, precisions)
        rows = random_rows(tokenizer, execution.max_length, execution.seed)
        mark_kind(layout.config, task)
        trained = Trained("pruned", str(checkpoint), staging, tokenizer, rows)
        work = layout.work_dir / "onnx"
        exported = export_contender(execution, trained, layout, work, progress)
        exported = add_precisions(execution, exported, layout, work, None, progress)
        layout.glp_dir.mkdir(exist_ok=True)
        layout.parity.write_text(exported.parity.to_json())
        PrecisionsFile.of(exported.entries).save(layout.precisions)
        write_serving(execution, layout, execution.max_length, exported)
        if config.export.triton:
            write_triton(layout, layout.triton, name=triton_name(output.name))
        write_extra_files(execution, layout, execution.max_length, source)
        store_inputs(layout, execution, tokenizer)
        layout.environment.write_text(json.dumps(asdict(describe_machine()), indent=2) + "\n")
        config.save(layout.run_config)
        layout.write_checksums()
        return commit(staging, output, overwrite=config.output.overwrite)
