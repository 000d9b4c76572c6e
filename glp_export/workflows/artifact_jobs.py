"""What can be done with a finished artifact."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import RenderableType

from glp_export.artifact import (
    VARIANTS,
    ArtifactLayout,
    OnnxFile,
    ParityReport,
    StoredInputs,
    check_parity,
    describe,
    open_session,
    predict_onnx,
)
from glp_export.artifact.served_text import check_served_texts
from glp_export.bench import BenchmarkFile, Frontier
from glp_export.compress.compressors.layers.layer_file import read_layer_file
from glp_export.compress.compressors.layers.published import PREFIX, published_plan
from glp_export.compress.plan import Plan
from glp_export.config.files import read_file, resolve
from glp_export.config.run_config import RunConfig
from glp_export.core.errors import ModelError, UsageError
from glp_export.core.numbers import few
from glp_export.core.progress import Progress
from glp_export.encoder import (
    DistillSettings,
    ModelSource,
    TrainSettings,
    infer_kind,
    load_tokenizer,
    random_init_reference,
    task_of_model,
)
from glp_export.precision.record import PrecisionsFile
from glp_export.precision.selection import ALWAYS, Wanted
from glp_export.report import artifact_view, plan_view
from glp_export.tasks import count_examples, encode, load_task_data, score, truth_of
from glp_export.workflows.context import (
    ExecutionContext,
    data_spec,
    execution_without_data,
    length_of,
)
from glp_export.workflows.stages.benchmark import time_contenders
from glp_export.workflows.stages.export import Exported, LowerPrecision, export_contender
from glp_export.workflows.stages.precision import add_precisions
from glp_export.workflows.stages.precision_job import CalibrationData
from glp_export.workflows.stages.training import Trained


def verify(artifact: Path, settings: Mapping[str, Any], progress: Progress) -> ParityReport:
    """Check an artifact's checksums, its tokenizer on texts, and every ONNX file.

    The rows are the test set of the run that made it, unless `settings` name other data. An
    artifact that was made without data has inputs stored, with what PyTorch computed of them.

    Raises:
        DataError: the data cannot be read.
        ModelError: it is no artifact, or a file was changed.
    """
    layout = one_artifact(artifact)
    layout.verify_checksums()
    config = _config(layout, settings)
    if not _names_data(config):
        return _verify_alone(layout, config, progress)
    execution, trained = _pruned(layout, config)
    with progress.stage("verify"):
        check_served_texts(
            layout.root, trained.tokenizer, max_length=length_of(config, trained.tokenizer)
        )
        return check_parity(
            shipped_files(layout),
            artifact,
            trained.test,
            trained.tokenizer,
            auto_class=execution.kind.auto_class,
            max_length=length_of(config, trained.tokenizer),
            threads=execution.threads,
            provider=execution.provider,
            atol=config.atol,
            rtol=config.rtol,
        )


def _names_data(config: RunConfig) -> bool:
    return any((config.task, config.dataset, config.train_file, config.validation_file))


def _verify_alone(layout: ArtifactLayout, config: RunConfig, progress: Progress) -> ParityReport:
    """Hold the files against the stored inputs, and the tokenizer against transformers'."""
    task = task_of_model(layout.root)
    execution = execution_without_data(config, task)
    tokenizer = load_tokenizer(ModelSource(str(layout.root), offline=True))
    with progress.stage("verify"):
        check_served_texts(layout.root, tokenizer, max_length=length_of(config, tokenizer))
        return StoredInputs.load(layout.parity_inputs).check(
            shipped_files(layout), provider=execution.provider, threads=execution.threads
        )


def benchmark(artifact: Path, settings: Mapping[str, Any], progress: Progress) -> BenchmarkFile:
    """Measure an artifact on this machine.

    The unpruned model is rebuilt from the artifact's configuration with random weights: latency
    does not depend on them. Accuracies are those that the artifact was made with.

    Raises:
        GlpError: see `glp_export.core.errors`.
    """
    layout = one_artifact(artifact)
    layout.verify_checksums()
    config = _config(layout, settings)
    execution, pruned = _pruned(layout, config)
    plan, before = Plan.load(layout.plan), BenchmarkFile.load(layout.benchmark)
    report = ParityReport.from_json(layout.parity.read_text())
    ours = _exported(layout, pruned, report)
    execution = replace(
        execution, precisions=Wanted(tuple(one.file.precision for one in ours.lower))
    )
    with TemporaryDirectory(prefix="glp-benchmark-") as scratch:
        reference = random_init_reference(
            artifact, plan.num_layers, execution.kind.auto_class, Path(scratch) / "twin"
        )
        unpruned = Trained("unpruned", "random weights", reference, pruned.tokenizer, pruned.test)
        work = Path(scratch) / "onnx"
        own = ArtifactLayout(work)
        exported = export_contender(execution, unpruned, own, work, progress)
        exported = add_precisions(execution, exported, own, work, _any_rows(unpruned), progress)
        metrics = [row for row in before.metrics if row.contender != "distilled"]
        return time_contenders(execution, [exported, ours], metrics, progress).file


