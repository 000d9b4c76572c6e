"""How far numbers may be from those that they should be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_ROUNDING = {"fp32": 2**-22, "fp16": 2**-9, "bf16": 2**-6}
"""Twice the distance of two numbers that follow one another, as a share of them."""


@dataclass(frozen=True)
class Tolerance:
    """|found − wanted| ≤ atol + rtol · |wanted − centre|, for every number.

    Attributes:
        atol: absolute part, in units of the numbers.
        rtol: relative part.
        centre: what a regression's answers lie around: a thousandth of the year 2000 is as much as
            years differ by. With 0 it is `numpy.allclose`.
        asked: whether `atol` was asked for, and holds whatever the logits vary by.
    """

    atol: float
    rtol: float
    centre: float = 0.0
    asked: bool = False

    def around(self, answers: np.ndarray[Any, Any], precision: str) -> Tolerance:
        """The same of numbers like these, which are rounded to where they lie.

        Prices vary by thousands where logits do by one, and so does what stands before their sum
        is taken: one that is the mean is no more exact than the others.
        """
        centre = float(answers.mean())
        scale = 1.0 if self.asked else max(1.0, float(answers.std()))
        rounding = _ROUNDING.get(precision, 0.0) * abs(centre)
        return replace(self, atol=self.atol * scale + rounding, centre=centre)

    def bound(self, reference: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The largest difference allowed at each number, in the shape of `reference`."""
        bound: np.ndarray[Any, Any] = self.atol + self.rtol * abs(reference - self.centre)
        return bound
