"""Uploading an artifact to the hub: what goes, where to, and what can go wrong on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.artifact.opened import one_artifact
from glp_export.core.errors import HubError, UsageError
from glp_export.core.progress import Progress
from glp_export.publish.hub_errors import LOGIN, explained, no_bars
from glp_export.publish.upload_files import UploadFiles

if TYPE_CHECKING:
    from huggingface_hub import HfApi


@dataclass(frozen=True)
class Target:
    """Where an artifact goes, in the words of `huggingface_hub`.

    Attributes:
        repo_id: `OWNER/NAME`; `NAME` alone belongs to whoever the token is of.
        private: make the repository private if it is new.
        token: else the one that is known from logging in.
        revision: branch, made if it is not there; None for main.
        commit_message: None for one that names the artifact.
    """

    repo_id: str
    private: bool = False
    token: str | None = None
    revision: str | None = None
    commit_message: str | None = None


@dataclass(frozen=True)
class Pushed:
    """What was uploaded.

    Attributes:
        url: of the repository.
        commit: its hash.
        files: how many.
        bytes: of all of them.
    """

    repo_id: str
    url: str
    revision: str
    commit: str
    private: bool
    files: int
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def require_hub(target: Target) -> None:
    """Check what can be known without the network, before any work is done.

    Raises:
        UsageError: the repository's name cannot be one, or the network is off.
        HubError: nobody is logged in.
    """
    from huggingface_hub import constants, get_token
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(target.repo_id)
    except HFValidationError as error:
        raise UsageError(
            f"{target.repo_id!r} cannot be a repository's name",
            where="REPO_ID",
            fix="give NAME or OWNER/NAME of letters, digits, '-', '_' and '.'",
        ) from error
    if constants.HF_HUB_OFFLINE:
        raise UsageError(
            "nothing can be uploaded: the network is off", where="HF_HUB_OFFLINE", fix="unset it"
        )
    if not (target.token or get_token()):
        raise HubError("the hub does not know who you are: there is no token", fix=LOGIN)


def push(
    artifact: Path,
    target: Target,
    progress: Progress,
    confirm: Callable[[str], bool] | None,
) -> Pushed | None:
    """Upload an artifact whose files are those that were verified.

    Args:
        artifact: a directory that `prune-and-export` or `export` wrote, of one depth.
        target: where to.
        progress: shows where it is.
        confirm: asked with what goes where; None: go on without.

    Returns:
        What was uploaded; None where the answer was no.

    Raises:
        ParityError: a file was edited since.
        HubError: the hub cannot be reached, does not know the token, or does not let it write.
        UsageError: the artifact is a sweep, or what is asked for cannot be.
    """
    from huggingface_hub import HfApi

    require_hub(target)
    files = UploadFiles.of(one_artifact(artifact))
    api = HfApi(token=target.token)
    with explained(target.repo_id):
        repo_id = _whole_name(api, target.repo_id)
        private = _private(api, repo_id)
    if target.private and private is False:
        raise UsageError(
            f"{repo_id} is there already, and everyone can read it",
            where="--private",
            fix="make it private on the hub, name another, or leave --private out",
        )
    manifest = _manifest(f"{api.endpoint}/{repo_id}", private, target, files)
    if confirm is None:
        progress.say(manifest)
    elif not confirm(f"{manifest}\nupload?"):
        return None
    with progress.stage(f"upload {files.size}"), explained(repo_id), no_bars():
        return _upload(api, repo_id, private, target, files)


def _upload(
    api: HfApi, repo_id: str, private: bool | None, target: Target, files: UploadFiles
) -> Pushed:
    if private is None:
        private = target.private
        api.create_repo(repo_id, private=private, exist_ok=True)
    if target.revision:
        api.create_branch(repo_id, branch=target.revision, exist_ok=True)
    commit = api.upload_folder(
        repo_id=repo_id,
        folder_path=files.root,
        allow_patterns=list(files.names),
        revision=target.revision,
        commit_message=target.commit_message or f"Upload {files.root.resolve().name}",
    )
    return Pushed(
        repo_id=repo_id,
        url=f"{api.endpoint}/{repo_id}",
        revision=target.revision or "main",
        commit=commit.oid,
        private=private,
        files=len(files.names),
        bytes=files.bytes,
    )


def _whole_name(api: HfApi, repo_id: str) -> str:
    return repo_id if "/" in repo_id else f"{api.whoami()['name']}/{repo_id}"


def _private(api: HfApi, repo_id: str) -> bool | None:
    """Whether a repository is private; None where there is none, or none for these eyes."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return bool(api.model_info(repo_id).private)
    except RepositoryNotFoundError:
        return None


def _manifest(url: str, private: bool | None, target: Target, files: UploadFiles) -> str:
    """What will be uploaded, and who will be able to read it."""
    new = private is None
    readers = "private" if (target.private if new else private) else "public"
    branch = f", branch {target.revision}" if target.revision else ""
    lines = [
        f"{url}: {'a new' if new else 'the'} {readers} repository{branch}",
        f"  {files.size}: {', '.join(files.names)}",
    ]
    if files.staying:
        lines.append(f"  no checksum covers these, they stay: {', '.join(files.staying)}")
    if files.telling:
        lines.append(
            f"  README.md and glp/run.yaml name paths of this machine: {', '.join(files.telling)}"
        )
    return "\n".join(lines)
