"""Texts in which tokens are hidden, each with what could stand there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import DataError, ModelError, UsageError
from glp_export.serve.kinds.base import Opened, ServedKind
from glp_export.serve.rows import as_rows

LIKELIEST = 5
"""Tokens that are given for every hidden one."""

_WINDOW = 8
"""Texts that are answered together: each token of theirs has as many numbers as the vocabulary."""


@dataclass(frozen=True)
class Fill:
    """What could stand in one place.

    Attributes:
        tokens: the likeliest first, as the tokenizer writes them.
        probabilities: of each.
    """

    tokens: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class FilledMasks:
    """A model's answers to some texts, in the order of the texts; one `Fill` a hidden token."""

    fills: tuple[tuple[Fill, ...], ...]

    @property
    def tokens(self) -> list[list[str]]:
        """The likeliest token of every hidden one, text by text."""
        return [[fill.tokens[0] for fill in own] for own in self.fills]

    def __len__(self) -> int:
        return len(self.fills)


def _answer(model: Opened, texts: Any, text_pairs: Any) -> FilledMasks:
    if text_pairs is not None:
        raise UsageError("hidden tokens are looked for in one text at a time", where="text_pairs")
    mask = model.encoder.mask_token
    if mask is None:
        raise ModelError("nothing says which token hides others", where="tokenizer_config.json")
    rows = as_rows(texts, None)
    hidden = model.encoder.tokenizer.token_to_id(mask)
    fills: list[tuple[Fill, ...]] = []
    for start in range(0, len(rows), _WINDOW):
        encoded = model.encoder.encode(rows[start : start + _WINDOW])
        for number, (one, (logits,)) in enumerate(
            zip(encoded, model.of_tokens(encoded), strict=True), start
        ):
            places = np.flatnonzero(np.asarray(one.ids) == hidden)
            if not len(places):
                raise DataError(
                    f"the text hides no token: it has no {mask}",
                    where=f"row {number}, counted from 0",
                    fix=f"write {mask} where one is looked for, within what the model reads",
                )
            fills.append(tuple(_fill(model, logits[place]) for place in places))
    return FilledMasks(tuple(fills))


def _fill(model: Opened, logits: NDArray[np.float32]) -> Fill:
    likeliest = np.argsort(-logits, kind="stable")[:LIKELIEST]
    odds = np.exp(logits - logits.max())
    names = (model.encoder.tokenizer.id_to_token(int(one)) for one in likeliest)
    return Fill(tuple(map(str, names)), tuple((odds[likeliest] / odds.sum()).tolist()))


MASKS = ServedKind(head="ForMaskedLM", outputs=("logits",), answer=_answer)
