"""What `--resume` goes on with: an interrupted run, a finished one, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.artifact import ArtifactLayout
from glp_export.artifact.output_place import staging_path
from glp_export.artifact.staging import finished
from glp_export.config.files import read_file
from glp_export.config.run_config import RunConfig, may_change
from glp_export.core.errors import UsageError
from glp_export.core.progress import Progress
from glp_export.core.records import Record
from glp_export.encoder import ModelSource, checksum, commit_of
from glp_export.tasks.checksum import rows_checksum
from glp_export.tasks.own_metric import code_of, is_own
from glp_export.workflows.context import RunContext
from glp_export.workflows.sources import model_source
from glp_export.workflows.stages.search import named_plan, named_table

if TYPE_CHECKING:
    from datasets import Dataset


def kept_config(layout: ArtifactLayout) -> Path:
    """Where a run that is under way keeps its configuration."""
    return layout.work_dir / "run.yaml"


def interrupted_config(settings: Mapping[str, Any]) -> Path | None:
    """The configuration of the run that `--resume` names, interrupted or finished."""
    if not settings.get("resume") or "output" not in settings:
        return None
    output = Path(settings["output"])
    kept = kept_config(ArtifactLayout(staging_path(output)))
    if kept.is_file():
        return kept
    whole = ArtifactLayout(output).run_config
    return whole if finished(output) and whole.is_file() else None


def is_complete(config: RunConfig, last: str, progress: Progress) -> bool:
    """Whether a run that is resumed has nothing left to do; says what there is to go on with.

    Args:
        config: of the run.
        last: what it writes last below `glp/`: without it the output is of another command.
        progress: shows what is found.

    Raises:
        UsageError: there is nothing to resume and no model to start with, or the finished run had
            other settings.
    """
    output = config.output.output
    if not config.output.resume or output is None:
        return False
    staging = staging_path(output)
    if kept_config(ArtifactLayout(staging)).is_file():
        return False
    if finished(output) and (ArtifactLayout(output).glp_dir / last).is_file():
        require_same(config, ArtifactLayout(output).run_config)
        progress.say(f"{output} is complete: there is nothing to resume")
        return True
    if config.model.model is None:
        raise UsageError(
            "there is nothing to resume: no run was interrupted here",
            where=str(staging),
            fix="start the run: name its model and data instead of --resume",
        )
    progress.say(f"there is nothing to resume in {staging}: the run starts from the beginning")
    return False


def require_same(config: RunConfig, kept: Path) -> None:
    """A resumed run must train what the former one trained.

    Raises:
        UsageError: a setting that the models depend on has changed; all of them are named.
    """
    before, now = read_file(kept), config.recorded()
    changed = sorted(
        f"--{name.replace('_', '-')}"
        for name in now
        if not may_change(name) and name in before and now[name] != before[name]
    )
    if changed:
        raise UsageError(
            f"the run that is resumed had other settings: {', '.join(changed)}",
            where=str(kept),
            fix="leave them as they were (--resume -o OUT is enough), or start anew: --overwrite",
        )


class Inputs(Record):
    """Checksums of what a run reads, and commits of what is on the hub; null where it reads none.

    Attributes:
        model: its configuration and weights.
        tokenizer: how it cuts texts.
        data: the task and its rows.
        unlabeled: texts.
        plan: what it decides.
        auxiliary: the auxiliary tasks.
        distilled: the rival that was named.
        metric: the code of a metric of the user's own.
        latency_table: the one that was named.
    """

    model: str | None
    tokenizer: str
    data: str
    unlabeled: str | None
    plan: str | None
    auxiliary: tuple[str, ...]
    distilled: str | None
    metric: str | None
    latency_table: str | None

    @classmethod
    def of(cls, context: RunContext) -> Inputs:
        """What a run reads now."""
        config, metric = context.config, context.data.task.metric
        rival, table = config.training.named_rival, named_table(context)
        return cls(
            model=context.model_checksum or context.commit,
            tokenizer=context.tokenizer_checksum,
            data=context.data.checksum,
            unlabeled=_checksum_of(context.unlabeled),
            plan=_checksum_of_plan(context) if config.compress.plan else None,
            auxiliary=tuple(one.checksum for one in context.auxiliary),
            distilled=_checksum_of_model(model_source(config.model, rival)) if rival else None,
            metric=code_of(metric) if is_own(metric) else None,
            latency_table=table.id if table else None,
        )


_FLAGS = {"tokenizer": "--model", "data": "--dataset", "latency_table": "--latency-table"}
"""The flag that names what a field of `Inputs` is of, where it is not the field's own name."""


def require_same_inputs(context: RunContext, layout: ArtifactLayout) -> None:
    """A resumed run must read what the former one read; the first time, write down what it is.

    Raises:
        DataError: what was written down cannot be read.
        UsageError: a file is another one; all that are, are named.
    """
    path = layout.work_dir / "inputs.json"
    now = Inputs.of(context)
    before = Inputs.read_optional(path, what="the inputs of the run", fix="start anew: --overwrite")
    if before is None:
        now.write(path)
        return
    changed = [name for name in Inputs.model_fields if getattr(now, name) != getattr(before, name)]
    flags = dict.fromkeys(_FLAGS.get(name, f"--{name}") for name in changed)
    if flags:
        raise UsageError(
            f"what the run reads is not what it began with: {', '.join(flags)}",
            where=str(path),
            fix="put the files back as they were, or start anew: --overwrite",
        )


def _checksum_of(rows: Dataset | None) -> str | None:
    return None if rows is None else rows_checksum({}, {"": rows})


def _checksum_of_model(source: ModelSource) -> str | None:
    return checksum(source) or commit_of(source)


def _checksum_of_plan(context: RunContext) -> str:
    decided = {"compressors", "edits", "strategy", "settings"}
    return rows_checksum(named_plan(context).model_dump(mode="json", include=decided), {})
