"""The stage that asks first whether a target of speed needs any pruning at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from glp_export.artifact import describe
from glp_export.bench import Contender, measure, onnx_contender, shape_grid
from glp_export.bench.depth_latency import compared
from glp_export.config.outcomes import of_rows
from glp_export.config.targets import MEDIAN, DepthLatency, LatencyBudget, Targets
from glp_export.core.errors import GlpError
from glp_export.core.progress import Progress
from glp_export.core.sharing import SharingMonitor
from glp_export.precision.int8 import quantise
from glp_export.precision.int8.recipe import DYNAMIC, RECIPES
from glp_export.workflows.context import RunContext
from glp_export.workflows.stages.depth import depth_contender, require_shape, row_of
from glp_export.workflows.stages.export import timing_of

FP32, INT8 = "fp32", "int8"
TAIL = "latency_tail.json"
"""In the work directory: a resumed run plans for the same tail."""
SECONDS = 2.0
"""Of each shape at most: nothing is decided by it."""


def tell_what_is_met(context: RunContext, work: Path, progress: Progress) -> list[str]:
    """Measure the unpruned model in ONNX Runtime and say which targets of speed it meets.

    In fp32, and in int8 where the run makes that. It is said and nothing else: a run goes on, since
    who asks for it may want a smaller model all the same.

    Returns:
        What was said of targets that are met; nothing where pruning is needed.

    Raises:
        ModelError: the architecture cannot be exported.
        UsageError: a target's shape is longer than what the model reads.
    """
    if not context.execution.targets.fast_enough_asked or context.config.compress.plan:
        return []
    directory = work / "timed"  # not where the trained one is kept
    with progress.stage("measure the unpruned model"):
        try:
            monitor = SharingMonitor()
            files = _measured(context, directory, progress)
            _keep_tail(context.execution.targets.latency, files, work / TAIL)
            shared = monitor.notes()
        finally:
            shutil.rmtree(directory, ignore_errors=True)
    said = [
        line
        for targets in context.execution.targets.each()
        for line in words_of_met(targets, files, fix=_fix(context))
    ]
    for line in said:
        progress.say(line)
    if said and shared:
        progress.say(f"the unpruned model: {shared[0]}")
    return said


def kept_tail(work: Path) -> float:
    """The percentile of a run's latency budget over the median, of the unpruned model; else 1."""
    path = work / TAIL
    return float(json.loads(path.read_text())["over_median"]) if path.is_file() else 1.0


def _keep_tail(
    budget: LatencyBudget | None, files: dict[str, list[DepthLatency]], path: Path
) -> None:
    """Write down how much longer the percentile is than the median, in the last precision."""
    if budget is None or budget.percentile == MEDIAN or path.is_file():
        return
    rows = list(files.values())[-1]
    row = next(row for row in rows if row.shape == budget.shape)
    tail = row.at(budget.percentile)
    assert tail is not None
    content = {"percentile": budget.percentile, "over_median": tail.milliseconds / row.p50_ms}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content) + "\n", encoding="utf-8")


def words_of_met(
    targets: Targets, files: dict[str, list[DepthLatency]], *, fix: str = ""
) -> list[str]:
    """One line for each precision in which the unpruned model meets all targets of time.

    Only a speed that is met by the worse end of its interval counts.

    Args:
        targets: of one model.
        files: what it reaches in each precision.
        fix: what to do in place of pruning.
    """
    found = []
    for precision, rows in files.items():
        if targets.misses(rows, surely=True):
            continue
        outcomes = of_rows(targets, {precision: rows})
        reached = "; ".join(f"{one.reached} for {one.target}" for one in outcomes)
        judged = "" if precision == FP32 else ", if its accuracy holds"
        found.append(
            f"the unpruned model in {precision} already meets {targets.asked_of_time}{judged}: "
            f"{reached}. Nothing needs to be pruned for that{': ' if fix else ''}{fix}"
        )
    return found


def _fix(context: RunContext) -> str:
    name = context.source.name
    here = name if Path(name).is_dir() else "DIR"
    return (
        f"glp-export export {here} -o OUT exports a fine-tuned model as it is; ask for more, or go "
        "on for a smaller model"
    )


def _measured(
    context: RunContext, directory: Path, progress: Progress
) -> dict[str, list[DepthLatency]]:
    """Rows of each precision, at the shapes of the targets."""
    execution = context.execution
    plain = depth_contender(context, context.stack.num_layers, directory)
    for target in execution.targets.timed:
        require_shape(target, plain.max_length)
    contenders = {FP32: plain}
    if INT8 in execution.precisions.names and (made := _int8(context, plain, directory)):
        contenders[INT8] = made
    workloads = [
        workload
        for shape in execution.targets.shapes
        for workload in shape_grid([plain], [shape.batch_size], [shape.sequence_length])
    ]
    timing = timing_of(min(SECONDS, execution.benchmark.bench_seconds), execution)
    with progress.paused():
        samples = measure(list(contenders.values()), workloads, timing=timing)
    count = len(contenders)
    return {
        name: [
            row_of(compared(reference, own))
            for reference, own in zip(samples[::count], samples[number::count], strict=True)
        ]
        for number, name in enumerate(contenders)
    }


def _int8(context: RunContext, plain: Contender, directory: Path) -> Contender | None:
    """The plainest int8 file, whatever it answers; None of a graph that cannot be quantised."""
    execution = context.execution
    try:
        file = quantise(describe(plain.path), directory / "int8.onnx", directory, RECIPES[DYNAMIC])
    except GlpError:
        return None
    return onnx_contender(
        "unpruned",
        file,
        directory,
        execution.provider,
        execution.threads,
        auto_class=execution.kind.auto_class,
    )
