"""The last stages: writing everything that tells about the files, artifact by artifact."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from glp_export.artifact import ArtifactLayout, Measured, serving_settings
from glp_export.artifact.precisions_file import PrecisionsFile
from glp_export.bench import Benchmark, BenchmarkFile, Frontier, FrontierDifference, of_depth
from glp_export.config import COUNTS, RunConfig
from glp_export.machine import describe
from glp_export.report import CardFacts, MetricDifference, write_card, write_ladder_readme
from glp_export.search import Plan
from glp_export.setup import Place, Setup
from glp_export.stages.export import Exported
from glp_export.stages.gate_files import write_gate_files
from glp_export.stages.measuring import Scored
from glp_export.tasks import KINDS, paired_difference_interval


@dataclass(frozen=True)
class Rung:
    """One depth of a run.

    Attributes:
        plan: what is removed for it.
        layout: where its artifact lies.
        of_several: whether the run has other depths too.
    """

    plan: Plan
    layout: ArtifactLayout
    of_several: bool


def rungs_of(plans: Sequence[Plan], layout: ArtifactLayout) -> list[Rung]:
    """Where each depth's artifact goes: a single one into the root, several below it."""
    if len(plans) == 1:
        return [Rung(plans[0], layout, of_several=False)]
    return [Rung(plan, layout.rung(plan.depth), of_several=True) for plan in plans]


def write_output(
    setup: Setup,
    layout: ArtifactLayout,
    rungs: Sequence[Rung],
    measured: Benchmark,
    scored: Sequence[Scored],
) -> Frontier | None:
    """Write what tells about the files; of several depths also what compares them.

    Args:
        layout: of the run's whole output.
        rungs: one for each depth.
        measured: all contenders of all depths.
        scored: likewise.

    Returns:
        The frontier; None for a single depth.
    """
    differences = {rung.plan.depth: _differences(setup, rung, scored) for rung in rungs}
    for rung in rungs:
        _write_artifact(setup, rung, measured, scored, differences[rung.plan.depth])
    if len(rungs) == 1:
        return None
    for rung in rungs:
        rung.layout.write_checksums()
    frontier = Frontier.of(measured.file, _over_unpruned(differences))
    frontier.save(layout.frontier)
    measured.save(layout.benchmark)
    setup.config.save(layout.run_config)
    _write_environment(layout)
    write_ladder_readme(layout.card, frontier, command=_command())
    return frontier


def write_serving(
    place: Place,
    layout: ArtifactLayout,
    max_length: int,
    exported: Exported,
    measured: BenchmarkFile | None = None,
) -> None:
    """Write how the files are best run: as they were measured, the fastest first.

    Args:
        place: the task and the machine.
        layout: of the artifact, its files in place.
        max_length: longest input in tokens.
        exported: the pruned model with its files.
        measured: what says which file is fastest; None where nothing was.
    """
    rows = measured.rows if measured else ()
    serving_settings(
        layout,
        kind=place.kind.name,
        labels=place.task.labels,
        provider=place.provider,
        threads=place.threads,
        max_length=max_length,
        opset=exported.plain.opset,
        measured=[
            Measured(
                row.provider,
                row.variant,
                row.shape,
                row.batch_size,
                row.sequence_length,
                row.p50_ms,
            )
            for row in rows
            if (row.contender, row.runtime) == ("pruned", "onnxruntime")
        ],
    ).save(layout)


def _write_artifact(
    setup: Setup,
    rung: Rung,
    measured: Benchmark,
    scored: Sequence[Scored],
    differences: Sequence[MetricDifference],
) -> None:
    """Write what tells about one artifact's files."""
    depth, layout = rung.plan.depth, rung.layout
    own, part = of_depth(scored, depth), measured.at_depth(depth)
    (pruned,) = (one for one in own if one.contender == "pruned")
    rung.plan.save(layout.plan)
    _config_of(rung, setup.config).save(layout.run_config)
    layout.parity.write_text(pruned.exported.parity.to_json())
    PrecisionsFile.of(pruned.entries).save(layout.precisions)
    part.save(layout.benchmark)
    write_gate_files(
        layout,
        setup.place,
        setup.tokenizer,
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
    write_serving(setup.place, layout, setup.max_length, pruned.exported, part.file)
    write_card(
        layout.card,
        plan=rung.plan,
        benchmark=part.file,
        parity=pruned.exported.parity,
        facts=_card_facts(setup, own, differences),
    )


def _over_unpruned(
    differences: Mapping[int, Sequence[MetricDifference]],
) -> dict[tuple[int, str], FrontierDifference]:
    return {
        (depth, one.precision): FrontierDifference(value=one.value, low=one.low, high=one.high)
        for depth, others in differences.items()
        for one in others
        if one.contender == "unpruned"
    }


def _config_of(rung: Rung, config: RunConfig) -> RunConfig:
    """The configuration that makes one artifact alone: of a ladder, with its own depth."""
    if not rung.of_several:
        return config
    nothing: dict[str, object] = {name: RunConfig.model_fields[name].default for name in COUNTS}
    output = config.output and config.output / rung.layout.root.name
    return config.model_copy(update={**nothing, "depth": rung.plan.depth, "output": output})


def _write_environment(layout: ArtifactLayout) -> None:
    layout.environment.write_text(json.dumps(asdict(describe()), indent=2) + "\n")


def _differences(setup: Setup, rung: Rung, scored: Sequence[Scored]) -> list[MetricDifference]:
    """How far the pruned model of a depth is from the others there, on the same examples.

    In fp32 from all others, in a lower precision from the unpruned one: what a user gives up.
    """
    own = of_depth(scored, rung.plan.depth)
    (pruned,) = (one for one in own if one.contender == "pruned")
    labels = setup.test["labels"][:]
    return [
        MetricDifference(
            other.contender,
            *paired_difference_interval(setup.data.task, logits, other.logits[0], labels),
            precision=row.precision,
        )
        for other in own
        for row, logits in zip(pruned.rows, pruned.logits, strict=True)
        if other is not pruned and (row is pruned.rows[0] or other.contender == "unpruned")
    ]


def _card_facts(
    setup: Setup, scored: Sequence[Scored], differences: Sequence[MetricDifference]
) -> CardFacts:
    kind = KINDS[setup.data.task.kind]
    return CardFacts(
        kind=kind.name,
        auto_class=kind.auto_class,
        ort_class=kind.ort_class,
        labels=setup.data.task.labels,
        max_length=setup.max_length,
        data=setup.data.source,
        recover=setup.config.recover,
        epochs=setup.config.epochs,
        learning_rate=setup.final.learning_rate,
        train_examples=len(setup.train),
        origins={one.contender: one.exported.trained.origin for one in scored},
        differences=tuple(differences),
        precisions=next(one.entries for one in scored if one.contender == "pruned"),
        other_scores=tuple(score for one in scored for score in one.others),
        command=_command(),
        exporter=setup.config.exporter,
        opset=next(one.exported.plain.opset for one in scored if one.contender == "pruned"),
        text_pair=len(setup.data.task.text_columns) == 2,
    )


def _command() -> str:
    return shlex.join(["glp-export", *sys.argv[1:]])
