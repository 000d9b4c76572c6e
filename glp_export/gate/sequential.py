"""Whether a share lies above or below a bound, asked again after every round until it is sure.

The evidence is a likelihood ratio against "the share is on the other side", averaged over the
shares on this side (a mixture martingale; Ville 1939, Robbins 1970). If the other side is the
truth, the chance that it *ever* passes `1 / alpha` is at most `alpha`, however often one looks and
whenever one stops. So no number of looks has to be fixed beforehand.

For a ratio of latencies the share is that of rounds above the bound, and a half is where the
median lies: the sign test. It asks nothing of the distribution. An outlier is one round, however
large, and rounds may vary more at one time than at another; needed is only that in each round the
two sides of the median are alike likely given the rounds before. Drawing anew in every round who
runs first serves that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

Verdict = Literal["kept", "broken", "undecided"]

_HALF = 0.5
_NEVER = math.inf


@dataclass(frozen=True)
class Estimate:
    """A number with an interval that holds at every look at once.

    Attributes:
        value: the median of the rounds, or the share that was seen.
        low: lower end; 0 while there are too few rounds for one.
        high: upper end; infinite while there are too few.
        rounds: that it rests on.
    """

    value: float
    low: float
    high: float
    rounds: int


class MedianTest:
    """Whether the median of a stream of ratios keeps a lower bound.

    Args:
        bound: the least median that keeps it.
        alpha: chance, at most, of saying "kept" where the median is below the bound, and of saying
            "broken" where it is not. Each of the two has this chance.
        resolution: share of the bound on either side of it within which the stream itself may be
            off as a whole; a verdict has to hold beyond that.
    """

    def __init__(self, bound: float, alpha: float, resolution: float = 0.0) -> None:
        self.bound = bound
        self.alpha = alpha
        self.ratios: list[float] = []
        self.verdict: Verdict = "undecided"
        self._low, self._high = bound * (1 - resolution), bound * (1 + resolution)
        self._above = 0
        self._below = 0

    def add(self, ratio: float, *, look: bool = True) -> Verdict:
        """Take one more round and perhaps look; a verdict that was reached stays."""
        self.ratios.append(ratio)
        self._above += ratio > self._high
        self._below += ratio < self._low
        if look and self.verdict == "undecided":
            needed = rounds_needed(len(self.ratios), self.alpha)
            if self._above >= needed:
                self.verdict = "kept"
            elif self._below >= needed:
                self.verdict = "broken"
        return self.verdict

    def estimate(self) -> Estimate:
        """The median so far."""
        return median_estimate(self.ratios, self.alpha)


class ShareTest:
    """Whether a kind of event stays at or below a share of all runs.

    Args:
        share: the largest share that keeps the bound.
        largest: share that the evidence for "broken" is averaged up to.
        alpha: as in `MedianTest`.
    """

    def __init__(self, share: float, largest: float, alpha: float) -> None:
        self._share = share
        self._largest = largest
        self._needed = math.log(1 / alpha)

    def verdict(self, hits: int, runs: int) -> Verdict:
        """What `hits` events in `runs` say."""
        if log_evidence(hits, runs, self._share, (0.0, self._share)) >= self._needed:
            return "kept"
        if log_evidence(hits, runs, self._share, (self._share, self._largest)) >= self._needed:
            return "broken"
        return "undecided"


def median_estimate(ratios: Sequence[float], alpha: float) -> Estimate:
    """The median of ratios, with the bounds that neither side of the test rules out."""
    ordered = sorted(ratios)
    rounds = len(ordered)
    needed = rounds_needed(rounds, alpha)
    value = float(np.median(ordered)) if ordered else math.nan
    if needed > rounds:
        return Estimate(value, 0.0, math.inf, rounds)
    whole = int(needed)
    return Estimate(value, ordered[rounds - whole], ordered[whole - 1], rounds)


@cache
def rounds_needed(rounds: int, alpha: float) -> float:
    """How many of so many rounds must lie on one side of the median; infinite for too few."""
    enough = math.log(1 / alpha)
    if not rounds or log_evidence(rounds, rounds, _HALF, (_HALF, 1.0)) < enough:
        return _NEVER
    low, high = rounds // 2, rounds
    while high - low > 1:
        middle = (low + high) // 2
        if log_evidence(middle, rounds, _HALF, (_HALF, 1.0)) >= enough:
            high = middle
        else:
            low = middle
    return high


def log_evidence(hits: int, trials: int, share: float, alternatives: tuple[float, float]) -> float:
    """Log of the mean likelihood ratio of the alternatives to `share`, uniform over them.

    Args:
        hits: events seen.
        trials: of so many.
        share: the share that is argued against.
        alternatives: from, to.
    """
    from scipy.special import betainc, betaincc, betaln

    low, high = alternatives
    a, b = hits + 1, trials - hits + 1
    # Of the two tails, the one that loses no digits; both are shares of the same Beta.
    within = (
        betaincc(a, b, low) - betaincc(a, b, high)
        if low > hits / max(1, trials)
        else betainc(a, b, high) - betainc(a, b, low)
    )
    null = hits * math.log(share) + (trials - hits) * math.log1p(-share)
    if within > 0:
        return float(betaln(a, b) + math.log(within / (high - low)) - null)
    # Too little for a float: at least what its best part has, the one next to what was seen.
    part = (high - low) / max(1, trials)
    at = high - part if hits > high * trials else low + part
    return (
        math.log(1 / max(1, trials))
        + hits * math.log(at)
        + (trials - hits) * math.log1p(-at)
        - null
    )


def is_stationary(latencies: Sequence[float], *, window: int = 3, tolerance: float = 0.05) -> bool:
    """Whether the last latencies are those before them: medians of two windows, within a share.

    Args:
        latencies: of one contender, in order.
        window: how many of the last are compared with as many before.
        tolerance: largest ratio of the two, less one.
    """
    if len(latencies) < 2 * window:
        return False
    last = float(np.median(latencies[-window:]))
    before = float(np.median(latencies[-2 * window : -window]))
    return abs(math.log(last / before)) <= math.log1p(tolerance)
