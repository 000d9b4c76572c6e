"""Whether the tokenizer that is served makes the tokens that transformers makes of a text.

`check_parity` compares models on tokens. What is served reads `tokenizer.json` itself, and
transformers lets `tokenizer_config.json` win over it, so tokens are compared on texts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.core.errors import ParityError
from glp_export.serve.text import open_encoder

if TYPE_CHECKING:
    from tokenizers import Encoding
    from transformers import PreTrainedTokenizerBase

Text = str | tuple[str, str]

TEXTS: tuple[Text, ...] = (
    "The cat is not very good.",
    "  Two  spaces\tand a tab ",
    "UPPER lower MiXeD",
    "naïve café, Ångström, ÇA VA, İstanbul, straße",
    "don't e-mail: https://example.org/a?b=c&d=1 #5 @x 3.14 $9,99 (50%)",
    "日本語のテキスト 中文 한국어 العربية עברית",
    "👍🏽 – “quoted” … ﬁnal ﬁ\u200bx e\u0301",
    "\u00a0non-breaking\u2003space\r\nline",
    "a",
    ("The first text", "and the SECOND, which is longer"),
)
"""Case, accents, spaces, scripts, emoji, alone and in a pair."""

_MOST_REPEATED = 600


def check_served_texts(root: Path, tokenizer: PreTrainedTokenizerBase, *, max_length: int) -> int:
    """Compare the tokens that are served with those of transformers.

    On `TEXTS`, long ones, and the tokenizer's own special tokens.

    Args:
        root: of the artifact, its tokenizer files and `config.json` in place.
        tokenizer: as transformers loaded it for the model.
        max_length: longest input in tokens.

    Returns:
        How many texts were compared.

    Raises:
        ModelError: the served tokenizer cannot be opened.
        ParityError: tokens differ; the text and the first difference are named.
    """
    config = json.loads((root / "config.json").read_text(encoding="utf-8"))
    served = open_encoder(root, config, max_length=max_length, multiple=None)
    rows = [*TEXTS, *_long_texts(max_length), *_special_texts(tokenizer)]
    for row, found in zip(rows, served.encode(rows), strict=True):
        wanted = tokenizer(*_parts(row), truncation=True, max_length=max_length, padding=False)
        _require_equal(row, found, wanted, segments=served.segments)
    return len(rows)


def _parts(row: Text) -> tuple[str, ...]:
    return (row,) if isinstance(row, str) else row


def _long_texts(max_length: int) -> list[Text]:
    """Texts past the limit, alone and in a pair, but not by far.

    The library makes a row of every part of the one text with every part of the other, which are
    millions where the limit is a few tokens.
    """
    repeated = min(max_length, _MOST_REPEATED)
    long = "the cat is good and " * repeated
    return [long, (long[: len(long) // 2], "a dog " * repeated)]


def _special_texts(tokenizer: PreTrainedTokenizerBase, most: int = 16) -> list[str]:
    """Texts with tokens in them that were added to the vocabulary."""
    added = sorted(tokenizer.get_added_vocab())
    return [f"the {token} cat{token}s" for token in added[:most]]


def _require_equal(row: Text, found: Encoding, wanted: Any, *, segments: bool) -> None:
    pairs: list[tuple[str, Sequence[int], Sequence[int]]] = [
        ("tokens", found.ids, wanted["input_ids"])
    ]
    if segments and "token_type_ids" in wanted:
        pairs.append(("segments", found.type_ids, wanted["token_type_ids"]))
    for what, own, theirs in pairs:
        if list(own) != list(theirs):
            raise ParityError(
                f"the served tokenizer makes other {what} of {_shown(row)} than transformers: "
                f"{_first_difference(own, theirs)}",
                where="tokenizer.json",
                fix="save the tokenizer anew with save_pretrained, so that its files agree",
            )


def _first_difference(own: Sequence[int], theirs: Sequence[int]) -> str:
    for place, (one, other) in enumerate(zip(own, theirs, strict=False)):
        if one != other:
            return f"{one} instead of {other} at {place}"
    return f"{len(own)} of them instead of {len(theirs)}"


def _shown(row: Text) -> str:
    text = repr(row)
    return text if len(text) <= 60 else f"{text[:57]}…"
