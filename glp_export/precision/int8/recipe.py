"""How a float graph is turned into an int8 one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FULL = "full"


@dataclass(frozen=True)
class Int8Recipe:
    """What is quantised, and how.

    Attributes:
        scope: "matmuls" makes those with a constant weight integers, and the word embeddings;
            "full" attention's two products and every table too, as a QDQ file of standard
            operators, which needs static ranges.
        mode: "dynamic" measures the range of each activation at every call, "static" takes it from
            calibration rows. On a CPU the measuring costs next to nothing.
        calibration: static only. What a range is taken from: the extremes, the range that loses
            least by Kullback-Leibler divergence, or the 99.99th percentile.
        per_channel: a scale for each column of a weight, not one for the whole.
        form: a key of `PASSES`, the graph that is quantised.
        keep_float: names of matmuls, from `find_matmuls()`, that stay as they are.
    """

    scope: Literal["matmuls", "full"] = "matmuls"
    mode: Literal["dynamic", "static"] = "dynamic"
    calibration: Literal["minmax", "entropy", "percentile"] = "minmax"
    per_channel: bool = True
    form: str = "first-token"
    keep_float: frozenset[str] = frozenset()


DYNAMIC = "dynamic"
RECIPES: dict[str, Int8Recipe] = {
    DYNAMIC: Int8Recipe(),
    "minmax": Int8Recipe(mode="static", calibration="minmax"),
    "entropy": Int8Recipe(mode="static", calibration="entropy"),
    "percentile": Int8Recipe(mode="static", calibration="percentile"),
}
"""What `--int8` can ask for: how the ranges of activations are found."""
