"""The job, top-down: each stage's result is handed to the next, and nothing else is shared."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from glp_export.artifact import ArtifactLayout, commit, discard, locked, prepare, writing
from glp_export.artifact.served_text import check_served_texts
from glp_export.artifact.transfer_record import TRANSFER
from glp_export.bench import Benchmark, BenchmarkFile, Frontier
from glp_export.bench.contenders import longest_input
from glp_export.bench.target_outcome import TargetOutcome
from glp_export.compress.latency_table import kept_table
from glp_export.compress.plan import Plan
from glp_export.config.outcomes import check_shipped, outcomes
from glp_export.config.run_config import RunConfig
from glp_export.config.sections import OutputOptions
from glp_export.config.targets import Targets
from glp_export.core.errors import UsageError
from glp_export.core.heap import settled
from glp_export.core.notebook import lines_html
from glp_export.core.numbers import threads_in_words
from glp_export.core.progress import Progress
from glp_export.encoder import write_loader_files
from glp_export.report import summary_lines
from glp_export.tasks import truth_of
from glp_export.tasks.checksum import checksum_of_test_set
from glp_export.workflows.compressors import not_looked_at
from glp_export.workflows.context import RunContext, make_context
from glp_export.workflows.estimate import Estimate, estimate_run
from glp_export.workflows.final_training import not_faster_in_bf16
from glp_export.workflows.resuming import (
    is_complete,
    kept_config,
    require_same,
    require_same_inputs,
)
from glp_export.workflows.stage_count import (
    stages_after_search,
    stages_of_run,
    stages_of_search,
)
from glp_export.workflows.stages.benchmark import time_contenders
from glp_export.workflows.stages.export import Exported, export_contender
from glp_export.workflows.stages.precision import (
    add_precisions,
    calibration_data_of,
    require_texts_of_run,
)
from glp_export.workflows.stages.runtimes import add_runtimes
from glp_export.workflows.stages.scoring import (
    Scored,
    score_contender,
    with_differences,
    with_divergences,
)
from glp_export.workflows.stages.search import (
    choose_plans,
    confirm_cost,
    require_search,
    targets_by_plan,
)
from glp_export.workflows.stages.size import opened_file
from glp_export.workflows.stages.trained import Trained
from glp_export.workflows.stages.training import train_contenders
from glp_export.workflows.stages.transfer import with_transfer
from glp_export.workflows.stages.writing import SweepVariant, variants_of_sweep, write_output

if TYPE_CHECKING:
    import pandas

Confirm = Callable[[str], bool]


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        output: the artifact's directory; of a sweep, the one above its artifacts.
        plan: what was removed; of several models, for the fastest.
        benchmark: what was measured, of all models.
        frontier: of a sweep, accuracy against latency; None for one depth.
        targets: what became of each target.
    """

    output: Path
    plan: Plan
    benchmark: BenchmarkFile
    frontier: Frontier | None = None
    targets: tuple[TargetOutcome, ...] = ()

    def __repr__(self) -> str:
        kept = "".join(f"; {one}" for one in self.targets)
        return f"RunResult({self.output}: {self.plan.label}{kept})"

    def _repr_html_(self) -> str:
        lines = (*summary_lines(self.benchmark), f"artifact: {self.output}")
        table = (self.frontier or self.benchmark)._repr_html_()
        return f"{lines_html(lines)}{table}"

    def to_frame(self) -> pandas.DataFrame:
        """All rows of the benchmark; see `BenchmarkFile.to_frame`."""
        return self.benchmark.to_frame()


def prune_and_export(
    config: RunConfig,
    *,
    progress: Progress | None = None,
    confirm: Confirm = lambda question: False,
) -> RunResult:
    """Prune an encoder for a task, export it, prove the files right and measure them.

    Several depths come from one search and are measured side by side; one depth is a sweep
    of one variant.

    Args:
        config: what to do.
        progress: shows where the job is.
        confirm: asked before a search of more than 100 trainings.

    Raises:
        GlpError: see `core.errors`; nothing is left at the output then, and what was
            done so far is kept beside it for `resume`.
    """
    progress = progress or Progress()
    if is_complete(config, "benchmark.json", progress):
        return _finished_run(_directory(config.output), config.targets)
    with _staged(config, progress, confirm) as (context, layout):
        progress.expect(stages_of_run(context))
        context = with_transfer(context, layout.work_dir, progress)
        found = choose_plans(context, layout.work_dir, progress)
        asked = targets_by_plan(config.targets, [one.plan.id for one in found])
        found = list({one.plan.id: one for one in found}.values())
        plans, spent = [one.plan for one in found], found[0].drop
        plan = plans[-1]
        plan.save(layout.plan)
        sweep_variants = variants_of_sweep(plans, layout, asked)
        progress.expect(stages_after_search(context, len(plans)))
        trained = train_contenders(context, found, layout.work_dir, progress)
        exported = [
            _export(context, one, sweep_variants, layout, spent, progress) for one in trained
        ]
        measured, scored = _measure(context, exported, progress)
        measured = _held_to_targets(context, sweep_variants, measured, spent, layout.work_dir)
        frontier = write_output(context, layout, sweep_variants, measured, scored)
    targets = measured.file.targets
    return RunResult(_directory(config.output), plan, measured.file, frontier, targets)


