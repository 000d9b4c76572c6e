"""Targets instead of a number of layers: how they are written, and what falls short of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from glp_export.core.batch_size import require_batch
from glp_export.core.errors import UsageError

_NUMBER = r"(?P<number>\d{1,12}(?:\.\d{0,12})?|\.\d{1,12})"
_AT_SHAPE = r"(?:@(?P<batch>\d{1,9})x(?P<length>\d{1,9}))?"
_MEGABYTES = {"kb": 1e-3, "mb": 1.0, "gb": 1e3}
_MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
MEDIAN = 50
PERCENTILES = (MEDIAN, 90, 95, 99)
"""Of the latency of a batch, that a budget may bound."""


@dataclass(frozen=True)
class Shape:
    """What a target is measured on: a batch size and a length in tokens."""

    batch_size: int
    sequence_length: int

    @property
    def name(self) -> str:
        """As benchmark.json calls it: `8x128`."""
        return f"{self.batch_size}x{self.sequence_length}"

    @property
    def words(self) -> str:
        """For people: `8×128`."""
        return f"{self.batch_size}×{self.sequence_length}"


DEFAULT_SHAPE = Shape(1, 128)


@dataclass(frozen=True)
class SpeedupTarget:
    """How many times faster than the unpruned model, both in ONNX Runtime, at one shape."""

    flag: ClassVar[str] = "--target-speedup"

    value: float
    shape: Shape = DEFAULT_SHAPE

    @classmethod
    def parse(cls, text: str) -> SpeedupTarget:
        """Read `2.0` or `2.0@8x128`.

        Raises:
            UsageError: it is written otherwise, or asks for no speedup.
        """
        number, shape, _ = _read(cls.flag, text, _NUMBER, example="2.0 or 2.0@8x128")
        if number <= 1:
            raise UsageError(
                f"a speedup of {number:g} is none: the unpruned model is 1",
                where=f"{cls.flag} {text}",
                fix="ask for more than 1, such as 2.0",
            )
        return cls(number, shape)

    @classmethod
    def parse_several(cls, text: str) -> tuple[SpeedupTarget, ...]:
        """Read `2.0`, or `2,3,4@1x128`: several speedups at one shape, the least first.

        Raises:
            UsageError: as `parse`, or one speedup is named twice.
        """
        numbers, at, shape = text.partition("@")
        found = [cls.parse(f"{number.strip()}{at}{shape}") for number in numbers.split(",")]
        if len({one.value for one in found}) < len(found):
            raise UsageError(
                "a speedup is named twice", where=f"{cls.flag} {text}", fix="once each"
            )
        return tuple(sorted(found, key=lambda one: one.value))

    def __str__(self) -> str:
        return f"{self.flag} {self.written}"

    @property
    def written(self) -> str:
        """As `parse` reads it: `1.5@1x32`."""
        return f"{self.value:g}@{self.shape.name}"

    @property
    def words(self) -> str:
        """For people: `1.5× at 1×32`."""
        return f"{self.value:g}× at {self.shape.words}"


@dataclass(frozen=True)
class LatencyBudget:
    """The most milliseconds that a batch of one shape may take in ONNX Runtime.

    Attributes:
        milliseconds: at most.
        shape: that it is measured on.
        percentile: of all runs, that has to be as fast; the median where none is named.
    """

    flag: ClassVar[str] = "--latency-budget"

    milliseconds: float
    shape: Shape = DEFAULT_SHAPE
    percentile: int = MEDIAN

    @classmethod
    def parse(cls, text: str) -> LatencyBudget:
        """Read `10ms`, `10ms@1x128`, `p95 10ms@1x128`, `0.5s@8x64` or `800us@1x32`.

        Raises:
            UsageError: it is written otherwise, or is no time at all.
        """
        example = "10ms@1x128, p95 10ms@1x128, 0.5s@8x64 or 800us@1x32"
        named = re.match(r"\s*p(\d{1,3})\s+", text[:80], re.ASCII)
        percentile = int(named[1]) if named else MEDIAN
        if percentile not in PERCENTILES:
            raise UsageError(
                f"p{percentile} is not measured",
                where=f"{cls.flag} {text[:80]}",
                fix=f"one of {', '.join(f'p{one}' for one in PERCENTILES)}",
            )
        pattern = rf"{_NUMBER}\s*(?P<unit>us|ms|s)"
        rest = text[named.end() :] if named else text
        number, shape, unit = _read(cls.flag, rest, pattern, example=example)
        if number == 0:
            raise UsageError(
                "nothing runs in no time", where=f"{cls.flag} {text}", fix=f"write {example}"
            )
        return cls(number * _MILLISECONDS[unit], shape, percentile)

    def __str__(self) -> str:
        named = "" if self.percentile == MEDIAN else f"p{self.percentile} "
        return f"{self.flag} {named}{self.milliseconds:g}ms@{self.shape.name}"

    @property
    def words(self) -> str:
        """For people: `10 ms at 1×32`, `p95 10 ms at 1×32`."""
        named = "" if self.percentile == MEDIAN else f"p{self.percentile} "
        return f"{named}{self.milliseconds:g} ms at {self.shape.words}"


@dataclass(frozen=True)
class Tail:
    """A percentile of a latency above the median.

    Attributes:
        percentile: 90, 95 or 99.
        milliseconds: that so many percent of the runs took at most.
        high_ms: upper end of its 95 % interval, where there is one.
    """

    percentile: int
    milliseconds: float
    high_ms: float | None = None


@dataclass(frozen=True)
class SizeBudget:
    """The most that the ONNX file which `load` opens and tokenizer.json may take, in 10^6 bytes."""

    flag: ClassVar[str] = "--size-budget"

    megabytes: float

    @classmethod
    def parse(cls, text: str) -> SizeBudget:
        """Read `8MB`, `8.5MB`, `800kB` or `1GB`.

        Raises:
            UsageError: it is written otherwise, or is no size at all.
        """
        found = re.fullmatch(rf"{_NUMBER}\s*(?P<unit>kB|MB|GB)", text.strip(), re.ASCII | re.I)
        number = float(found["number"]) if found else 0.0
        if not found or number == 0:
            raise UsageError(
                f"{cls.flag} cannot be read: {text[:80]!r}",
                where=f"{cls.flag} {text[:80]}",
                fix="write 8MB or 800kB, in millions and thousands of bytes",
            )
        return cls(number * _MEGABYTES[found["unit"].lower()])

    def __str__(self) -> str:
        return f"{self.flag} {self.megabytes:g}MB"


@dataclass(frozen=True)
class DepthLatency:
    """How fast a depth is at one shape.

    Attributes:
        layers: that are left.
        shape: that it ran on.
        p50_ms: median milliseconds a batch.
        p50_high_ms: upper end of the median's 95 % interval, where there is one.
        speedup: over the unpruned model in ONNX Runtime.
        speedup_low: lower end of its 95 % interval.
        speedup_high: upper end.
        disturbed: others used the machine meanwhile.
        tails: percentiles above the median.
    """

    layers: int
    shape: Shape
    p50_ms: float
    p50_high_ms: float | None
    speedup: float
    speedup_low: float
    speedup_high: float
    disturbed: bool = False
    tails: tuple[Tail, ...] = ()

    def at(self, percentile: int) -> Tail | None:
        """A percentile, the median among them; None where it was not measured."""
        if percentile == MEDIAN:
            return Tail(MEDIAN, self.p50_ms, self.p50_high_ms)
        return next((tail for tail in self.tails if tail.percentile == percentile), None)

    @property
    def speedup_words(self) -> str:
        """`1.98× (1.90–2.04)`."""
        return f"{self.speedup:.2f}× ({self.speedup_low:.2f}–{self.speedup_high:.2f})"

    @property
    def latency_words(self) -> str:
        """`10.2 ms`, with what it may be at most."""
        high = "" if self.p50_high_ms is None else f" (up to {self.p50_high_ms:.3g})"
        return f"{self.p50_ms:.3g} ms{high}"


@dataclass(frozen=True)
class Targets:
    """What the pruned model shall reach; None is not asked for.

    Attributes:
        speedups: at least so much faster than the unpruned model, one model for each.
        latency: at most so many milliseconds.
        max_drop: metric points on dev that may be lost at most.
        size: most that the artifact may take. A number of layers may be asked for beside it, since
            other things than layers make a model smaller.
    """

    speedups: tuple[SpeedupTarget, ...] = ()
    latency: LatencyBudget | None = None
    max_drop: float | None = None
    size: SizeBudget | None = None

    @classmethod
    def parse(
        cls,
        speedup: str | None,
        latency: str | None,
        max_drop: float | None,
        size: str | None = None,
    ) -> Targets:
        """Read the settings as they are given.

        Raises:
            UsageError: one is not written as it should be; its flag is named.
        """
        return cls(
            () if speedup is None else SpeedupTarget.parse_several(speedup),
            None if latency is None else LatencyBudget.parse(latency),
            max_drop,
            None if size is None else SizeBudget.parse(size),
        )

    @property
    def speedup(self) -> SpeedupTarget | None:
        """The first speedup that is asked for."""
        return self.speedups[0] if self.speedups else None

    def each(self) -> tuple[Targets, ...]:
        """The targets of each model that is made."""
        if len(self.speedups) < 2:
            return (self,)
        return tuple(replace(self, speedups=(speedup,)) for speedup in self.speedups)

    @property
    def any(self) -> bool:
        """Whether anything is asked for, so that the depth is to be found."""
        return self.fast_enough_asked or self.max_drop is not None

    @property
    def fast_enough_asked(self) -> bool:
        """Whether speed is asked for."""
        return bool(self.timed)

    @property
    def timed(self) -> tuple[SpeedupTarget | LatencyBudget, ...]:
        """The targets that are measured in time."""
        return tuple(target for target in (self.speedup, self.latency) if target is not None)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shapes that have to be measured, each once."""
        return tuple(dict.fromkeys(target.shape for target in self.timed))

    @property
    def asked_of_time(self) -> str:
        """The flags of the targets that are measured in time, for errors."""
        return ", ".join(map(str, self.timed))

    def misses(self, reached: Sequence[DepthLatency], *, surely: bool) -> list[str]:
        """What falls short, one clause a target; nothing if all that is asked of time is met.

        Args:
            reached: one model, at most one row a shape.
            surely: hold the worse end of the interval to the target and not the measured value.
        """
        rows = {row.shape: row for row in reached}
        return [
            clause
            for target in self.timed
            if (clause := _miss(target, rows.get(target.shape), surely)) is not None
        ]


