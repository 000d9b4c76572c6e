"""What can be done with a finished artifact."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType

from glp_export.artifact import (
    ArtifactLayout,
    OnnxFile,
    ParityReport,
    StoredInputs,
    check_parity,
    finished_artifact,
    one_artifact,
    shipped_files,
)
from glp_export.artifact.opened import trusted_settings
from glp_export.artifact.served_text import check_served_texts
from glp_export.bench import BenchmarkFile
from glp_export.bench.contenders import longest_input
from glp_export.compress.compressors.layers.layer_file import read_layer_file
from glp_export.compress.compressors.layers.published import PREFIX, published_plan
from glp_export.compress.plan import Plan
from glp_export.config.files import resolve
from glp_export.config.run_config import RunConfig
from glp_export.core.checksums import staying
from glp_export.core.errors import UsageError
from glp_export.core.progress import Progress
from glp_export.core.scratch import scratch_directory
from glp_export.encoder import (
    DistillSettings,
    ModelSource,
    TrainSettings,
    infer_kind,
    load_tokenizer,
    random_init_reference,
    random_rows,
    task_of_model,
)
from glp_export.gate.accuracy import DATA_SETTINGS
from glp_export.gate.agreement import check_agreement
from glp_export.precision.job import CalibrationData, LowerPrecision
from glp_export.precision.record import PrecisionsFile
from glp_export.precision.selection import ALWAYS, Wanted
from glp_export.report import artifact_view, plan_view
from glp_export.serve.runtimes import ONNX_RUNTIME
from glp_export.serve.settings import read_settings
from glp_export.tasks import encode, load_task_data
from glp_export.workflows.execution import (
    ExecutionContext,
    execution_context,
    on_device,
    with_length,
)
from glp_export.workflows.sources import data_spec
from glp_export.workflows.stages.benchmark import time_contenders
from glp_export.workflows.stages.export import Exported, export_contender
from glp_export.workflows.stages.precision import add_precisions
from glp_export.workflows.stages.runtimes import add_runtimes
from glp_export.workflows.stages.trained import Trained

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def verify(artifact: Path, settings: Mapping[str, Any], progress: Progress) -> ParityReport:
    """Check an artifact's checksums, its tokenizer on texts, and every ONNX file.

    The rows are the test set of the data that `settings` name; without any, random tokens. What
    was exported without data has inputs stored, with what PyTorch computed of them.

    Raises:
        DataError: the data cannot be read.
        ModelError: it is no artifact, or a file was changed.
        ParityError: files say different things of the model.
    """
    with staying(artifact):
        return _verify(artifact, settings, progress)


def _verify(artifact: Path, settings: Mapping[str, Any], progress: Progress) -> ParityReport:
    layout = one_artifact(artifact)
    layout.verify_checksums()
    check_agreement(layout)
    config = _config(layout, settings)
    if not (_has_data(config) or layout.plan.is_file()):
        return _verify_alone(layout, config, progress)
    execution, trained = _pruned(layout, config)
    with progress.stage("verify"):
        _check_texts(layout, config, trained.tokenizer)
        found = [
            check_parity(
                files,
                artifact,
                trained.test,
                trained.tokenizer,
                auto_class=execution.kind.auto_class,
                max_length=min(execution.max_length, trained.tokenizer.model_max_length),
                threads=execution.threads,
                provider=execution.provider,
                atol=execution.export.atol,
                rtol=execution.export.rtol,
                runtime=runtime,
            )
            for runtime, files in _places(layout, execution)
        ]
        return ParityReport(tuple(file for report in found for file in report.files))


def _places(
    layout: ArtifactLayout, execution: ExecutionContext
) -> list[tuple[str, list[OnnxFile]]]:
    """Every file in ONNX Runtime; in another runtime those that were measured there.

    One that was asked for by name runs all files where none was measured.
    """
    files, measured = shipped_files(layout), read_settings(layout.root).runtimes
    places = [(ONNX_RUNTIME, files)]
    for name in execution.runtimes:
        known = measured.get(name, ())
        own = [file for file in files if file.path.name in known]
        places.append((name, own or (files if execution.runtimes_named else [])))
    return [(name, own) for name, own in places if own]


def _verify_alone(layout: ArtifactLayout, config: RunConfig, progress: Progress) -> ParityReport:
    """Hold the files against the stored inputs, and the tokenizer against transformers'."""
    tokenizer = load_tokenizer(ModelSource(str(layout.root), offline=True))
    device, precisions = on_device(config.machine, config.precision)
    execution = execution_context(config, task_of_model(layout.root), device, precisions)
    with progress.stage("verify"):
        _check_texts(layout, config, tokenizer)
        stored = StoredInputs.load(layout.parity_inputs)
        found = [
            stored.check(
                files, provider=execution.provider, threads=execution.threads, runtime=runtime
            )
            for runtime, files in _places(layout, execution)
        ]
        return ParityReport(tuple(file for report in found for file in report.files))


def _check_texts(
    layout: ArtifactLayout, config: RunConfig, tokenizer: PreTrainedTokenizerBase
) -> None:
    length = min(config.data.max_length, tokenizer.model_max_length)
    check_served_texts(layout.root, tokenizer, max_length=length)


def is_pruned(path: Path) -> bool:
    """Whether a directory is a pruned artifact, or claims to be one or several; no checkpoint."""
    layout = ArtifactLayout(path)
    return any(file.exists() for file in (layout.plan, layout.frontier)) or not (
        layout.config.is_file()
    )