def _held_to_targets(
    context: RunContext,
    sweep_variants: Sequence[SweepVariant],
    measured: Benchmark,
    spent: float,
    work: Path,
) -> Benchmark:
    """The benchmark with what became of each target.

    Raises:
        LatencyError: a target of time or size is missed.
    """
    found: list[TargetOutcome] = []
    for one in sweep_variants:
        targets, own = one.targets, measured.file.of_plan(one.plan.id)
        opened = opened_file(one.layout, targets, context.execution.provider, own)
        table = kept_table(work, one.plan.latency_table)
        check_shipped(targets, own, opened, doubtful_table=bool(table and table.notes))
        found += outcomes(targets, own, spent=spent, plan_id=one.plan.id, opened=opened)
    return measured.with_targets(found)


def search_only(
    config: RunConfig,
    *,
    progress: Progress | None = None,
    confirm: Confirm = lambda question: False,
) -> tuple[Plan, Path]:
    """Find what goes, and leave `glp/plan.json` with the run's configuration.

    Raises:
        GlpError: as `prune_and_export`; several speeds are several plans, and this makes one.
    """
    progress = progress or Progress()
    if len(config.targets.speedups) > 1:
        raise UsageError(
            "a search writes one plan, and each speed has its own",
            where=f"--target-speedup {config.compress.target_speedup}",
            fix="search for one speed at a time, or make all models with prune-and-export",
        )
    if is_complete(config, "plan.json", progress):
        layout = ArtifactLayout(_directory(config.output))
        return Plan.load(layout.plan), layout.plan
    with _staged(config, progress, confirm) as (context, layout):
        progress.expect(stages_of_search(context))
        context = with_transfer(context, layout.work_dir, progress)
        plan = choose_plans(context, layout.work_dir, progress)[-1].plan
        plan.save(layout.plan)
        table = kept_table(layout.work_dir, plan.latency_table)
        if table is not None:
            table.save(layout.latency_table)
        if context.transfer is not None:
            context.transfer.save(layout.root / TRANSFER)
        config.save(layout.run_config)
    return plan, ArtifactLayout(_directory(config.output)).plan


def estimate(config: RunConfig, progress: Progress | None = None) -> Estimate:
    """Say what a run would cost, after a short probe; nothing is written.

    Raises:
        GlpError: the data or the model cannot be used.
    """
    progress = progress or Progress()
    with progress.stage("read data and model"):
        context = make_context(config)
    for note in not_looked_at(context):
        progress.say(note)
    with progress.stage("probe"):
        return estimate_run(context)


def _finished_run(output: Path, targets: Targets) -> RunResult:
    """What a run left that has nothing to do any more."""
    layout = ArtifactLayout(output)
    frontier = Frontier.load(layout.frontier) if layout.frontier.is_file() else None
    measured = BenchmarkFile.load(layout.benchmark)
    rows = (row.plan_id for row in measured.rows if row.contender == "pruned")
    asked = targets_by_plan(targets, list(dict.fromkeys(rows)))
    kept = measured.targets or tuple(
        outcome
        for plan_id, own in asked.items()
        for outcome in outcomes(own, measured.of_plan(plan_id), plan_id=plan_id)
    )
    measured = measured.model_copy(update={"targets": kept})
    return RunResult(output, Plan.load(layout.plan), measured, frontier, kept)


