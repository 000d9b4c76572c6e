"""Where a model comes from: a local directory, the hub, or the embedded encoder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glp_export.core.errors import ModelError
from glp_export.encoder.checkpoint_files import CONFIG, require_checkpoint_files

EMBEDDED = "demo"
"""Name of the embedded encoder; one on the hub could have it."""


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from and how it may be fetched.

    Attributes:
        name: a local directory, a hub id, or `demo` for the embedded encoder.
        revision: a branch, tag or commit on the hub.
        cache_dir: where downloads are kept; the hub's default if None.
        token: for private models.
        offline: never touch the network.
        trust_remote_code: run code that comes with the model.
    """

    name: str
    revision: str | None = None
    cache_dir: str | None = None
    token: str | None = None
    offline: bool = False
    trust_remote_code: bool = False

    @property
    def location(self) -> str:
        """What transformers is told to load."""
        return str(embedded_model()) if self.name == EMBEDDED else self.name

    @property
    def directory(self) -> Path | None:
        """The local directory, None for a model on the hub."""
        path = Path(self.location)
        return path if path.is_dir() else None

    def configuration(self) -> Any:
        """Its configuration, as transformers has it.

        Raises:
            ModelError: there is none, or it cannot be read.
        """
        from transformers import AutoConfig

        require_directory(self)
        with explained(self, "configuration"):
            return AutoConfig.from_pretrained(self.location, **self.arguments())

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments that every `from_pretrained` call gets."""
        return {
            "revision": self.revision or "main",
            "cache_dir": self.cache_dir,
            "token": self.token,
            "local_files_only": self.offline,
            "trust_remote_code": self.trust_remote_code,
        }


def embedded_model() -> Path:
    """The demo encoder: beside the package in a checkout, inside it in an installed wheel."""
    package = Path(__file__).parents[1]
    places = (package / "models" / "demo-encoder", package.parent / "models" / "demo-encoder")
    for place in places:
        if place.is_dir():
            return place
    raise ModelError("the embedded demo encoder is missing", fix="reinstall glp-export")


def find_file(source: ModelSource, name: str) -> Path | None:
    """Where a file of a model lies, fetched if need be; None where it has none of that name.

    Raises:
        ModelError: it cannot be fetched.
    """
    from transformers.utils import cached_file

    arguments = source.arguments()
    arguments.pop("trust_remote_code")
    with explained(source, name):
        found = cached_file(
            source.location,
            name,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=not source.offline,
            **arguments,
        )
    return None if found is None else Path(found)


def commit_of(source: ModelSource) -> str | None:
    """The commit that a model on the hub is read at; None for a local one.

    Raises:
        ModelError: it cannot be fetched.
    """
    found = None if source.directory else find_file(source, CONFIG)
    return None if found is None else found.parent.name


def require_directory(source: ModelSource) -> None:
    """Name a mistyped path before the hub is asked for it, and what is wrong with a directory.

    Raises:
        ModelError: there is no such directory, or it is no checkpoint.
    """
    looks_local = source.name.startswith((".", "/", "~")) or source.name.count("/") > 1
    if source.directory is None and looks_local:
        raise ModelError(
            "there is no such model directory",
            where=source.name,
            fix="give a directory with config.json and model.safetensors, or a hub id",
        )
    if source.directory is not None:
        require_checkpoint_files(source.directory)


def require_model(source: ModelSource) -> None:
    """Check that there is a model of that name, before a library that takes seconds is imported.

    A model that lies in the hub's cache is not asked for again.

    Raises:
        ModelError: there is no such directory, it is no checkpoint, or neither the hub's cache nor
            the hub has a model of that name.
    """
    require_directory(source)
    if source.directory is None:
        with explained(source, "configuration"):
            _require_on_hub(source)


def _require_on_hub(source: ModelSource) -> None:
    import huggingface_hub as hub
    from huggingface_hub.errors import (
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    revision = source.revision or "main"
    cached = hub.try_to_load_from_cache(source.name, CONFIG, source.cache_dir, revision)
    if isinstance(cached, str):
        return
    if source.offline:
        raise LocalEntryNotFoundError("it is not in the cache of the hub's models")
    try:  # unlike a download, this is not tried again and again
        hub.HfApi(token=source.token).model_info(source.name, revision=revision, timeout=10)
    except (RepositoryNotFoundError, RevisionNotFoundError):
        raise
    except HfHubHTTPError:
        return  # the hub is there, and has trouble: it is asked again when the model is loaded


@contextmanager
def explained(source: ModelSource, part: str) -> Iterator[None]:
    """Turn what transformers raises into one sentence that says what to do."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        reason, *rest = str(error).strip().splitlines() or [type(error).__name__]
        if reason.endswith(":") and rest:  # the reason itself is in the line below
            reason = f"{reason} {rest[0].strip()}"
        what = f"the model's {part} cannot be loaded"
        if source.directory is None:
            what = f"there is no directory {source.name!r} here, and {what} from the hub"
            fix = "check the name and the network, or give a local directory"
            if source.offline:
                fix = "without --offline it would be fetched, or give a local directory"
        else:
            fix = f"check the {part} in that directory"
        raise ModelError(f"{what}: {reason}", where=source.name, fix=fix) from error
