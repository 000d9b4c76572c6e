"""Of which word each token is: of a list of words, or of the words of a text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

_GENERAL = ("PreTrainedTokenizerFast", "TokenizersBackend")
"""Classes of transformers that take words alone, whatever becomes of their spaces."""


@dataclass(frozen=True)
class PlacedWords:
    """Tokens, and of each the number of its word; None of special tokens."""

    encoding: Encoding
    word_ids: Sequence[int | None]


def placed(encoding: Encoding) -> PlacedWords:
    """Tokens of a list of words, which know their words."""
    return PlacedWords(encoding, encoding.word_ids)


def placed_in_text(encoding: Encoding, row: str | Sequence[str]) -> PlacedWords:
    """Tokens of a text, or of words with a space between them.

    A token of the space alone belongs to the word that follows, as that of a list does.

    Args:
        encoding: of the text.
        row: the text, whose words stand between white space; or the words.
    """
    spans = list(_spans(row))
    words: list[int | None] = []
    word = 0
    for (start, stop), special in zip(encoding.offsets, encoding.special_tokens_mask, strict=True):
        while word < len(spans) and spans[word][1] <= start and stop > spans[word][1]:
            word += 1
        there = word < len(spans) and spans[word][0] <= stop
        words.append(word if there and not special else None)
    return PlacedWords(encoding, words)


def needs_spaces(tokenizer: Tokenizer, settings: Mapping[str, Any]) -> bool:
    """Whether transformers refuses words alone: a byte-level tokenizer that adds no space.

    Args:
        tokenizer: of the library.
        settings: of `tokenizer_config.json`.
    """
    name = settings.get("tokenizer_class") or _GENERAL[0]
    own = json.loads(tokenizer.to_str())["pre_tokenizer"] or {}
    parts = own.get("pretokenizers", [own])
    bare = (one.get("type") == "ByteLevel" and not one["add_prefix_space"] for one in parts)
    return name not in _GENERAL and any(bare)


def _spans(row: str | Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where the words stand, in characters."""
    if isinstance(row, str):
        yield from (found.span() for found in re.finditer(r"\S+", row))
        return
    start = 0
    for word in row:
        yield start, start + len(word)
        start += len(word) + 1