@contextmanager
def _staged(
    config: RunConfig, progress: Progress, confirm: Confirm
) -> Iterator[tuple[RunContext, ArtifactLayout]]:
    """Work beside the output directory, and move everything into place if the block ends well."""
    # A metric of the user's own may change the directory that relative paths start at.
    output = Path(os.path.abspath(_directory(config.output)))
    with locked(output):
        staging = prepare(output, overwrite=config.output.overwrite, resume=config.output.resume)
        layout = ArtifactLayout(staging)
        with writing(staging):
            context = _set_up(config, layout, progress, confirm)
            with settled():
                yield context, layout
            layout.write_checksums()
            commit(staging, output, overwrite=config.output.overwrite)


def _set_up(
    config: RunConfig, layout: ArtifactLayout, progress: Progress, confirm: Confirm
) -> RunContext:
    kept = kept_config(layout)
    if config.output.resume and kept.is_file():
        require_same(config, kept)
    try:
        with progress.stage("read data and model"):
            context = make_context(config)
        require_search(context)
        require_texts_of_run(context)
        confirm_cost(context, confirm)
        require_same_inputs(context, layout)
    except BaseException:
        if not kept.is_file():  # nothing was learned yet: the next try starts from a clean place
            with suppress(OSError):
                discard(layout.root)
        raise
    task = context.data.task
    progress.say(
        f"{task.name}: {len(task.labels) or 'no'} labels, {task.metric}; "
        f"train {len(context.fit)}, dev {len(context.select)}, test {len(context.test)}"
    )
    progress.say(
        f"{context.source.name}: {context.stack.num_layers} layers, learning rate "
        f"{context.final.learning_rate:g}{', trained in bf16' if context.final.bf16 else ''}, "
        f"{threads_in_words(context.execution.threads)}, {context.execution.device}"
    )
    if context.max_length < config.data.max_length:
        progress.say(f"inputs are cut at {context.max_length} tokens: the model reads no more")
    progress.say(str(context.exporter))
    notes = [*context.data.notes, *context.execution.precisions.notes, *not_looked_at(context)]
    if context.final.bf16 and (slow := not_faster_in_bf16(context.execution.device)):
        notes.append(f"--training-precision bf16: {slow}")
    for note in notes:
        progress.say(note)
    config.save(kept)
    return context


def _export(
    context: RunContext,
    trained: Trained,
    sweep_variants: Sequence[SweepVariant],
    layout: ArtifactLayout,
    spent: float,
    progress: Progress,
) -> Exported:
    """Export a contender in every precision: a pruned one into its artifact, others to scratch."""
    scratch = layout.work_dir / "onnx" / trained.checkpoint.name
    own = ArtifactLayout(scratch)
    if trained.contender == "pruned":
        plan_id = trained.named.get("plan_id")
        (own,) = (one.layout for one in sweep_variants if one.plan.id == plan_id)
        # An interrupted run may have left a file here that is not chosen this time.
        for made in (own.onnx_dir, own.triton):
            shutil.rmtree(made, ignore_errors=True)
        shutil.copytree(trained.checkpoint, own.root, dirs_exist_ok=True)
        longest = min(longest_input(own.root), context.max_length)  # as it was trained and scored
        write_loader_files(own.root, trained.tokenizer, longest=longest)
        check_served_texts(own.root, trained.tokenizer, max_length=context.max_length)
    exported = export_contender(context.execution, trained, own, scratch, progress)
    calibration = calibration_data_of(
        context, trained, spent if trained.contender == "pruned" else 0.0
    )
    exported = add_precisions(context.execution, exported, own, scratch, calibration, progress)
    return add_runtimes(context.execution, exported, progress)


def _measure(
    context: RunContext, exported: Sequence[Exported], progress: Progress
) -> tuple[Benchmark, list[Scored]]:
    """Score every contender on the test set, then time them side by side."""
    scored = []
    with progress.stage("score on test", len(exported)) as meter:
        for one in exported:
            scored.append(score_contender(context.execution, one, context.data.other_metric))
            meter.advance(one.trained.label)
    if not context.data.labelled:
        scored = with_divergences(scored, context.data.task)
    rows = [row for one in scored for row in one.rows]
    measured = time_contenders(context.execution, exported, rows, progress)
    task, test = context.data.task, {"test_rows": checksum_of_test_set(context.data.test)}
    measured = replace(measured, file=measured.file.model_copy(update=test))
    return with_differences(measured, scored, task, truth_of(task, context.test)), scored


def _directory(options: OutputOptions) -> Path:
    if options.output is None:
        raise UsageError("no output directory was named", where="--output", fix="add -o out/mine")
    return options.output
