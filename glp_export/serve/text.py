"""Texts to padded batches as transformers does it, with the tokenizers library alone.

A fast tokenizer of transformers is this library's tokenizer, read from the same `tokenizer.json`,
with truncation and padding set from `tokenizer_config.json`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import DataError, ModelError, reason_of
from glp_export.serve.directory import TOKENIZER_CONFIG, sense_required
from glp_export.serve.long_pairs import Tokens, shortened
from glp_export.serve.rows import Row
from glp_export.serve.spans import Windows
from glp_export.serve.word_places import PlacedWords, needs_spaces, placed, placed_in_text

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

TOKENIZER = "tokenizer.json"

_SIDES = {"left": "left", "right": "right"}

_NO_LIMIT = 2**31
"""What transformers writes for no limit, 1e30, is more than the tokenizers library takes."""


@dataclass(frozen=True)
class Padding:
    """What short rows are filled up with, on which side, and to multiples of how many tokens."""

    token_id: int
    type_id: int = 0
    side: str = "right"
    multiple: int = 1


@dataclass(frozen=True)
class TextEncoder:
    """A tokenizer set to a length, with what it needs to pad. Threads may share it.

    Attributes:
        max_length: longest row in tokens; None for no limit.
        segments: whether it makes `token_type_ids`; they are zeros otherwise.
        mask_token: what hides a token; None where nothing says it.
        spaced_words: whether words have to stand in a text, with spaces between them.
        truncation_side: where a row that is too long is cut off.
    """

    tokenizer: Tokenizer
    padding: Padding
    max_length: int | None
    segments: bool
    mask_token: str | None = None
    spaced_words: bool = False
    truncation_side: str = "right"

    def encode_words(self, rows: Sequence[str | Sequence[str]]) -> list[PlacedWords]:
        """Tokens of each text or list of words, with the number of the word of each token.

        A text is cut as it stands, as transformers' pipeline does it: a byte-level tokenizer makes
        other tokens of a word without the space before it. So is a list of words whose tokenizer
        cannot take words alone, with a space between them.

        Raises:
            DataError: a word that is not Unicode.
        """
        texts = {
            number: row if isinstance(row, str) else " ".join(row)
            for number, row in enumerate(rows)
            if isinstance(row, str) or self.spaced_words
        }
        lists = [list(row) for number, row in enumerate(rows) if number not in texts]
        try:
            of_texts = iter(self.tokenizer.encode_batch(list(texts.values())))
            of_lists = iter(self.tokenizer.encode_batch(lists, is_pretokenized=True))
        except (TypeError, ValueError, UnicodeError) as error:
            every = [row if isinstance(row, str) else " ".join(map(str, row)) for row in rows]
            raise _not_cut(error, every) from error
        return [
            placed_in_text(next(of_texts), row) if number in texts else placed(next(of_lists))
            for number, row in enumerate(rows)
        ]

    def encode_windows(
        self, pairs: Sequence[tuple[str, str]], windows: Windows
    ) -> list[list[Encoding]]:
        """Questions with every window of their documents; a document that fits has one.

        Raises:
            DataError: a text that is not Unicode.
        """
        try:
            questions = self._cut_at(windows.question).encode_batch(
                [question for question, _ in pairs], add_special_tokens=False
            )
            cut = [
                (question[: found.offsets[-1][1]] if found.overflowing else question, document)
                for (question, document), found in zip(pairs, questions, strict=True)
            ]
            encoded = self._cut_at(
                self.max_length, stride=windows.stride, strategy="only_second"
            ).encode_batch(cut)
        except (TypeError, ValueError, UnicodeError) as error:
            raise _not_cut(error, pairs) from error
        return [[one, *one.overflowing] for one in encoded]

    def _cut_at(self, length: int | None, **settings: Any) -> Tokenizer:
        """A tokenizer of its own with another truncation; threads share this one's."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(self.tokenizer.to_str())
        tokenizer.enable_truncation(length, **settings)
        return tokenizer

    def encode(self, rows: Sequence[Row]) -> list[Encoding]:
        """Tokens of each row, truncated, not padded.

        Raises:
            DataError: a text that is not Unicode, or becomes no token at all.
        """
        try:
            rows = [self._shortened(row) for row in rows]
            if len(rows) == 1:  # without the pool of threads that a batch is handed to
                (row,) = rows
                encoded = [self.tokenizer.encode(*((row,) if isinstance(row, str) else row))]
            else:
                encoded = self.tokenizer.encode_batch_fast(list(rows))
        except (TypeError, ValueError, UnicodeError) as error:
            raise _not_cut(error, rows) from error
        for number, one in enumerate(encoded):
            if not len(one):
                raise DataError(
                    "a text becomes no token at all: this tokenizer adds none to an empty one",
                    where=f"row {number}, counted from 0",
                    fix="leave such texts out",
                )
        return encoded

    def _shortened(self, row: Row) -> Row:
        """A pair without what is cut off of both texts anyway; any other row as it is."""
        if isinstance(row, str) or self.max_length is None:
            return row
        return shortened(*row, self.max_length, self._all_tokens, self.truncation_side)

    def _all_tokens(self, text: str) -> Tokens:
        """The tokens of a text alone, those that are cut off as well."""
        found = self.tokenizer.encode(text, add_special_tokens=False)
        parts = sorted([found, *found.overflowing], key=lambda part: part.offsets[:1])
        return Tokens(
            [token for part in parts for token in part.ids],
            [place for part in parts for place in part.offsets],
        )

    def pad(self, encoded: Sequence[Encoding]) -> dict[str, NDArray[np.int64]]:
        """Rows padded together to the longest: arrays `(rows, length) int64`."""
        lengths = [len(one) for one in encoded]
        multiple = self.padding.multiple
        longest = -(-max(lengths) // multiple) * multiple
        if self.max_length is not None and max(lengths) <= self.max_length:
            longest = min(longest, self.max_length)
        size = (len(encoded), longest)
        batch = {
            "input_ids": np.full(size, self.padding.token_id, dtype=np.int64),
            "attention_mask": np.zeros(size, dtype=np.int64),
            "token_type_ids": np.full(
                size, self.padding.type_id if self.segments else 0, dtype=np.int64
            ),
        }
        for index, (one, length) in enumerate(zip(encoded, lengths, strict=True)):
            start = longest - length if self.padding.side == "left" else 0
            place = (index, slice(start, start + length))
            batch["input_ids"][place] = one.ids
            batch["attention_mask"][place] = one.attention_mask
            if self.segments:
                batch["token_type_ids"][place] = one.type_ids
        return batch


def open_encoder(
    root: Path, config: Mapping[str, Any], *, max_length: int | None, multiple: int | None
) -> TextEncoder:
    """Open the tokenizer of an artifact.

    Args:
        root: of the artifact.
        config: the model's `config.json`.
        max_length: longest row in tokens; the tokenizer's own limit and the model's hold as well.
        multiple: lengths are padded to multiples of it.

    Raises:
        ModelError: a file of the tokenizer is missing or broken, a setting is of another type, or
            nothing says how to pad.
    """
    from tokenizers import Tokenizer

    path = root / TOKENIZER
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        settings = dict(json.loads((root / TOKENIZER_CONFIG).read_text(encoding="utf-8")))
    except Exception as error:  # the library's errors share no base class but Exception
        raise ModelError(
            f"the tokenizer cannot be read: {reason_of(error)}",
            where=str(path),
            fix=f"it takes {TOKENIZER} and {TOKENIZER_CONFIG}; copy the whole directory again",
        ) from error
    with sense_required(root):
        limit = _limit(config, max_length, settings.get("model_max_length"))
        tokenizer.no_padding()
        tokenizer.no_truncation()
        side = settings.get("truncation_side", "right")
        least = max(1, tokenizer.num_special_tokens_to_add(is_pair=False))
        if limit is not None and limit < least:
            raise ValueError(f"rows of {limit} tokens, where {least} are needed for an empty text")
        if limit is not None:
            tokenizer.enable_truncation(limit, strategy="longest_first", direction=side)
        tokenizer.encode_special_tokens = settings.get("split_special_tokens", False)
        padding = Padding(
            _pad_token_id(tokenizer, settings, config, root),
            int(settings.get("pad_token_type_id", 0)),
            _SIDES[settings.get("padding_side", "right")],
            multiple or 1,
        )
        inputs = settings.get("model_input_names") or ("token_type_ids",)
        mask = _content(settings.get("mask_token"))
        segments, spaced = "token_type_ids" in inputs, needs_spaces(tokenizer, settings)
        return TextEncoder(tokenizer, padding, limit, segments, mask, spaced, side)


def _limit(config: Mapping[str, Any], asked: int | None, own: float | None) -> int | None:
    """Longest row in tokens.

    A tokenizer that knows no limit says 1e30. Then the model's positions decide: RoBERTa and its
    kin count them from the padding id on, MPNet from 2, and leaving that many out is harmless for
    the others.
    """
    limits = [int(limit) for limit in (asked, own) if limit is not None and limit < _NO_LIMIT]
    positions = config.get("max_position_embeddings") or 0
    if positions > 0 and min(limits, default=positions + 1) > positions:
        return int(positions) - max(2, (config.get("pad_token_id") or 0) + 1)
    return min(limits, default=None)


def _pad_token_id(
    tokenizer: Tokenizer, settings: Mapping[str, Any], config: Mapping[str, Any], root: Path
) -> int:
    """The tokenizer's, or the model's where the tokenizer has no padding token."""
    name = _content(settings.get("pad_token"))
    found = config.get("pad_token_id") if name is None else tokenizer.token_to_id(name)
    if found is None:
        raise ModelError(
            "neither the tokenizer nor the model names a padding token",
            where=str(root / TOKENIZER_CONFIG),
            fix="set tokenizer.pad_token and save the tokenizer again",
        )
    return int(found)


def _content(token: Any) -> str | None:
    """A special token as tokenizer_config.json has it: its text, or a mapping that holds it."""
    return token["content"] if isinstance(token, dict) else token


def _not_cut(error: Exception, rows: Sequence[Row]) -> DataError:
    return DataError(
        f"the texts cannot be cut into tokens: {error}",
        where=_not_unicode(rows),
        fix="a lone surrogate is the usual reason: decode the bytes as UTF-8",
    )


def _not_unicode(rows: Sequence[Row]) -> str | None:
    for number, row in enumerate(rows):
        for text in (row,) if isinstance(row, str) else row:
            try:
                text.encode("utf-8")
            except UnicodeError:
                return f"row {number}, counted from 0"
    return None
