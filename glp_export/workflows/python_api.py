"""What Python programs call: `glp_export.prune_and_export` and the other jobs, fully typed.

Every setting is a keyword argument with the name of its flag. Nothing heavy is imported here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack

from glp_export.config.keywords import (
    BenchmarkKeywords,
    CompareKeywords,
    CompressKeywords,
    DataKeywords,
    ExportKeywords,
    RunKeywords,
    VerifyKeywords,
)
from glp_export.core.arguments import (
    choice_of,
    flag_of,
    path_of,
    seconds_of,
    text_of,
    threads_of,
)
from glp_export.core.errors import UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from glp_export.artifact import ParityReport
    from glp_export.bench import BenchmarkFile
    from glp_export.core.progress import Progress
    from glp_export.gate.results import GateReport
    from glp_export.workflows.compare import Comparison
    from glp_export.workflows.compress import Compressed
    from glp_export.workflows.export import ExportResult
    from glp_export.workflows.prune_and_export import RunResult

Function = TypeVar("Function", bound=Callable[..., Any])
Place = str | Path


def _with_keywords(keywords: type) -> Callable[[Function], Function]:
    """Give a function a signature with one argument a setting, for `help` and for notebooks."""

    def decorate(function: Function) -> Function:
        own = [
            one
            for one in inspect.signature(function).parameters.values()
            if one.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        settings = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_written(kind)
            )
            for name, kind in keywords.__annotations__.items()
            if name not in {one.name for one in own}
        ]
        function.__signature__ = inspect.Signature([*own, *settings])  # type: ignore[attr-defined]
        return function

    return decorate


def _written(annotation: Any) -> str:
    return str(getattr(annotation, "__forward_arg__", annotation))


@_with_keywords(RunKeywords)
def prune_and_export(
    *, progress: Progress | None = None, **settings: Unpack[RunKeywords]
) -> RunResult:
    """Do the whole job, with the settings that the command has as flags.

    Example:
        >>> result = prune_and_export(model="bert", dataset="trec", depth=6, output="out/trec")
        >>> result.plan.order, result.to_frame()

    Args:
        progress: told where the job is; `glp_export.progress()` shows it in a terminal or notebook.
        settings: by the names of the flags. A mapping for a whole section is accepted too. Nobody
            is asked, so `push_to_hub` wants `yes=True`.

    Returns:
        Where the artifact is, what was removed, and what was measured.

    Raises:
        GlpError: see `glp_export.core.errors`.
    """
    from glp_export.config.files import resolve
    from glp_export.workflows.prune_and_export import prune_and_export as run

    config = resolve(_plain(settings))
    if config.hub.push_to_hub is None:
        return run(config, progress=_progress(progress))
    from glp_export.workflows.push import run_and_push

    return run_and_push(config, _progress(progress))


@_with_keywords(ExportKeywords)
def export(
    checkpoint: Place, *, progress: Progress | None = None, **settings: Unpack[ExportKeywords]
) -> ExportResult:
    """Export a fine-tuned checkpoint as it is: ONNX, optimised, checked against PyTorch.

    Example:
        >>> export("my-classifier", output="out/my-classifier")

    Args:
        checkpoint: directory that `save_pretrained` wrote.
        progress: told where the job is.
        settings: by the names of the flags.

    Raises:
        GlpError: see `glp_export.core.errors`.
    """
    from glp_export.config.files import resolve
    from glp_export.workflows.export import export as run

    given = _looked_at("export", settings, ExportKeywords)
    return run(path_of(checkpoint, "checkpoint"), resolve(given), _progress(progress))


@_with_keywords(VerifyKeywords)
def verify(
    artifact: Place, *, progress: Progress | None = None, **settings: Unpack[VerifyKeywords]
) -> ParityReport:
    """Check an artifact's checksums, and its ONNX files against its PyTorch weights.

    Example:
        >>> verify("out/trec").passed

    Args:
        artifact: directory that `prune_and_export` or `export` wrote.
        progress: told where the job is.
        settings: by the names of the flags.

    Returns:
        The differences of every file; `require()` raises `ParityError` if one is too large.

    Raises:
        GlpError: see `glp_export.core.errors`.
    """
    from glp_export.workflows import artifact_jobs

    given = _looked_at("verify", settings, VerifyKeywords)
    return artifact_jobs.verify(path_of(artifact, "artifact"), given, _progress(progress))


@_with_keywords(BenchmarkKeywords)
def benchmark(
    path: Place, *, progress: Progress | None = None, **settings: Unpack[BenchmarkKeywords]
) -> BenchmarkFile:
    """Measure an artifact beside the rebuilt unpruned model, or a checkpoint as it is.

    Example:
        >>> benchmark("out/trec", batch_sizes=[1, 8], seq_lens=[128]).to_frame()

    Args:
        path: an artifact, or a checkpoint of `save_pretrained`.
        progress: told where the job is.
        settings: by the names of the flags; with targets the result says whether they are kept.

    Raises:
        GlpError: see `glp_export.core.errors`.
    """
    from glp_export.workflows import artifact_jobs
    from glp_export.workflows.benchmark_checkpoint import benchmark_checkpoint, targets_kept

    root, given = path_of(path, "path"), _looked_at("benchmark", settings, BenchmarkKeywords)
    if artifact_jobs.is_pruned(root):
        measured = artifact_jobs.benchmark(root, given, _progress(progress))
        kept = targets_kept(measured, given)
    else:
        measured = benchmark_checkpoint(root, given, _progress(progress))
        kept = targets_kept(measured, given, contender="unpruned")
    return measured.model_copy(update={"targets": tuple(kept)})


@_with_keywords(DataKeywords)
def gate(
    artifact: Place,
    *,
    budget: Place | None = None,
    against: Place | None = None,
    quick: bool = False,
    max_seconds: float = 60.0,
    undecided: Literal["pass", "fail"] = "pass",
    device: Sequence[str] = (),
    int8: bool = False,
    threads: int | None = None,
    cache: str | None = None,
    progress: Progress | None = None,
    **data: Unpack[DataKeywords],
) -> GateReport:
    """Check an artifact against its budget: files, size, latency, and accuracy on `dataset`.

    Example:
        >>> gate("out/trec", max_seconds=30).require()

    Args:
        artifact: directory that `prune_and_export` wrote.
        budget: in place of the artifact's own.
        against: another artifact, in place of the rebuilt unpruned model.
        quick: checksums, shapes, parity and size only.
        max_seconds: for all latency lines together.
        undecided: what a line does that could not be decided.
        device: only the budget's tables for `cpu` or `cuda`; () for all.
        int8: judge int8 lines also on a CPU without the recorded instructions.
        threads: of ONNX Runtime; None for those of the run.
        cache: where rebuilt models are kept; `none` keeps nothing.
        progress: told where the job is.
        data: settings that name data for the accuracy lines.

    Returns:
        A finding for each line; `require()` raises the error of the most severe failure.

    Raises:
        GlpError: see `glp_export.core.errors`.
    """
    from glp_export.config.files import resolve
    from glp_export.gate.jobs import gate as run
    from glp_export.gate.session import GateSettings

    given = _looked_at("gate", data, DataKeywords)
    resolve(given)
    choice_of(undecided, "undecided", ("pass", "fail"))
    asked = GateSettings(
        budget=None if budget is None else path_of(budget, "budget"),
        against=None if against is None else path_of(against, "against"),
        quick=flag_of(quick, "quick"),
        max_seconds=seconds_of(max_seconds, "max_seconds"),
        undecided=undecided,
        devices=_names(device, "device"),
        int8=flag_of(int8, "int8"),
        threads=threads_of(threads),
        cache=text_of(str(cache) if isinstance(cache, Path) else cache, "cache"),
        data=given,
    )
    return run(path_of(artifact, "artifact"), asked, _progress(progress))


@_with_keywords(CompareKeywords)
def compare(
    a: Place,
    b: Place,
    *,
    precision: str | None = None,
    progress: Progress | None = None,
    **settings: Unpack[CompareKeywords],
) -> Comparison:
    """Compare two artifacts: latency interleaved, accuracy on the same examples of `dataset`.

    Example:
        >>> compare("out/a", "out/b", dataset="data/trec").lines()

    Args:
        a: an artifact.
        b: another one.
        precision: of both files; None for what `load` opens of each.
        progress: told where the job is.
        settings: by the names of the flags.

    Raises:
        GlpError: see `glp_export.core.errors`.
    """
    from glp_export.workflows.compare import compare as run

    of_both = text_of(precision, "precision")
    places = path_of(a, "a"), path_of(b, "b")
    given = _looked_at("compare", settings, CompareKeywords)
    return run(*places, given, _progress(progress), precision=of_both)


def report(*artifacts: Place, output: Place | None = None, show_texts: bool = False) -> Path:
    """Write the HTML report of an artifact anew, or one that compares several.

    Example:
        >>> report("out/a", "out/b", output="compared.html")

    Args:
        artifacts: directories that `prune_and_export` wrote.
        output: where it goes; None is the artifact itself, for several `report.html` here.
        show_texts: also show the texts whose labels flip, read from the data of the run.

    Returns:
        The file.

    Raises:
        GlpError: see `glp_export.core.errors`.
    """
    from glp_export.workflows.report import report as run

    where = None if output is None else path_of(output, "output")
    asked = flag_of(show_texts, "show_texts")
    return run([path_of(one, "artifacts") for one in artifacts], where, show_texts=asked)


@_with_keywords(CompressKeywords)
def compress(
    model: PreTrainedModel,
    data: Any,
    target: str | float | None = None,
    *,
    tokenizer: PreTrainedTokenizerBase | None = None,
    progress: Progress | None = None,
    **settings: Unpack[CompressKeywords],
) -> Compressed:
    """Prune a live model for a task and recover its accuracy; no files are left.

    Example:
        >>> found = compress(model, data, "2.0@1x128", tokenizer=tokenizer)
        >>> found.model, found.plan

    Args:
        model: a transformers model, pretrained or fine-tuned; it stays as it is.
        data: a hub id or directory, or a mapping with `train` and `validation`: datasets, pandas
            frames or lists of rows.
        target: a speedup (`2.0`, `"2.0@8x128"`) or a latency (`"10ms@1x128"`); else say `depth`,
            `prune` or `max_drop`.
        tokenizer: of the model; None loads it from where the model came from.
        progress: told where the job is.
        settings: by the names of the flags.

    Returns:
        The compact module in eval mode, its plan and what was trained on.

    Raises:
        GlpError: see `glp_export.core.errors`.
    """
    from glp_export.workflows.compress import compress as run

    given = _looked_at("compress", settings, CompressKeywords)
    return run(model, data, target, tokenizer, given, _progress(progress))


def progress(verbose: int = 0) -> Progress:
    """Progress for a terminal, a log or a notebook: pass it as `progress=` to any job."""
    from glp_export.report.progress import make_progress

    return make_progress(verbose=verbose)


def _plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with paths as texts, those of a section or a list too."""
    return {name: _text(value) for name, value in settings.items()}


