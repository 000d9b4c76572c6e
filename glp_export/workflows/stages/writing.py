"""The last stages: writing everything that tells about the files, artifact by artifact."""

from __future__ import annotations

import json
import logging
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from glp_export.artifact import (
    ArtifactLayout,
    serving_settings,
    triton_name,
    write_triton,
)
from glp_export.artifact.layout import layers_directory
from glp_export.artifact.padding import padding_matters
from glp_export.artifact.transfer_record import TRANSFER
from glp_export.artifact.vocabulary_record import VocabularyRecord
from glp_export.bench import Benchmark, BenchmarkFile, Frontier, of_plan
from glp_export.bench.memory_probe import peak_resident_mb
from glp_export.bench.winners import UNSCORED, fastest_runtime
from glp_export.compress.latency_table import LatencyTable, kept_table
from glp_export.compress.plan import Plan
from glp_export.config.run_config import RunConfig
from glp_export.config.sections import COUNTS, CompressOptions
from glp_export.config.targets import Targets
from glp_export.core.command_line import command_line
from glp_export.core.machine import CPU, describe
from glp_export.encoder import RECOVERIES, ModelSource, find_file
from glp_export.encoder.structure import read_block_sparse_record
from glp_export.encoder.vocabulary import recut_rows
from glp_export.precision.record import PrecisionsFile
from glp_export.report import CardFacts, benchmark_warnings, card_text, sweep_text
from glp_export.report.card_facts import UNCHANGED
from glp_export.serve.runtimes import ONNX_RUNTIME
from glp_export.serve.runtimes import RUNTIMES as SERVED_RUNTIMES
from glp_export.tasks import KINDS
from glp_export.workflows.context import RunContext
from glp_export.workflows.execution import ExecutionContext
from glp_export.workflows.report import write_report
from glp_export.workflows.stages.base_card import told_by_card
from glp_export.workflows.stages.export import Exported
from glp_export.workflows.stages.gate_files import write_gate_files
from glp_export.workflows.stages.recovery_start import needs_no_recovery
from glp_export.workflows.stages.scoring import Scored
from glp_export.workflows.stages.size import measured_of, too_large

logger = logging.getLogger(__name__)

_NO_PADDING = (
    "this model answers a text otherwise where padding stands beside it, in PyTorch too: "
    "glp_export.load pads nothing and answers texts of one length together; a server that pads "
    "gives other answers in batches"
)


@dataclass(frozen=True)
class SweepVariant:
    """One depth or speed of a run.

    Attributes:
        plan: what is removed for it.
        layout: where its artifact lies.
        of_several: whether the run has others too.
        targets: what it has to reach.
    """

    plan: Plan
    layout: ArtifactLayout
    of_several: bool
    targets: Targets


def variants_of_sweep(
    plans: Sequence[Plan], layout: ArtifactLayout, asked: Mapping[str, Targets]
) -> list[SweepVariant]:
    """Where each artifact goes: a single one into the root, several below it.

    Args:
        plans: of each model.
        layout: of the run's whole output.
        asked: what each has to reach, by the plan's id.
    """
    if len(plans) == 1:
        return [SweepVariant(plans[0], layout, of_several=False, targets=asked[plans[0].id])]
    depths = Counter(plan.depth for plan in plans if plan.whole_vocabulary.layers_only)
    return [
        SweepVariant(
            plan,
            layout.sweep_variant(directory_of(plan, alone=depths[plan.depth] < 2)),
            of_several=True,
            targets=asked[plan.id],
        )
        for plan in plans
    ]


def directory_of(plan: Plan, *, alone: bool = True) -> str:
    """The name of an artifact among several: `6-layers`, or its speedup and a part of its id.

    Args:
        plan: that made it.
        alone: whether no other one lost whole layers down to the same number.
    """
    layers, speedup = layers_directory(plan.depth), plan.predicted_speedup
    if plan.whole_vocabulary.layers_only and alone:
        return layers
    return f"{layers if speedup is None else f'{speedup:.1f}x'}-{plan.id[:8]}"