def benchmark(artifact: Path, settings: Mapping[str, Any], progress: Progress) -> BenchmarkFile:
    """Measure an artifact on this machine.

    The unpruned model is rebuilt from the artifact's configuration with random weights: latency
    does not depend on them. Accuracies are those that the artifact was made with. The task's own
    lengths are measured on data that `settings` name; without any, the fixed shapes alone.

    Raises:
        GlpError: see `glp_export.core.errors`.
    """
    if settings.get("precision"):
        raise UsageError(
            "an artifact is measured in the precisions that it has",
            where="--precision",
            fix="leave it out; of a checkpoint it says what is made",
        )
    with staying(artifact):
        return _benchmark(artifact, settings, progress)


def _benchmark(artifact: Path, settings: Mapping[str, Any], progress: Progress) -> BenchmarkFile:
    layout = one_artifact(artifact)
    layout.verify_checksums()
    config = _config(layout, settings)
    execution, pruned = _pruned(layout, config)
    plan, before = Plan.load(layout.plan), BenchmarkFile.load(layout.benchmark)
    if plan.kept_tokens is not None and _has_data(config):
        progress.say(
            "at the task's own lengths the unpruned model is timed on the tokens of the trimmed "
            "tokenizer, which may be more than by its own: that is not in the artifact"
        )
    report = ParityReport.from_json(layout.parity.read_text())
    ours = _exported(layout, pruned, report)
    execution = replace(
        execution, precisions=Wanted(tuple(one.file.precision for one in ours.lower))
    )
    with scratch_directory("glp-benchmark-") as scratch:
        reference = random_init_reference(
            artifact,
            plan.num_layers,
            execution.kind.auto_class,
            scratch / "reference",
            vocabulary=plan.base_vocabulary,
        )
        unpruned = Trained("unpruned", "random weights", reference, pruned.tokenizer, pruned.test)
        work = scratch / "onnx"
        own = ArtifactLayout(work)
        exported = export_contender(execution, unpruned, own, work, progress)
        exported = add_precisions(execution, exported, own, work, _any_rows(unpruned), progress)
        exported, ours = (add_runtimes(execution, one, progress) for one in (exported, ours))
        metrics = [row for row in before.metrics if row.contender != "distilled"]
        return time_contenders(
            execution, [exported, ours], metrics, progress, own_lengths=_has_data(config)
        ).file


def inspect(path: Path) -> tuple[RenderableType, Any]:
    """What is in an artifact, a plan or a layer file: for people, and as plain values.

    Raises:
        DataError: it is none of these.
    """
    name = str(path)
    if name.startswith(PREFIX):
        plan = published_plan(name)
    elif path.is_dir():
        layout = finished_artifact(path)
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
    return plan_view(plan), plan.as_dict()


def _told(layout: ArtifactLayout) -> tuple[Path, ...]:
    """The JSON files that say what an artifact is."""
    known = (layout.plan, layout.parity, layout.benchmark, layout.frontier, layout.environment)
    return tuple(file for file in known if file.is_file())


def _config(layout: ArtifactLayout, settings: Mapping[str, Any]) -> RunConfig:
    """What is asked for now, over what the artifact recorded and may be trusted with.

    A path, a data set or code that the artifact names is not touched: it may be a stranger's.
    """
    kept = trusted_settings(layout)
    if _names_data(settings):
        kept.pop("task", None)
    return resolve({**kept, **settings})


def _names_data(settings: Mapping[str, Any]) -> bool:
    return any(settings.get(name) for name in DATA_SETTINGS)


def _pruned(layout: ArtifactLayout, config: RunConfig) -> tuple[ExecutionContext, Trained]:
    """The artifact as a contender, with the test rows of the data, or random ones without any."""
    source = ModelSource(str(layout.root), offline=True)
    tokenizer = load_tokenizer(source)
    own, data = task_of_model(layout.root), None
    if _has_data(config):
        spec = data_spec(config.data, config.model, config.training.seed)
        data = load_task_data(spec, own)
    task = infer_kind(data.task, source) if data else own
    device, precisions = on_device(config.machine, config.precision)
    execution = execution_context(with_length(config, tokenizer), task, device, precisions)
    if data:
        rows = encode(data.test, task, tokenizer, execution.max_length)
    else:
        longest = min(execution.max_length, longest_input(layout.root))
        rows = random_rows(tokenizer, longest, config.training.seed)
    return execution, Trained("pruned", str(layout.root), layout.root, tokenizer, rows)


def _has_data(config: RunConfig) -> bool:
    return _names_data({name: getattr(config.data, name) for name in DATA_SETTINGS})


def _any_rows(reference: Trained) -> CalibrationData:
    """Rows to build the files of the random-init reference with; what it answers does not count."""
    rows = reference.test
    return CalibrationData(
        rows, rows, rows, math.inf, "--int8-drop", TrainSettings(), DistillSettings()
    )


def _exported(layout: ArtifactLayout, pruned: Trained, report: ParityReport) -> Exported:
    """The artifact's files as they came out of the run that made it."""
    files = shipped_files(layout)
    single = [file for file in files if file.precision == ALWAYS]
    entries = PrecisionsFile.load(layout.precisions).entries if len(files) > len(single) else ()
    by_name = {entry.file: entry for entry in entries}
    lower = tuple(LowerPrecision(f, by_name[f.variant]) for f in files if f.variant in by_name)
    return Exported(pruned, single[0], single[-1], report, lower, entries)
