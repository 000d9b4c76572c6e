"""What the garbage collector looks through."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def settled() -> Iterator[None]:
    """Leave what there is now out of the garbage collector's looks while a block runs.

    Libraries have made half a million objects that stay, and a look at them takes 0.3 s: every
    training begins with one, and a search has dozens of trainings.
    """
    if gc.get_freeze_count():  # somebody else's choice
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
