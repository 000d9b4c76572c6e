"""What each kind of subword model needs of its vocabulary: WordPiece, BPE and Unigram.

All three are read from the `model` part of a `tokenizer.json`. The rules say which pieces can go
without a text becoming unknown, and write the model that is left.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from itertools import pairwise
from typing import Any

from glp_export.core.errors import ModelError

_BYTE = re.compile(r"<0x[0-9A-F]{2}>")


class PieceModel:
    """The vocabulary of one subword model.

    Args:
        content: the `model` part of a `tokenizer.json`.
    """

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.content = content
        self.ids = self._read()
        self.pieces = {number: piece for piece, number in self.ids.items()}

    def _read(self) -> dict[str, int]:
        return dict(self.content["vocab"])

    @property
    def unknown(self) -> int | None:
        """The id of what stands for text that no piece fits; None if there is none."""
        return self.ids.get(self.content.get("unk_token") or "")

    def units(self, piece: str) -> list[str]:
        """The single-character pieces that spell a piece, in the form of their place in it."""
        return list(piece)

    @cached_property
    def falls_back_on_bytes(self) -> bool:
        """Whether a character without a piece is spelled by the pieces of its bytes."""
        return bool(self.content.get("byte_fallback")) and all(
            f"<0x{byte:02X}>" in self.ids for byte in range(256)
        )

    def indispensable(self) -> set[int]:
        """Ids without which some texts would become unknown, or be cut by other rules."""
        kept = {number for piece, number in self.ids.items() if len(self.units(piece)) == 1}
        if self.content.get("byte_fallback"):
            kept.update(number for piece, number in self.ids.items() if _BYTE.fullmatch(piece))
        if self.unknown is not None:
            kept.add(self.unknown)
        return kept

    def unspellable(self) -> set[int]:
        """Ids of pieces with a character that no single piece stands for."""
        if self.falls_back_on_bytes:
            return set()
        return {
            number
            for piece, number in self.ids.items()
            if not all(unit in self.ids for unit in self.units(piece))
        }

    def parts(self, number: int) -> set[int]:
        """Ids that have to be there for this one to be made."""
        return set()

    def most_general_first(self) -> list[int]:
        """Ids in the order in which they are worth keeping when no text tells."""
        return sorted(self.pieces)

    def cut(self, new_ids: Mapping[int, int]) -> dict[str, Any]:
        """The `model` part of the smaller `tokenizer.json`."""
        vocabulary = {
            piece: new_ids[number]
            for piece, number in sorted(self.ids.items(), key=lambda item: item[1])
            if number in new_ids
        }
        return {**self.content, "vocab": vocabulary}


class WordPiece(PieceModel):
    """Greedy longest match; pieces inside a word carry a prefix. Ids follow the frequency."""

    def units(self, piece: str) -> list[str]:
        """Characters; all carry the prefix but a word's first."""
        prefix = self.content.get("continuing_subword_prefix") or ""
        inside = bool(prefix) and piece.startswith(prefix) and len(piece) > len(prefix)
        characters = piece[len(prefix) :] if inside else piece
        return [
            f"{prefix}{character}" if inside or place else character
            for place, character in enumerate(characters)
        ]


