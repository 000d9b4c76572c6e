"""What is counted of a stage: units, their cost, the time left."""

from __future__ import annotations

import time

from glp_export.cli.progress.eta import Eta
from glp_export.core.numbers import duration
from glp_export.core.progress import Meter


class StageMeter(Meter):
    """Counts; what is shown of it is the business of those made from it.

    Attributes:
        total: units of work, None where nobody knows.
        cost: of all of them.
        paid: cost of those that are done.
        note: what is in hand.
    """

    def __init__(self, total: int | None) -> None:
        self._start = time.perf_counter()
        self.total: int | None = None
        self.cost: float | None = None
        self.paid = 0.0
        self.note = ""
        self._done = 0.0
        self._at_most = False
        self._pace: Eta | None = None
        if total:
            self.begin(total)

    @property
    def seconds(self) -> float:
        """Since the stage began."""
        return time.perf_counter() - self._start

    def begin(
        self,
        total: int,
        *,
        cost: float | None = None,
        at_most: bool = False,
        later: float = 0.0,
    ) -> None:
        """Count from 0 to `total`."""
        self.total, self.cost = total, float(total) if cost is None else cost
        self._done = self.paid = 0.0
        self._at_most = at_most
        self._pace = Eta(self.cost, time.perf_counter(), later)

    def update(self, done: float, total: int | None = None, note: str = "") -> None:
        """Take the count of units that cost alike."""
        if total and self.total != total:
            self.begin(total)
        if self._pace and done > self._done:
            self._pace.pay(done - self._done, time.perf_counter())
        self._done = self.paid = max(done, self._done)
        self.note = note
        self.changed()

    def advance(self, note: str = "", *, cost: float = 1.0, known: bool = False) -> None:
        """Take one more unit."""
        self._done += 1
        self.paid += cost
        if self._pace:
            count = self._pace.give if known else self._pace.pay
            count(cost, time.perf_counter())
        self.note = note
        self.noted(note)
        self.changed()

    def counted(self) -> str:
        """`3/12`; `3` where nobody knows of how many, nothing where nothing is counted."""
        done = int(self._done)
        if self.total:
            return f"{done}/{self.total}"
        return str(done) if done else ""

    def time_words(self) -> str:
        """`4 min, about 12 min left`."""
        left = self._pace.left(time.perf_counter()) if self._pace else None
        if left is None:
            return duration(self.seconds)
        bound = "at most" if self._at_most else "about"
        return f"{duration(self.seconds)}, {bound} {duration(left)} left"

    def noted(self, note: str) -> None:
        """Called with what came of a unit."""

    def changed(self) -> None:
        """Called when there is something new to see."""