def write_output(
    context: RunContext,
    layout: ArtifactLayout,
    sweep_variants: Sequence[SweepVariant],
    measured: Benchmark,
    scored: Sequence[Scored],
) -> Frontier | None:
    """Write what tells about the files; of several depths also what compares them.

    Args:
        layout: of the run's whole output.
        sweep_variants: one for each depth.
        measured: all contenders of all depths.
        scored: likewise.

    Returns:
        The frontier; None for a single depth.
    """
    for sweep_variant in sweep_variants:
        table = _table_of(context, sweep_variant.plan, layout.work_dir)
        _write_artifact(context, sweep_variant, measured, scored, table)
        write_report(sweep_variant.layout.root)
    if len(sweep_variants) == 1:
        return None
    for sweep_variant in sweep_variants:
        sweep_variant.layout.write_checksums()
    frontier = Frontier.of(
        measured.file, {one.plan.id: one.layout.root.name for one in sweep_variants}
    )
    frontier.save(layout.frontier)
    measured.save(layout.benchmark)
    context.config.save(layout.run_config)
    _write_environment(layout)
    warnings = benchmark_warnings(measured.file)
    targets = [str(outcome) for outcome in measured.file.targets]
    readme = sweep_text(frontier, command=_command(), warnings=warnings, targets=targets)
    layout.card.write_text(readme, encoding="utf-8")
    write_report(layout.root)
    return frontier


def write_serving(
    execution: ExecutionContext,
    layout: ArtifactLayout,
    max_length: int,
    exported: Exported,
    measured: BenchmarkFile | None = None,
) -> None:
    """Write how the files are best run: as they were measured, the fastest first.

    Args:
        execution: the task and the machine.
        layout: of the artifact, its files in place.
        max_length: longest input in tokens.
        exported: the pruned model with its files.
        measured: what says which file is fastest; None where nothing was.
    """
    trained = exported.trained
    pads = not padding_matters(
        layout.shipped()["fp32"],
        trained.test,
        trained.tokenizer,
        longest=max_length,
        provider=CPU,
        threads=execution.threads,
        scaled=execution.kind.scaled,
    )
    if not pads:
        logger.warning(_NO_PADDING)
    serving_settings(
        layout,
        kind=execution.kind.name,
        labels=execution.task.labels,
        provider=execution.provider,
        threads=execution.threads,
        max_length=max_length,
        pads=pads,
        opset=exported.plain.opset,
        # A checkpoint that is exported as it is does not say what it was trained on.
        text_pair=len(execution.task.text_columns) == 2 if measured else None,
        measured=[
            measured_of(row)
            for row in (measured.rows if measured else ())
            if row.contender == "pruned"
            and row.runtime in SERVED_RUNTIMES
            and (row.runtime, row.precision) != UNSCORED
        ],
        runtime=fastest_runtime(measured, execution.provider) if measured else ONNX_RUNTIME,
        too_large=too_large(layout, execution.targets, measured) if measured else (),
    ).save(layout)


def write_extra_files(
    execution: ExecutionContext, layout: ArtifactLayout, max_length: int, source: ModelSource
) -> None:
    """Write what other libraries read beside the checkpoint, where the kind of task has that.

    Args:
        execution: the task.
        layout: of the artifact, its checkpoint in place.
        max_length: longest input in tokens.
        source: the model that was given, whose own such files are made use of.
    """
    if execution.kind.extra_files is not None:
        execution.kind.extra_files(layout.root, max_length, lambda name: find_file(source, name))


def _write_artifact(
    context: RunContext,
    sweep_variant: SweepVariant,
    measured: Benchmark,
    scored: Sequence[Scored],
    table: LatencyTable | None,
) -> None:
    """Write what tells about one artifact's files."""
    plan_id, layout = sweep_variant.plan.id, sweep_variant.layout
    own, part = of_plan(scored, plan_id), measured.of_plan(plan_id)
    (pruned,) = (one for one in own if one.contender == "pruned")
    sweep_variant.plan.save(layout.plan)
    if table is not None:
        table.save(layout.latency_table)
    vocabulary = _vocabulary_of(context, sweep_variant.plan, pruned.exported)
    if vocabulary is not None:
        vocabulary.save(layout.root)
    if context.transfer is not None:
        context.transfer.save(layout.root / TRANSFER)
    config_of_variant(sweep_variant, context.config).save(layout.run_config)
    layout.parity.write_text(pruned.exported.parity.to_json())
    PrecisionsFile.of(pruned.entries).save(layout.precisions)
    part.save(layout.benchmark)
    write_gate_files(
        layout,
        context.execution,
        pruned.exported.trained.tokenizer,
        part.file,
        unpruned={
            # int8 is made of the plain graph, everything else of the fastest in fp32.
            row.precision: "none" if row.precision == "int8" else one.exported.chosen.optimisation
            for one in own
            if one.contender == "unpruned"
            for row in one.rows
        },
    )
    _write_environment(layout)
    write_serving(context.execution, layout, context.max_length, pruned.exported, part.file)
    if context.config.export.triton:
        write_triton(
            layout, layout.triton, name=_name_of(sweep_variant, context.config.output.output)
        )
    write_extra_files(context.execution, layout, context.max_length, context.source)
    card = card_text(
        plan=sweep_variant.plan,
        benchmark=part.file,
        parity=pruned.exported.parity,
        facts=_card_facts(context, sweep_variant.plan, own, table, vocabulary),
    )
    layout.card.write_text(card, encoding="utf-8")


