"""How matrices are divided into Kronecker factors, without weights."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from glp_export.core.shape import MAX_UNITS

MAX_TERMS = 1000
"""Products in a sum: more than any factor of use has entries."""

_Entries = Annotated[int, Field(ge=1, le=MAX_UNITS)]
_STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_STRICT)
class Factors:
    """How a matrix is divided: one factor has a fixed size, the other is what is left.

    Attributes:
        small: entries of the fixed factor along the width of the model and along the other side;
            rows and columns where both are the width of the model.
        terms: Kronecker products in the sum.
        inner: the fixed factor is B of A ⊗ B, not A.
    """

    small: tuple[_Entries, _Entries]
    terms: Annotated[int, Field(ge=1, le=MAX_TERMS)] = 1
    inner: bool = True

    def __str__(self) -> str:
        size = "×".join(map(str, self.small))
        return f"factor {size}" if self.terms == 1 else f"sum of {self.terms}, factor {size}"


@dataclass(frozen=True, config=_STRICT)
class Preset:
    """Factors for all matrices of an encoder.

    Attributes:
        attention: of query, key, value and output projections.
        feed_forward: of the two feed-forward layers.
        embedding: entries of the row that all tokens share; None: the word embeddings stay dense.
    """

    attention: Factors
    feed_forward: Factors
    embedding: _Entries | None = None

    def __str__(self) -> str:
        words = "dense" if self.embedding is None else f"one row of {self.embedding} for all tokens"
        return (
            f"attention: {self.attention}; feed-forward: {self.feed_forward}; "
            f"word embeddings: {words}"
        )


PRESETS: dict[str, Preset] = {
    "x5": Preset(Factors((4, 4), 4), Factors((2, 16), 4, inner=False), 4),
    "x8": Preset(Factors((2, 2)), Factors((2, 8), inner=False), 8),
    "x21": Preset(Factors((16, 2)), Factors((2, 16), inner=False), 16),
}
"""Named by how much smaller they make bert-base in all, the mildest first.

x8 and x21 have the ratios of KroneckerBERT (arXiv 2109.06243, section 4). x5 is a sum of four terms
as there, with sizes chosen here.
"""
