"""What the hub's library raises and draws, in our words and out of our way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from glp_export.core.errors import HubError

LOGIN = "give --token, or set HF_TOKEN, or log in with `hf auth login`"


@contextmanager
def no_bars() -> Iterator[None]:
    """Keep the hub's own bars off the lines that ours are drawn on."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    shown = not are_progress_bars_disabled()
    if shown:
        disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            enable_progress_bars()


@contextmanager
def explained(repo_id: str) -> Iterator[None]:
    """Say what the hub's errors mean.

    Raises:
        HubError: in place of any of them.
    """
    from huggingface_hub.errors import HfHubHTTPError

    try:
        yield
    except _failures() as error:
        cause = error.__cause__ if isinstance(error, RuntimeError) else None
        found = cause or error
        if isinstance(found, HfHubHTTPError) and found.response is not None:
            raise _refused(found, repo_id) from error
        reason = str(found).strip() or type(found).__name__
        raise HubError(
            f"the upload did not succeed: {reason}",
            where=repo_id,
            fix="correct what it says, or look at the network and HF_ENDPOINT, and push again",
        ) from error


def _failures() -> tuple[type[Exception], ...]:
    """What an upload may raise, errors of the HTTP client among it, which are no OSError."""
    found: list[type[Exception]] = [OSError, RuntimeError, ValueError]
    for client in ("httpx", "httpx2"):  # of huggingface_hub 1, and of 2
        try:
            found.append(import_module(client).HTTPError)
        except ImportError:
            continue
    return tuple(found)


def _refused(error: Any, repo_id: str) -> HubError:
    status = error.response.status_code
    reason = (getattr(error, "server_message", None) or str(error)).strip()
    if status == 401:
        return HubError(f"the hub does not know the token: {reason}", where=repo_id, fix=LOGIN)
    if status in (403, 404):
        return HubError(
            f"the token may not write there: {reason}",
            where=repo_id,
            fix="name a repository of your own, or give --token with the right to write",
        )
    return HubError(
        f"the hub answers {status}: {reason}", where=repo_id, fix="try again later, or correct it"
    )
