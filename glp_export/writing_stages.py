"""The last stages: writing everything that tells about the files, artifact by artifact."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from glp_export.artifact import ArtifactLayout
from glp_export.bench import Benchmark, Frontier, FrontierDifference, of_depth
from glp_export.config import COUNTS, RunConfig
from glp_export.gate_files import write_gate_files
from glp_export.machine import describe
from glp_export.measuring_stages import Scored
from glp_export.report import CardFacts, MetricDifference, write_card, write_ladder_readme
from glp_export.search import Plan
from glp_export.setup import Setup
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
    part.save(layout.benchmark)
    write_gate_files(
        layout,
        setup.place,
        setup.tokenizer,
        part.file,
        unpruned={
            one.row.precision: one.exported.chosen.optimisation
            for one in own
            if one.contender == "unpruned"
        },
    )
    _write_environment(layout)
    write_card(
        layout.card,
        plan=rung.plan,
        benchmark=part.file,
        parity=pruned.exported.parity,
        facts=_card_facts(setup, own, differences),
    )


def _over_unpruned(
    differences: Mapping[int, Sequence[MetricDifference]],
) -> dict[int, FrontierDifference]:
    return {
        depth: FrontierDifference(value=one.value, low=one.low, high=one.high)
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
    """How far the pruned model of a depth is from the others there, on the same examples."""
    own = of_depth(scored, rung.plan.depth)
    (pruned,) = (one for one in own if one.contender == "pruned")
    labels = setup.test["labels"][:]
    return [
        MetricDifference(
            other.contender,
            *paired_difference_interval(setup.data.task, pruned.logits, other.logits, labels),
        )
        for other in own
        if other is not pruned
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
        other_scores=tuple(score for one in scored for score in one.others),
        command=_command(),
        text_pair=len(setup.data.task.text_columns) == 2,
    )


def _command() -> str:
    return shlex.join(["glp-export", *sys.argv[1:]])