class Bpe(PieceModel):
    """Merges in the order of their rank; over characters or over bytes."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        super().__init__(content)
        self._merges = [
            (left, right, left + right[len(self._prefix) :]) for left, right in content["merges"]
        ]
        self._ranks = {(left, right): rank for rank, (left, right, _) in enumerate(self._merges)}

    @property
    def _prefix(self) -> str:
        return self.content.get("continuing_subword_prefix") or ""

    def units(self, piece: str) -> list[str]:
        """Characters; prefix and suffix of the model stay with the characters they are on."""
        prefix, suffix = self._prefix, self.content.get("end_of_word_suffix") or ""
        inside = bool(prefix) and piece.startswith(prefix) and len(piece) > len(prefix)
        characters = piece[len(prefix) :] if inside else piece
        ends = bool(suffix) and characters.endswith(suffix) and len(characters) > len(suffix)
        characters = characters[: -len(suffix)] if ends else characters
        units = [
            f"{prefix}{character}" if inside or place else character
            for place, character in enumerate(characters)
        ]
        return [*units[:-1], f"{units[-1]}{suffix}"] if ends else units

    def parts(self, number: int) -> set[int]:
        """What the merges make on the way to a piece.

        Inside a text they make the same: no merge crosses the border of a piece that is in the
        result, and those within it see nothing else. A piece that its own text does not lead to
        has no parts; merges never make it.
        """
        piece = self.pieces[number]
        symbols, made = self.units(piece), []
        if not all(symbol in self.ids for symbol in symbols):
            return set()
        while len(symbols) > 1:
            ranks = [self._ranks.get(pair) for pair in pairwise(symbols)]
            known = [(rank, place) for place, rank in enumerate(ranks) if rank is not None]
            if not known:
                return set()
            rank, place = min(known)
            symbols[place : place + 2] = [self._merges[rank][2]]
            made.append(symbols[place])
        return {self.ids[symbol] for symbol in made if symbol in self.ids}

    def most_general_first(self) -> list[int]:
        """The results of merges, first merge first."""
        results = dict.fromkeys(result for _, _, result in self._merges)
        made = (self.ids[result] for result in results if result in self.ids)
        return [number for number in made if number in self.parts(number)]

    def cut(self, new_ids: Mapping[int, int]) -> dict[str, Any]:
        """Vocabulary, and the merges whose parts and result are all kept, in their order."""
        merges = [
            [left, right]
            for left, right, result in self._merges
            if all(self.ids.get(piece) in new_ids for piece in (left, right, result))
        ]
        return {**super().cut(new_ids), "merges": merges}


class Unigram(PieceModel):
    """The best sum of scores; an id is a place in the list of pieces."""

    def _read(self) -> dict[str, int]:
        return {piece: number for number, (piece, _) in enumerate(self.content["vocab"])}

    @property
    def unknown(self) -> int | None:
        """The place that the model names."""
        return self.content.get("unk_id")

    def indispensable(self) -> set[int]:
        """And the piece of the lowest score, by which the model rates what it does not know."""
        scores = [score for _, score in self.content["vocab"]]
        lowest = min(self.pieces, key=scores.__getitem__)
        return super().indispensable() | {lowest}

    def most_general_first(self) -> list[int]:
        """Highest score first."""
        scores = [score for _, score in self.content["vocab"]]
        return sorted(self.pieces, key=lambda number: -scores[number])

    def cut(self, new_ids: Mapping[int, int]) -> dict[str, Any]:
        """Pieces with their scores, and the new place of the unknown one."""
        kept = [entry for number, entry in enumerate(self.content["vocab"]) if number in new_ids]
        unknown = None if self.unknown is None else new_ids[self.unknown]
        return {**self.content, "vocab": kept, "unk_id": unknown}


_KINDS: dict[str, type[PieceModel]] = {"WordPiece": WordPiece, "BPE": Bpe, "Unigram": Unigram}


def piece_model(content: Mapping[str, Any]) -> PieceModel:
    """The rules of the `model` part of a `tokenizer.json`.

    Raises:
        ModelError: a kind whose vocabulary cannot be trimmed.
    """
    kind = content.get("type")
    if kind == "WordLevel":
        raise ModelError(
            "a word-level vocabulary cannot be trimmed: a word without its own token is unknown",
            fix="use a model with a WordPiece, BPE or Unigram tokenizer",
        )
    if kind not in _KINDS:
        raise ModelError(
            f"a tokenizer of the kind {kind} cannot be trimmed",
            fix=f"use a model with one of {', '.join(_KINDS)}",
        )
    return _KINDS[kind](content)


def with_parts(model: PieceModel, numbers: Iterable[int]) -> set[int]:
    """Ids together with all that they are made of; ids of no piece stay as they are."""
    numbers = set(numbers)
    return numbers.union(*(model.parts(number) for number in numbers if number in model.pieces))
