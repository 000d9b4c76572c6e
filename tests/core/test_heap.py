"""What is there when a job begins is not looked through by every collection."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from glp_export.core.heap import settled


@pytest.fixture(autouse=True)
def nothing_is_spared() -> Iterator[None]:
    """The tests spare libraries themselves."""
    gc.unfreeze()
    yield
    gc.freeze()


class Ring:
    """Garbage that reference counts do not find."""

    def __init__(self) -> None:
        self.own = self


def test_what_was_there_is_spared_and_what_comes_is_not() -> None:
    assert gc.get_freeze_count() == 0
    before = weakref.ref(Ring())
    with settled():
        assert before() is None  # garbage is no part of what is spared
        assert gc.get_freeze_count() > 1000
        ring = Ring()
        came = weakref.ref(ring)
        del ring
        gc.collect()
        assert came() is None
        with settled():
            pass
        assert gc.get_freeze_count() > 1000  # the outer one's
    assert gc.get_freeze_count() == 0


def test_it_ends_with_an_error_too() -> None:
    with pytest.raises(KeyError), settled():
        raise KeyError
    assert gc.get_freeze_count() == 0