def _text(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _plain(value)
    if isinstance(value, list | tuple):
        return [_text(one) for one in value]
    return str(value) if isinstance(value, Path) else value


def _progress(given: Progress | None) -> Progress:
    from glp_export.core.progress import Progress

    if given is not None and not isinstance(given, Progress):
        raise UsageError(
            f"progress is a {type(given).__name__}",
            where="progress",
            fix="give glp_export.progress(), or a class that inherits from Progress",
        )
    return given or Progress()


def _names(given: Sequence[str], argument: str) -> tuple[str, ...]:
    """Several names; one alone may stand without a list."""
    names = [given] if isinstance(given, str) or not isinstance(given, Iterable) else list(given)
    return tuple(one for name in names if (one := text_of(name, argument)) is not None)


def _looked_at(job: str, settings: Mapping[str, Any], keywords: type) -> dict[str, Any]:
    """The settings that are given, all of which a job looks at.

    Raises:
        UsageError: one is of no setting, or of another job's.
    """
    from glp_export.config.files import flat_settings, resolve

    given = {name: value for name, value in _plain(settings).items() if value is not None}
    others = [name for name in flat_settings(given) if name not in keywords.__annotations__]
    if others:
        resolve(given)  # what is no setting at all is told with those that are near
        raise UsageError(
            f"{job} does not look at {others[0]}",
            where=others[0],
            fix=f"leave it away; help(glp_export.{job}) names what it takes",
        )
    return given
