"""The job, top-down: each stage's result is handed to the next, and nothing else is shared."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from glp_export.artifact import ArtifactLayout, commit, prepare, writing
from glp_export.artifact.staging import staging_path
from glp_export.bench import Benchmark, BenchmarkFile
from glp_export.config import NOT_THE_MODEL, RunConfig
from glp_export.errors import UsageError
from glp_export.estimate import Estimate, estimate_run
from glp_export.machine import describe
from glp_export.measuring_stages import (
    Exported,
    Scored,
    export_contender,
    score_contender,
    time_contenders,
)
from glp_export.progress import Progress
from glp_export.report import CardFacts, MetricDifference, write_card
from glp_export.search import Plan
from glp_export.search_stage import choose_layers, confirm_cost
from glp_export.setup import Setup, set_up
from glp_export.tasks import KINDS, paired_difference_interval
from glp_export.training_stages import Trained, train_contenders

Confirm = Callable[[str], bool]


@dataclass(frozen=True)
class RunResult:
    """A finished run.

    Attributes:
        output: the artifact's directory.
        plan: what was removed.
        benchmark: what was measured.
    """

    output: Path
    plan: Plan
    benchmark: BenchmarkFile


def prune_and_export(
    config: RunConfig,
    *,
    progress: Progress | None = None,
    confirm: Confirm = lambda question: False,
) -> RunResult:
    """Prune an encoder for a task, export it, prove the files right and measure them.

    Args:
        config: what to do.
        progress: told where the job is.
        confirm: asked before a search of more than 100 trainings.

    Raises:
        GlpError: see `glp_export.errors`; nothing is left at `config.output` then, and what was
            done so far is kept beside it for `resume`.
    """
    progress = progress or Progress()
    with _staged(config, progress, confirm) as (setup, layout):
        plan = choose_layers(setup, layout.work_dir, progress)
        plan.save(layout.plan)
        trained = train_contenders(setup, plan, layout.work_dir, progress)
        exported = [_export(setup, contender, layout, progress) for contender in trained]
        measured, scored = _measure(setup, exported, progress)
        _write(setup, layout, plan, exported, measured, scored)
    return RunResult(_output(config), plan, measured.file)


def search_only(
    config: RunConfig,
    *,
    progress: Progress | None = None,
    confirm: Confirm = lambda question: False,
) -> tuple[Plan, Path]:
    """Find which layers go, and leave `glp/plan.json` with the run's configuration.

    Raises:
        GlpError: as `prune_and_export`.
    """
    progress = progress or Progress()
    with _staged(config, progress, confirm) as (setup, layout):
        plan = choose_layers(setup, layout.work_dir, progress)
        plan.save(layout.plan)
        config.save(layout.run_config)
    return plan, ArtifactLayout(_output(config)).plan


def estimate(config: RunConfig, progress: Progress | None = None) -> Estimate:
    """Say what a run would cost, after a short probe; nothing is written.

    Raises:
        GlpError: the data or the model cannot be used.
    """
    progress = progress or Progress()
    with progress.stage("read data and model"):
        setup = set_up(config)
    with progress.stage("probe"):
        return estimate_run(setup)


def interrupted_config(settings: Mapping[str, Any]) -> Path | None:
    """The configuration of the interrupted run that `--resume` goes on with, if there is one."""
    if not settings.get("resume") or "output" not in settings:
        return None
    kept = _kept_config(ArtifactLayout(staging_path(Path(settings["output"]))))
    return kept if kept.is_file() else None


@contextmanager
def _staged(
    config: RunConfig, progress: Progress, confirm: Confirm
) -> Iterator[tuple[Setup, ArtifactLayout]]:
    """Work beside the output directory, and move everything into place if the block ends well."""
    output = _output(config)
    staging = prepare(output, overwrite=config.overwrite, resume=config.resume)
    layout = ArtifactLayout(staging)
    with writing(staging):
        yield _set_up(config, layout, progress, confirm), layout
        layout.write_checksums()
        commit(staging, output, overwrite=config.overwrite)


def _set_up(
    config: RunConfig, layout: ArtifactLayout, progress: Progress, confirm: Confirm
) -> Setup:
    kept = _kept_config(layout)
    if config.resume and kept.is_file():
        _require_same(config, kept)
    try:
        with progress.stage("read data and model"):
            setup = set_up(config)
        confirm_cost(setup, confirm)
    except BaseException:
        if not kept.is_file():  # nothing was learned yet: the next try starts from a clean place
            shutil.rmtree(layout.root, ignore_errors=True)
        raise
    task = setup.data.task
    progress.say(
        f"{task.name}: {len(task.labels) or 'no'} labels, {task.metric}; "
        f"fit {len(setup.fit)}, select {len(setup.select)}, test {len(setup.test)}"
    )
    progress.say(
        f"{setup.source.name}: {setup.stack.num_layers} layers, learning rate "
        f"{setup.final.learning_rate:g}, {setup.place.threads} threads, {setup.place.device}"
    )
    config.save(kept)
    return setup


def _export(setup: Setup, trained: Trained, layout: ArtifactLayout, progress: Progress) -> Exported:
    """Export a contender: the pruned one into the artifact, its rivals into scratch."""
    scratch = layout.work_dir / "onnx" / trained.contender
    if trained.contender == "pruned":
        shutil.copytree(trained.checkpoint, layout.root, dirs_exist_ok=True)
        return export_contender(setup.place, trained, layout, scratch, progress)
    return export_contender(setup.place, trained, ArtifactLayout(scratch), scratch, progress)


def _measure(
    setup: Setup, exported: Sequence[Exported], progress: Progress
) -> tuple[Benchmark, list[Scored]]:
    """Score every contender on the test set, then time them side by side."""
    scored = []
    with progress.stage("score on test", len(exported)) as meter:
        for one in exported:
            scored.append(score_contender(setup.place, one))
            meter.advance(one.trained.contender)
    rows = [one.row for one in scored]
    return time_contenders(setup.place, exported, rows, progress), scored


def _differences(setup: Setup, scored: Sequence[Scored]) -> list[MetricDifference]:
    """How far the pruned model is from the others, on the same examples."""
    (pruned,) = (one for one in scored if one.row.contender == "pruned")
    labels = setup.test["labels"][:]
    return [
        MetricDifference(
            other.row.contender,
            *paired_difference_interval(setup.data.task, pruned.logits, other.logits, labels),
        )
        for other in scored
        if other is not pruned
    ]


def _write(
    setup: Setup,
    layout: ArtifactLayout,
    plan: Plan,
    exported: Sequence[Exported],
    measured: Benchmark,
    scored: Sequence[Scored],
) -> None:
    """Write everything that tells about the files."""
    (pruned,) = (one for one in exported if one.trained.contender == "pruned")
    setup.config.save(layout.run_config)
    layout.parity.write_text(pruned.parity.to_json())
    measured.save(layout.benchmark)
    layout.environment.write_text(json.dumps(asdict(describe()), indent=2) + "\n")
    write_card(
        layout.card,
        plan=plan,
        benchmark=measured.file,
        parity=pruned.parity,
        facts=_card_facts(setup, exported, scored),
    )


def _card_facts(setup: Setup, exported: Sequence[Exported], scored: Sequence[Scored]) -> CardFacts:
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
        origins={one.trained.contender: one.trained.origin for one in exported},
        differences=tuple(_differences(setup, scored)),
        other_scores=tuple(score for one in scored for score in one.others),
        command=shlex.join(["glp-export", *sys.argv[1:]]),
        text_pair=len(setup.data.task.text_columns) == 2,
    )


def _output(config: RunConfig) -> Path:
    if config.output is None:
        raise UsageError("no output directory was named", where="--output", fix="add -o out/mine")
    return config.output


def _kept_config(layout: ArtifactLayout) -> Path:
    return layout.work_dir / "run.yaml"


def _require_same(config: RunConfig, kept: Path) -> None:
    """A resumed run must train what the interrupted one trained.

    Raises:
        UsageError: a setting that the models depend on has changed; all of them are named.
    """
    before, now = yaml.safe_load(kept.read_text()), config.recorded()
    changed = sorted(
        f"--{name.replace('_', '-')}"
        for name in now
        if name not in NOT_THE_MODEL and now[name] != before.get(name)
    )
    if changed:
        raise UsageError(
            f"the interrupted run had other settings: {', '.join(changed)}",
            where=str(kept),
            fix="leave them as they were (--resume -o OUT is enough), or start anew: --overwrite",
        )
