"""A run whose artifact is uploaded when it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glp_export.core.errors import UsageError
from glp_export.publish.push import Target, push, require_hub

if TYPE_CHECKING:
    from glp_export.config.run_config import RunConfig
    from glp_export.core.progress import Progress
    from glp_export.workflows.prune_and_export import RunResult


def target_of(config: RunConfig) -> Target | None:
    """Where a run is asked to upload what it makes; None for nowhere.

    Raises:
        UsageError: as of `require_hub`.
        HubError: likewise.
    """
    if config.hub.push_to_hub is None:
        return None
    target = Target(
        repo_id=config.hub.push_to_hub,
        private=config.hub.private,
        token=config.model.token,
        revision=config.hub.hub_revision,
        commit_message=config.hub.commit_message,
    )
    require_hub(target)
    return target


def run_and_push(config: RunConfig, progress: Progress) -> RunResult:
    """Do the whole job and upload what it makes, without asking.

    Raises:
        UsageError: `yes` was not said.
        GlpError: see `glp_export.core.errors`.
    """
    from glp_export.workflows.prune_and_export import prune_and_export

    if not config.output.yes:
        raise UsageError(
            "nobody can be asked before the upload", where="push_to_hub", fix="add yes=True"
        )
    target = target_of(config)
    result = prune_and_export(config, progress=progress)
    if target:
        push(result.output, target, progress, None)
    return result