def score_file(artifact: Path, file: OnnxFile, settings: Mapping[str, Any]) -> tuple[float, int]:
    """The task's metric of one of an artifact's files on the test split of its data.

    Args:
        artifact: its tokenizer encodes the data.
        file: what answers.
        settings: as of `verify`; they may name other data.

    Returns:
        The metric, and the number of examples.

    Raises:
        DataError: the data cannot be read.
        UsageError: it is data of another task.
    """
    layout = one_artifact(artifact)
    execution, pruned = _pruned(layout, _config(layout, settings))
    own = task_of_model(artifact)
    if (execution.task.kind, execution.task.labels) != (own.kind, own.labels):
        raise UsageError(
            f"the data is of another task: its labels are {few(execution.task.labels) or 'none'}",
            where="--dataset",
            fix=f"give data with the artifact's labels: {few(own.labels) or 'none'}",
        )
    session = open_session(file.path, provider=execution.provider, threads=execution.threads)
    kind = execution.kind
    predictions = predict_onnx(
        session, pruned.test, pruned.tokenizer, read=kind.read, batch_size=kind.batch_size
    )
    truth = truth_of(execution.task, pruned.test)
    return score(execution.task, predictions, truth), count_examples(execution.task, truth)


def inspect(path: Path) -> tuple[RenderableType, Any]:
    """What is in an artifact, a plan or a layer file: for people, and as plain values.

    Raises:
        DataError: it is none of these.
    """
    name = str(path)
    if name.startswith(PREFIX):
        plan = published_plan(name)
    elif path.is_dir():
        layout = _finished(path)
        content = {
            "files": {str(file.relative_to(path)): file.stat().st_size for file in layout.files()},
            **{file.stem: json.loads(file.read_text()) for file in _told(layout)},
        }
        return artifact_view(path), content
    elif path.suffix == ".json":
        plan = Plan.load(path)
    else:
        order = read_layer_file(path)
        return " → ".join(map(str, order)), {"order": order}
    return plan_view(plan), plan.model_dump(mode="json")


def _told(layout: ArtifactLayout) -> tuple[Path, ...]:
    """The JSON files that say what an artifact is."""
    known = (layout.plan, layout.parity, layout.benchmark, layout.frontier, layout.environment)
    return tuple(file for file in known if file.is_file())


def one_artifact(artifact: Path) -> ArtifactLayout:
    """The layout of a finished artifact.

    Raises:
        ModelError: it is none.
        UsageError: it is a ladder, which holds several.
    """
    layout = _finished(artifact)
    if layout.frontier.is_file():
        points = Frontier.load(layout.frontier).points
        sweep_variants = ", ".join(str(artifact / p.directory) for p in points if p.directory)
        raise UsageError(
            "this directory holds the artifacts of several depths",
            where=str(artifact),
            fix=f"name one of them: {sweep_variants}",
        )
    return layout


def _finished(artifact: Path) -> ArtifactLayout:
    layout = ArtifactLayout(artifact)
    if not layout.checksums.is_file():
        raise ModelError(
            "this is no artifact of glp-export: it has no glp/SHA256SUMS",
            where=str(artifact),
            fix="give a directory that prune-and-export wrote",
        )
    return layout


def _config(layout: ArtifactLayout, settings: Mapping[str, Any]) -> RunConfig:
    """The configuration that the artifact was made with, under what is asked for now."""
    data = ("task", "dataset", "train_file", "validation_file")
    kept = read_file(layout.run_config)
    if any(name in settings for name in data):
        kept = {name: value for name, value in kept.items() if name not in data}
    return resolve({**kept, **settings})


def _pruned(layout: ArtifactLayout, config: RunConfig) -> tuple[ExecutionContext, Trained]:
    """The artifact as a contender, with the test rows of its data."""
    tokenizer = load_tokenizer(ModelSource(str(layout.root), offline=True))
    data = load_task_data(data_spec(config))
    task = infer_kind(data.task, ModelSource(str(layout.root), offline=True))
    execution = execution_without_data(config, task)
    test = encode(data.test, task, tokenizer, length_of(config, tokenizer))
    return execution, Trained("pruned", str(layout.root), layout.root, tokenizer, test)


def _any_rows(reference: Trained) -> CalibrationData:
    """Rows that shape the files of a twin, whose answers do not count, as a run shapes them."""
    rows = reference.test
    return CalibrationData(rows, rows, rows, math.inf, TrainSettings(), DistillSettings())


def _exported(layout: ArtifactLayout, pruned: Trained, report: ParityReport) -> Exported:
    """The artifact's files as they came out of the run that made it."""
    files = shipped_files(layout)
    single = [file for file in files if file.precision == ALWAYS]
    entries = PrecisionsFile.load(layout.precisions).entries if len(files) > len(single) else ()
    by_name = {entry.file: entry for entry in entries}
    lower = tuple(LowerPrecision(f, by_name[f.variant]) for f in files if f.variant in by_name)
    return Exported(pruned, single[0], single[-1], report, lower, entries)


def shipped_files(layout: ArtifactLayout) -> list[OnnxFile]:
    """The artifact's ONNX files, the plain one first."""
    known = {}
    if layout.parity.is_file():
        report = ParityReport.from_json(layout.parity.read_text())
        known = {file.variant: file.optimisation for file in report.files}
    return [
        describe(
            path,
            precision=VARIANTS[name].precision,
            optimisation=known.get(path.name, "none"),
        )
        for name, path in layout.shipped().items()
    ]
