"""Libraries that print, warn and log on their own account, made to speak through our logger."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep stdout for results: what the libraries below write there goes to the debug log.

    Their warnings during an export concern traced constants and names of tensors; whether the
    graph is right is measured afterwards, not read from them.
    """
    printed = io.StringIO()
    with (
        contextlib.redirect_stdout(printed),
        warnings.catch_warnings(),
        _errors_only(),
    ):
        warnings.simplefilter("ignore")
        yield
    for line in printed.getvalue().splitlines():
        logger.debug("%s", line)


@contextlib.contextmanager
def quiet_retries() -> Iterator[None]:
    """Let the hub's library try again without a page of warnings; in the end we say what came."""
    library = logging.getLogger("huggingface_hub")
    before = library.level
    library.setLevel(logging.ERROR)
    try:
        yield
    finally:
        library.setLevel(before)


@contextlib.contextmanager
def _errors_only() -> Iterator[None]:
    """Let only errors through of every logger but our own."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