def _read(flag: str, text: str, pattern: str, *, example: str) -> tuple[float, Shape, str]:
    """The number, the shape and the unit, if there is one, in what a flag was given."""
    found = re.fullmatch(pattern + _AT_SHAPE, text.strip(), re.ASCII)
    parts = found.groupdict() if found else {}
    batch, length = parts.get("batch"), parts.get("length")
    shape = Shape(int(batch), int(length)) if batch and length else DEFAULT_SHAPE
    if not found or min(shape.batch_size, shape.sequence_length) < 1:
        raise UsageError(
            f"{flag} cannot be read: {text[:80]!r}",
            where=f"{flag} {text[:80]}",
            fix=f"write {example} (batch size x length in tokens)",
        )
    require_batch(shape.batch_size, shape.sequence_length, f"{flag} {text[:80]}")
    return float(parts["number"]), shape, parts.get("unit", "")


def _miss(
    target: SpeedupTarget | LatencyBudget, row: DepthLatency | None, surely: bool
) -> str | None:
    """How a row falls short of a target, None if it does not."""
    at = target.shape.name
    if row is None:
        return f"{at} was not measured"
    if isinstance(target, SpeedupTarget):
        counted = row.speedup_low if surely else row.speedup
        if counted >= target.value:
            return None
        rounded = f"{counted:.2f}" == f"{target.value:.2f}"  # 1.797 is not 1.8
        words = f"{counted:.4f}×" if rounded else row.speedup_words
        return f"{words} at {at}, {target.value:g}× was asked for"
    reached = row.at(target.percentile)
    if reached is None:
        return f"p{target.percentile} at {at} was not measured"
    high = max(reached.milliseconds, reached.high_ms or 0.0)
    if (high if surely else reached.milliseconds) <= target.milliseconds:
        return None
    words = row.latency_words
    if target.percentile != MEDIAN:
        words = f"{reached.milliseconds:.3g} ms (p{target.percentile})"
    return f"{words} at {at}, {target.milliseconds:g} ms was asked for"