def _vocabulary_of(context: RunContext, plan: Plan, exported: Exported) -> VocabularyRecord | None:
    """How the trimmed tokenizer cuts the test set; None where all tokens are left."""
    if plan.kept_tokens is None or plan.base_shape is None:
        return None
    own = exported.trained
    pairs = zip(context.test["input_ids"], own.test["input_ids"], strict=True)
    found = recut_rows(context.tokenizer, own.tokenizer, plan.kept_tokens, pairs)
    return VocabularyRecord(
        tokens=len(plan.kept_tokens), of=plan.base_shape.vocabulary, **asdict(found)
    )


def config_of_variant(sweep_variant: SweepVariant, config: RunConfig) -> RunConfig:
    """The configuration that makes one artifact alone: of several, with its own depth or speed."""
    if not sweep_variant.of_several:
        return config
    own: dict[str, object] = {name: CompressOptions.model_fields[name].default for name in COUNTS}
    if speedup := sweep_variant.targets.speedup:
        own["target_speedup"] = speedup.written
    else:
        own["depth"] = sweep_variant.plan.depth
    above = config.output.output
    return config.updated(**own, output=above and above / sweep_variant.layout.root.name)


def _name_of(sweep_variant: SweepVariant, output: Path | None) -> str:
    """What a server calls an artifact: its directory, of a sweep with the depth."""
    names = [output.name] if output else []
    return triton_name(
        "-".join([*names, *([sweep_variant.layout.root.name] if sweep_variant.of_several else [])])
    )


def _write_environment(layout: ArtifactLayout) -> None:
    """Write the machine, and the most memory that this process had at once until now."""
    peak = round(peak_resident_mb())
    logger.info("peak memory of this run: %d MiB", peak)
    content = {**asdict(describe()), "command": _command(), "peak_memory_mb": peak}
    layout.environment.write_text(json.dumps(content, indent=2) + "\n")


def _table_of(context: RunContext, plan: Plan, work: Path) -> LatencyTable | None:
    """The table that a plan was chosen by: of this run, or beside the plan that was given."""
    given = Path(context.config.compress.plan or "")
    beside = given.with_name("latency_table.json") if given.is_file() else None
    if plan.latency_table and beside and beside.is_file():
        found = LatencyTable.load(beside)
        return found if found.id == plan.latency_table else None
    return kept_table(work, plan.latency_table)


def _card_facts(
    context: RunContext,
    plan: Plan,
    scored: Sequence[Scored],
    table: LatencyTable | None,
    vocabulary: VocabularyRecord | None,
) -> CardFacts:
    kind = KINDS[context.data.task.kind]
    (checkpoint,) = (one.exported.trained.checkpoint for one in scored if one.contender == "pruned")
    return CardFacts(
        kind=kind.name,
        labels=context.data.task.labels,
        max_length=context.max_length,
        data=context.data.source,
        data_notes=context.data.notes,
        recover=UNCHANGED
        if needs_no_recovery(plan, RECOVERIES[context.config.training.recover])
        else context.config.training.recover,
        as_is=context.as_is,
        epochs=context.final.epochs,
        learning_rate=context.final.learning_rate,
        rates=context.schedule.rates if context.schedule else (),
        bf16=context.final.bf16,
        train_examples=len(context.train),
        labelled=context.data.labelled,
        unlabeled=0 if context.unlabeled is None else len(context.unlabeled),
        origins={one.contender: one.exported.trained.origin for one in scored},
        precisions=next(one.entries for one in scored if one.contender == "pruned"),
        other_scores=tuple(score for one in scored for score in one.others),
        command=_command(),
        exporter=context.execution.export.exporter,
        opset=next(one.exported.plain.opset for one in scored if one.contender == "pruned"),
        text_pair=len(context.data.task.text_columns) == 2,
        hub_data=context.data.hub,
        mask_token=context.tokenizer.mask_token or "",
        latency_table=table,
        vocabulary=vocabulary,
        block_sparse=read_block_sparse_record(checkpoint),
        transfer=context.transfer.lines if context.transfer else (),
        **told_by_card(context.source),
    )


def _command() -> str:
    return command_line(sys.argv[1:])
