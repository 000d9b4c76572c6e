"""The stage that measures: all contenders are timed side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from glp_export.artifact import OnnxFile
from glp_export.bench import (
    Benchmark,
    Contender,
    MetricRow,
    RuntimeName,
    benchmark,
    onnx_contender,
    task_workloads,
)
from glp_export.bench.contenders import EAGER
from glp_export.core.progress import Progress
from glp_export.workflows.execution import ExecutionContext
from glp_export.workflows.stages.export import (
    Exported,
    as_pytorch,
    fixed_shapes,
    shared_length,
    timing_of,
)
from glp_export.workflows.stages.timing_progress import watch
from glp_export.workflows.stages.trained import Trained


def time_contenders(
    execution: ExecutionContext,
    exported: Sequence[Exported],
    metrics: Sequence[MetricRow],
    progress: Progress,
    *,
    own_lengths: bool = True,
) -> Benchmark:
    """Time all contenders side by side, in PyTorch, in ONNX Runtime and in what else is there.

    Args:
        execution: the task and the machine.
        exported: the contenders with their files.
        metrics: that stand in the same file.
        progress: shows what is left out, and where it is.
        own_lengths: time batches of the test rows too, beside the fixed shapes.
    """
    contenders = [
        contender
        for one in exported
        for contender in (*_pytorch(execution, one.trained), *_onnx(execution, one))
    ]
    options = execution.benchmark
    first = exported[0].trained
    own: dict[str, tuple[Any, Any]] = {
        str(one.trained.named.get("plan_id") or one.trained.contender): (
            one.trained.test,
            one.trained.tokenizer,
        )
        for one in exported
        if one.trained.tokenizer is not first.tokenizer
    }
    wanted = {
        *options.seq_lens,
        *(shape.sequence_length for shape in execution.targets.shapes),
    }
    for length in sorted(length for length in wanted if length > shared_length(contenders)):
        progress.say(f"length {length} is left out: a contender reads {shared_length(contenders)}")
    workloads = fixed_shapes(contenders, execution)
    if own_lengths:
        workloads += task_workloads(first.test, first.tokenizer, options.batch_sizes, own=own)
    else:
        progress.say("no data was named: the lengths of the task's own inputs are not measured")
    with progress.stage("benchmark") as meter, progress.paused():
        return benchmark(
            contenders,
            workloads,
            metrics,
            task=execution.task.name,
            metric=execution.task.metric,
            timing=timing_of(options.bench_seconds, execution),
            memory=not options.skip_memory,
            progress=watch(meter, len(workloads), options.bench_seconds),
        )


def _pytorch(execution: ExecutionContext, trained: Trained) -> list[Contender]:
    """A contender eager in fp32; the unpruned one in every way that was asked for besides."""
    eager = as_pytorch(execution, trained)
    if trained.contender != "unpruned":
        return [eager]
    ways = [name for name in execution.benchmark.pytorch if name != EAGER]
    return [eager, *(as_pytorch(execution, trained, name) for name in ways)]


def _onnx(execution: ExecutionContext, exported: Exported) -> list[Contender]:
    """A contender's best file of each precision, of the pruned one everything that ships.

    In another runtime than ONNX Runtime all of them: which is best there is not known before.
    """
    pruned = exported.trained.contender == "pruned"
    runs: dict[RuntimeName, Sequence[OnnxFile]] = {
        "onnxruntime": exported.files if pruned else exported.best
    }
    runs |= {cast(RuntimeName, name): files for name, files in exported.elsewhere.items()}
    return [
        onnx_contender(
            exported.trained.contender,
            file,
            exported.trained.checkpoint,
            execution.provider,
            execution.threads,
            auto_class=execution.kind.auto_class,
            runtime=runtime,
        )
        for runtime, files in runs.items()
        for file in files
    ]
