"""Pairs of long texts, shortened before they are cut into tokens together.

The tokenizers library keeps what it cuts off, of a pair in every combination of both texts' rests:
two texts of 4000 words each took 1.2 GB and 20 s at 64 tokens. Nobody reads these rests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Tokens(NamedTuple):
    """All tokens of a text: ids, and the characters from and to which each stands."""

    ids: Sequence[int]
    offsets: Sequence[tuple[int, int]]


Tokenise = Callable[[str], Tokens]
"""A text alone, without special tokens, and nothing of it cut off."""

_CHARACTERS = 4
"""Of a token at least, before a text is looked at: a short one has no rest worth a second look."""


def shortened(
    first: str, second: str, limit: int, tokenise: Tokenise, side: str = "right"
) -> tuple[str, str]:
    """The pair without what is cut off in any case, where both texts are longer than the limit.

    Cutting the longer one first gives both the same tokens as before: each keeps `limit` at least,
    and the longer one stays longer. Where a text that ends earlier would be cut into other tokens,
    the pair stays as it is.

    Args:
        first: a text.
        second: the other.
        limit: tokens of the longest row.
        tokenise: cuts a text into tokens.
        side: where a text that is too long is cut off, `right` or `left`.
    """
    if min(len(first), len(second)) <= _CHARACTERS * limit:
        return first, second
    one, other = tokenise(first), tokenise(second)
    if min(len(one.ids), len(other.ids)) <= 2 * limit:
        return first, second
    longer = (len(one.ids) > len(other.ids)) - (len(one.ids) < len(other.ids))
    kept = [
        _kept(text, tokens, limit + (sign > 0), tokenise, side)
        for text, tokens, sign in ((first, one, longer), (second, other, -longer))
    ]
    return (kept[0] or first, kept[1] or second) if all(kept) else (first, second)


def _kept(text: str, tokens: Tokens, count: int, tokenise: Tokenise, side: str) -> str | None:
    """The part of a text that has its first, or last, tokens alone; None where it has others."""
    left = side == "left"
    part = text[tokens.offsets[-count][0] :] if left else text[: tokens.offsets[count - 1][1]]
    wanted = tokens.ids[-count:] if left else tokens.ids[:count]
    return part if list(tokenise(part).ids) == list(wanted) else None
