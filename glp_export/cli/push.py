"""`glp-export push`: upload an artifact to the hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glp_export.cli.console import (
    JsonFlag,
    QuietFlag,
    VerboseFlag,
    ask,
    at_work,
    print_json,
    require_somebody,
)
from glp_export.core.errors import UsageError

if TYPE_CHECKING:
    from glp_export.config.run_config import RunConfig
    from glp_export.core.progress import Progress
    from glp_export.publish.push import Pushed, Target


def push_command(
    artifact: Annotated[Path, typer.Argument(help="Directory that prune-and-export wrote.")],
    repo_id: Annotated[str, typer.Argument(help="Where to: NAME or OWNER/NAME.")],
    private: Annotated[
        bool, typer.Option("--private", help="Make the repository private if it is new.")
    ] = False,
    token: Annotated[
        str | None, typer.Option("--token", help="Default: $HF_TOKEN, or that of `hf auth login`.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option("--revision", help="Branch; it is made if it does not exist.")
    ] = None,
    commit_message: Annotated[
        str | None, typer.Option("--commit-message", help="First line of the commit.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="No network access, so nothing is uploaded.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json_output: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = 0,
) -> None:
    """Upload an artifact to the hub after a checksum test.

    Says what goes where, and asks. Exit code 3 where a file was edited, 7 where the hub cannot
    be reached or does not let you write.

    Example: glp-export push out/trec me/trec-3-layers --private
    """
    from glp_export.publish.push import Target, push

    if offline:
        raise UsageError("--offline forbids to upload", fix="leave it out")
    require_somebody(yes)
    target = Target(repo_id, private, token, revision, commit_message)
    with at_work(quiet, verbose) as progress:
        pushed = push(artifact, target, progress, None if yes else ask)
    if json_output:
        print_json({"pushed": pushed.as_dict() if pushed else None})
    else:
        print(pushed_words(pushed))


def ready_to_push(config: RunConfig) -> Target | None:
    """Where a run's artifact is to go, after a look at what would forbid it.

    Raises:
        UsageError: there is nobody to ask, or the network is off.
        HubError: nobody is logged in.
    """
    from glp_export.workflows.push import target_of

    if config.hub.push_to_hub is not None:
        require_somebody(config.output.yes)
    return target_of(config)


def push_result(
    config: RunConfig, target: Target | None, output: Path, progress: Progress
) -> Pushed | None:
    """Upload what a run has made, where it was asked to."""
    from glp_export.publish.push import push

    return push(output, target, progress, None if config.output.yes else ask) if target else None


def pushed_words(pushed: Pushed | None) -> str:
    """What came of it, in a line."""
    if pushed is None:
        return "nothing was uploaded"
    readers = "private" if pushed.private else "public"
    return f"uploaded: {pushed.url} ({readers}, {pushed.revision}, commit {pushed.commit[:12]})"
