"""PyTorch's threads, which are global to the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from glp_export.core.errors import UsageError
from glp_export.core.machine import MOST_THREADS


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let PyTorch compute with so many threads; what comes after has its own number again.

    Raises:
        UsageError: they are too many, where PyTorch ends the process without a word.
    """
    import torch

    if count > MOST_THREADS:
        raise UsageError(
            f"{count} threads are more than any machine runs", fix=f"ask for {MOST_THREADS} at most"
        )

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
