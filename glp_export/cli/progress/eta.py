"""How long a stage goes on, reckoned from the work that is done and what it cost."""

from __future__ import annotations

LEAST_SECONDS = 1.0
"""Work of less time than this says nothing of the rest: first steps warm up."""


class Eta:
    """The seconds that are left of work whose units may differ in cost.

    Only what was paid for sets the pace: units that were known before took no time, and would
    make the rest look cheap.

    Args:
        total: cost of all units.
        now: seconds of a clock at the start.
        later: seconds that will surely follow after the last unit.
    """

    def __init__(self, total: float, now: float, later: float = 0.0) -> None:
        self._total = total
        self._start = self._last = now
        self._later = later
        self._done = 0.0
        self._paid = 0.0
        self._units = 0

    def pay(self, cost: float, now: float) -> None:
        """One more unit, or a part of one, is done."""
        self._done += cost
        self._paid += cost
        self._units += 1
        self._last = now

    def give(self, cost: float, now: float) -> None:
        """One more unit was known before; the time until now counts for no other."""
        self._done += cost
        if not self._paid:
            self._start = now
        self._last = now

    def left(self, now: float) -> float | None:
        """Seconds from now to the end; None while there is nothing to tell from.

        It falls as time goes by, but not below what comes after the unit in hand: one that takes
        longer than those before it does not bring the end any nearer.
        """
        spent = self._last - self._start
        if not self._paid or spent < LEAST_SECONDS:
            return None
        rest = max(0.0, self._total - self._done)
        a_second = self._paid / spent
        in_hand = min(now - self._last, spent / self._units, rest / a_second)
        return rest / a_second - in_hand + self._later
