"""What `--resume` goes on with: an interrupted run, a finished one, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glp_export.artifact import ArtifactLayout
from glp_export.artifact.staging import finished, staging_path
from glp_export.config.files import read_file
from glp_export.config.run_config import RunConfig, may_change
from glp_export.core.errors import UsageError
from glp_export.core.progress import Progress


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
