"""Which matmuls of an int8 file stay in float: as little as its accuracy needs."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glp_export.tasks import Task, paired_difference_interval, score

Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Comparison:
    """An int8 file beside the fp32 file on the same rows.

    Attributes:
        value: the int8 file's metric.
        drop: the fp32 file's metric less that.
        low: lower end of the drop's 95 % interval.
        high: upper end.
    """

    value: float
    drop: float
    low: float
    high: float


@dataclass(frozen=True)
class FloatTrial:
    """One int8 file that was built and tried.

    Attributes:
        keep_float: matmuls that it keeps in float, by name.
        share: their share of all multiply-adds.
        divergence: mean squared difference of its logits from the fp32 file's.
        comparison: its accuracy beside the fp32 file's.
    """

    keep_float: tuple[str, ...]
    share: float
    divergence: float
    comparison: Comparison


@dataclass(frozen=True)
class Kept:
    """What the search came to.

    Attributes:
        keep_float: the matmuls that stay in float.
        share: their share of all multiply-adds.
        value: the metric of the file that keeps them.
        drop: how far that is below the fp32 file's.
        low: lower end of the drop's 95 % interval.
        high: upper end.
        within: whether the drop is as small as was asked for. If not, this is the file that came
            nearest.
        trials: every file that was tried, in order.
    """

    keep_float: frozenset[str]
    share: float
    value: float
    drop: float
    low: float
    high: float
    within: bool
    trials: tuple[FloatTrial, ...]


def compare_with(task: Task, reference: ArrayLike, truth: Any) -> Callable[[Logits], Comparison]:
    """Make the function that holds an int8 file's answers against the fp32 file's.

    Args:
        task: picks the metric.
        reference: the fp32 file's answers.
        truth: of `truth_of`.
    """

    def compare(logits: Logits) -> Comparison:
        difference = paired_difference_interval(task, reference, logits, truth)
        return Comparison(score(task, logits, truth), *difference)

    return compare


def divergence(logits: ArrayLike, reference: ArrayLike, shift_axis: int | None = -1) -> float:
    """Mean squared difference of two files' answers, up to a shift where one changes nothing.

    Errors that do not know of one another add up in it, which they do not in accuracy, and it
    moves where accuracy stands still.

    Args:
        logits: (rows, width) or (rows, tokens, width).
        reference: likewise.
        shift_axis: the axis along which a common shift changes nothing, see `TaskKind`.
    """
    difference = np.asarray(logits, np.float64) - np.asarray(reference, np.float64)
    if shift_axis is not None and difference.shape[shift_axis] > 1:
        difference -= difference.mean(axis=shift_axis, keepdims=True)
    return float(np.mean(difference**2))


def fewest_in_float(
    costs: Mapping[str, float],
    judge: Callable[[frozenset[str]], Logits],
    reference: Logits,
    compare: Callable[[Logits], Comparison],
    *,
    max_drop: float,
    most: float = 0.5,
    shift_axis: int | None = -1,
    numbers: Callable[[Logits], Logits] = lambda predictions: predictions,
    announce: Callable[[FloatTrial], None] | None = None,
) -> Kept:
    """Find the cheapest matmuls to keep in float so that accuracy falls by `max_drop` at most.

    If everything can be int8, that is the first file tried and the last. Else matmuls are given
    back to float in order of the divergence that each brings for its cost, as many as it takes
    (found by doubling and bisection), and those that turn out not to be needed are taken back.
    What matmuls bring is found from files in which groups of them alone are int8, looking closer
    where it helps, so that few files are built. The same answers give the same result; ties go by
    cost and name.

    Args:
        costs: every matmul's multiply-adds, by name.
        judge: builds the file that keeps these matmuls in float and returns its logits on
            dev; it is asked once for each set.
        reference: the fp32 file's logits on dev.
        compare: accuracy beside the fp32 file, `compare_with`.
        max_drop: metric points.
        most: share of all multiply-adds that may stay in float.
        shift_axis: as of `divergence`.
        numbers: the part of the answers that a divergence is of, see `TaskKind`.
        announce: called with every file tried.
    """
    trials = _Trials(costs, judge, reference, compare, announce, shift_axis, numbers)
    everything = trials.of(())
    if everything.comparison.drop <= max_drop:
        return trials.kept(everything, max_drop)
    ranked = _affordable(_most_harmful(trials, everything.divergence), costs, most)
    prefix = _shortest(trials, ranked, max_drop)
    if prefix is None:
        return trials.kept(trials.nearest(most), max_drop)
    return trials.kept(trials.of(_without_unneeded(trials, prefix, max_drop)), max_drop)


class _Trials:
    """Files tried so far, none of them twice."""

    def __init__(
        self,
        costs: Mapping[str, float],
        judge: Callable[[frozenset[str]], Logits],
        reference: Logits,
        compare: Callable[[Logits], Comparison],
        announce: Callable[[FloatTrial], None] | None,
        shift_axis: int | None,
        numbers: Callable[[Logits], Logits],
    ) -> None:
        self.costs = costs
        self._shift_axis, self._numbers = shift_axis, numbers
        self._judge, self._reference, self._compare = judge, numbers(reference), compare
        self._announce = announce
        self._done: dict[frozenset[str], FloatTrial] = {}

    def of(self, names: Sequence[str]) -> FloatTrial:
        """The trial of the file that keeps these in float."""
        wanted = frozenset(names)
        if wanted not in self._done:
            logits = self._judge(wanted)
            trial = FloatTrial(
                keep_float=tuple(sorted(wanted)),
                share=_share(self.costs, wanted),
                divergence=divergence(self._numbers(logits), self._reference, self._shift_axis),
                comparison=self._compare(logits),
            )
            self._done[wanted] = trial
            if self._announce:
                self._announce(trial)
        return self._done[wanted]

    def nearest(self, most: float) -> FloatTrial:
        """The affordable trial with the smallest drop, among equals the nearest and cheapest."""
        affordable = [trial for trial in self._done.values() if trial.share <= most]
        return min(affordable, key=lambda t: (t.comparison.drop, t.divergence, t.share))

    def kept(self, trial: FloatTrial, max_drop: float) -> Kept:
        """The result, if this is the trial to go with."""
        found = trial.comparison
        return Kept(
            keep_float=frozenset(trial.keep_float),
            share=trial.share,
            value=found.value,
            drop=found.drop,
            low=found.low,
            high=found.high,
            within=found.drop <= max_drop,
            trials=tuple(self._done.values()),
        )


def _share(costs: Mapping[str, float], names: frozenset[str]) -> float:
    return sum(costs[name] for name in sorted(names)) / sum(costs.values())


def _most_harmful(trials: _Trials, whole: float) -> Iterator[str]:
    """Matmuls by the divergence that each brings for its cost, the worst first.

    A matmul's harm is that of the file in which it alone is int8. Giving it back where all others
    are int8 would show it through the noise of theirs: every rounding before a matmul changes
    which way its own roundings go. A group is opened only while it could hold the worst of all:
    best-first branch and bound, the bound of a group being that its cheapest member does all the
    harm. Harms add up, so the second half of a group is not tried unless the rest of the sum asks
    for it.

    Args:
        trials: tries groups.
        whole: divergence of the file in which everything is int8.
    """
    costs = trials.costs
    names = sorted(costs, key=lambda name: (costs[name], name))

    def entry(start: int, stop: int, harm: float, tried: bool) -> tuple[float, int, int, bool]:
        return -harm / costs[names[start]], start, stop, tried

    def alone(start: int, stop: int) -> float:
        return trials.of(names[:start] + names[stop:]).divergence

    queue = [entry(0, len(names), whole, tried=True)] if names else []
    while queue:
        density, start, stop, tried = heapq.heappop(queue)
        harm = -density * costs[names[start]]
        if not tried:
            heapq.heappush(queue, entry(start, stop, alone(start, stop), tried=True))
        elif stop - start == 1:
            yield names[start]
        else:
            middle = (start + stop) // 2
            first = alone(start, middle)
            heapq.heappush(queue, entry(start, middle, first, tried=True))
            heapq.heappush(queue, entry(middle, stop, max(harm - first, 0.0), tried=False))


def _affordable(names: Iterator[str], costs: Mapping[str, float], most: float) -> Iterator[str]:
    """Those names that still fit into the share of cost, one after the other."""
    spent: frozenset[str] = frozenset()
    for name in names:
        if _share(costs, spent | {name}) <= most:
            spent |= {name}
            yield name


def _shortest(trials: _Trials, ranked: Iterator[str], max_drop: float) -> list[str] | None:
    """The shortest beginning of the ranking that is accurate enough, None if none is."""

    def enough(length: int) -> bool:
        return trials.of(prefix[:length]).comparison.drop <= max_drop

    prefix: list[str] = []
    too_few, wanted = 0, 1
    while True:
        prefix += islice(ranked, wanted - len(prefix))
        if len(prefix) == too_few:
            return None
        if enough(len(prefix)):
            break
        too_few, wanted = len(prefix), 2 * wanted
    found = len(prefix)
    while found - too_few > 1:
        middle = (found + too_few) // 2
        if enough(middle):
            found = middle
        else:
            too_few = middle
    return prefix[:found]


def _without_unneeded(trials: _Trials, prefix: list[str], max_drop: float) -> list[str]:
    """Take back what accuracy does not need, the dearest first; the last one given is needed."""
    kept = list(prefix)
    for name in sorted(prefix[:-1], key=lambda name: (-trials.costs[name], name)):
        fewer = [other for other in kept if other != name]
        if trials.of(fewer).comparison.drop <= max_drop:
            kept = fewer
    return kept
