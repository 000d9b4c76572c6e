"""Vocabulary trimming: a smaller tokenizer that cuts the texts of a task as the whole one does.

Kept are special and added tokens, all single characters and bytes, what the texts use, and as many
of the most general other pieces as asked for. Every text that the whole tokenizer can encode, the
trimmed one can: a word whose piece is gone is spelled by shorter ones. A piece with a character
that has no piece of its own (BERT's vocabulary has none) is always kept; only a new word with such
a character can become unknown where its other pieces are gone. `recut` counts
both.

`kept_token_ids` chooses, `trim_tokenizer` builds, `embedding_rows.trim_embeddings` does the same to
the model. The new id of a token is the place of its old one among the kept ids.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.core.errors import ModelError, UsageError
from glp_export.encoder.piece_models import PieceModel, WordPiece, piece_model, with_parts

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Text = str | Sequence[str]
"""A text, or one that is split into words already."""

_OWN_FILES = {"WordPiece": ("vocab.txt",), "BPE": ("vocab.json", "merges.txt")}
"""What stands beside `tokenizer.json` for readers that do not know it, by kind of model."""


@dataclass(frozen=True)
class Recut:
    """How a trimmed tokenizer cuts texts that it was not made from.

    Attributes:
        texts: how many there are.
        different: of them cut into other tokens than before.
        unknown: of them with an unknown token where there was none.
    """

    texts: int
    different: int
    unknown: int

    @property
    def share(self) -> float:
        """Texts that are cut differently, 0 to 1."""
        return self.different / self.texts if self.texts else 0.0


def kept_token_ids(
    tokenizer: PreTrainedTokenizerBase,
    texts: Iterable[Text],
    *,
    also: Iterable[int] = (),
    size: int | None = None,
    allow_unknown: bool = False,
) -> tuple[int, ...]:
    """Choose the tokens to keep; old ids, ascending.

    Args:
        texts: all tokens that they use are kept, so they are cut as before.
        also: more ids, such as those that the model's configuration names.
        size: add the most general of the other pieces up to this many tokens in all. What is
            needed is kept even if it is more.
        allow_unknown: drop unused pieces that no shorter ones can spell, too; words that are made
            of them become unknown. Without it a vocabulary of whole words cannot be trimmed.

    Raises:
        ModelError: a slow tokenizer, one of a kind that cannot be trimmed, or one without pieces
            that shorter ones can spell.
        UsageError: `also` names an id that there is not.
    """
    content = tokenizer_content(tokenizer)
    model = piece_model(content["model"])
    kept = _fixed_ids(tokenizer, content) | _checked(also, tokenizer) | model.indispensable()
    unspellable = set() if allow_unknown else model.unspellable()
    if not allow_unknown and not model.pieces.keys() - kept - unspellable:
        raise ModelError(
            "the vocabulary cannot be trimmed: its words cannot be spelled by shorter pieces, so "
            "one without its own token would be unknown",
            fix="use a model whose tokenizer has a piece for every single character",
        )
    kept |= unspellable
    for numbers in _encoded(content, texts):
        kept.update(numbers)
    kept = with_parts(model, kept)
    return tuple(sorted(_filled(kept, model, content, size)))


def trim_tokenizer(
    tokenizer: PreTrainedTokenizerBase, kept_ids: Sequence[int]
) -> PreTrainedTokenizerBase:
    """Build the tokenizer of the kept ids; `tokenizer` stays as it is.

    Args:
        kept_ids: old ids, ascending, as `kept_token_ids` chooses them.

    Raises:
        ModelError: as `kept_token_ids`; or tokens are missing that the kept ones are made of.
    """
    from tokenizers import Tokenizer

    content = tokenizer_content(tokenizer)
    model = piece_model(content["model"])
    new_ids = renumbering(kept_ids)
    missing = with_parts(model, _fixed_ids(tokenizer, content) | new_ids.keys()) - new_ids.keys()
    if missing:
        names = ", ".join(map(repr, tokenizer.convert_ids_to_tokens(sorted(missing)[:3])))
        raise ModelError(
            f"the tokenizer cannot be trimmed to these tokens: {len(missing)} are missing that it "
            f"needs, {names} among them",
            fix="keep what kept_token_ids chooses",
        )
    backend = Tokenizer.from_str(json.dumps(_cut(content, model, new_ids)))
    before = tokenizer.backend_tokenizer.get_vocab(with_added_tokens=True)
    wanted = {token: new_ids[number] for token, number in before.items() if number in new_ids}
    if backend.get_vocab(with_added_tokens=True) != wanted:
        raise ModelError(
            "the tokenizer cannot be trimmed: its added tokens do not follow its pieces",
            fix="save it anew with transformers, which gives every token its place",
        )
    trimmed = copy.deepcopy(tokenizer)
    trimmed._tokenizer = backend
    _forget_sentencepiece(trimmed)
    return trimmed


def write_vocabulary_files(tokenizer: PreTrainedTokenizerBase, directory: Path) -> None:
    """Bring the files beside a trimmed `tokenizer.json` in line with it.

    vocab.txt, or vocab.json and merges.txt, are written where the whole tokenizer had them or the
    directory has them. A SentencePiece file would bring the whole vocabulary back and goes.

    Args:
        tokenizer: saved in `directory` by `save_pretrained`.
    """
    kind = tokenizer_content(tokenizer)["model"]["type"]
    places = (directory, Path(tokenizer.name_or_path))
    if any((place / name).is_file() for place in places for name in _OWN_FILES.get(kind, ())):
        tokenizer.backend_tokenizer.model.save(str(directory))
    for name in tokenizer.vocab_files_names.values():
        if name.endswith(".model"):
            (directory / name).unlink(missing_ok=True)


def recut(
    before: PreTrainedTokenizerBase,
    after: PreTrainedTokenizerBase,
    kept_ids: Sequence[int],
    texts: Iterable[Text],
) -> Recut:
    """Measure how often texts are cut differently by the trimmed tokenizer.

    Args:
        before: the whole tokenizer.
        after: what `trim_tokenizer` made of it.
    """
    texts = list(texts)
    old, new = (_encoded(tokenizer_content(one), texts) for one in (before, after))
    return recut_rows(before, after, kept_ids, zip(old, new, strict=True))


def recut_rows(
    before: PreTrainedTokenizerBase,
    after: PreTrainedTokenizerBase,
    kept_ids: Sequence[int],
    pairs: Iterable[tuple[Sequence[int], Sequence[int]]],
) -> Recut:
    """The same for texts that both tokenizers have cut.

    Args:
        before: the whole tokenizer.
        after: what `trim_tokenizer` made of it.
        pairs: of each text the ids by the whole tokenizer and by the trimmed one.
    """
    new_ids = renumbering(kept_ids)
    old_unknown, new_unknown = (
        piece_model(tokenizer_content(one)["model"]).unknown for one in (before, after)
    )
    texts = different = unknown = 0
    for old, new in pairs:
        texts += 1
        different += [new_ids.get(number) for number in old] != list(new)
        unknown += new_unknown in new and old_unknown not in old
    return Recut(texts, different, unknown)


def renumbering(kept_ids: Sequence[int]) -> dict[int, int]:
    """The new id of each kept one: its place.

    Raises:
        UsageError: ids that do not ascend.
    """
    if any(one >= other for one, other in pairwise(kept_ids)):
        raise UsageError("the ids to keep must ascend, none twice", fix="sort them")
    return {old: new for new, old in enumerate(kept_ids)}


def tokenizer_content(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """The `tokenizer.json` of a fast tokenizer.

    Raises:
        ModelError: it is a slow one, or has parts in Python.
    """
    from tokenizers import Tokenizer

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        raise ModelError(
            f"the vocabulary cannot be trimmed: {type(tokenizer).__name__} is a slow tokenizer "
            "without a tokenizer.json",
            where=tokenizer.name_or_path or None,
            fix="use a model with a fast tokenizer",
        )
    try:
        return json.loads(backend.to_str())
    except Exception as error:
        raise ModelError(
            f"the vocabulary cannot be trimmed: the tokenizer cannot be written as JSON: {error}",
            where=tokenizer.name_or_path or None,
            fix="use a tokenizer without parts of its own in Python",
        ) from error


def _fixed_ids(tokenizer: PreTrainedTokenizerBase, content: Mapping[str, Any]) -> set[int]:
    """Ids that other parts of the tokenizer name."""
    fixed = {token["id"] for token in content["added_tokens"]}
    fixed.update(tokenizer.all_special_ids)
    fixed.update(_ids_of_processor(content["post_processor"]))
    if content["padding"]:
        fixed.add(content["padding"]["pad_id"])
    return fixed & set(tokenizer.get_vocab().values())


def _checked(numbers: Iterable[int], tokenizer: PreTrainedTokenizerBase) -> set[int]:
    wanted = set(numbers)
    absent = wanted - set(tokenizer.get_vocab().values())
    if absent:
        raise UsageError(
            f"the tokenizer has no token {min(absent)}",
            fix=f"its ids go from 0 to {max(tokenizer.get_vocab().values())}",
        )
    return wanted


def _encoded(content: Mapping[str, Any], texts: Iterable[Text]) -> Iterator[list[int]]:
    """The ids of each text, whole."""
    from tokenizers import Tokenizer

    backend = Tokenizer.from_str(json.dumps({**content, "truncation": None, "padding": None}))
    remaining = iter(texts)
    while batch := list(islice(remaining, 1000)):
        whole = [text for text in batch if isinstance(text, str)]
        split = [list(text) for text in batch if not isinstance(text, str)]
        of_whole = iter(backend.encode_batch(whole))
        of_split = iter(backend.encode_batch(split, is_pretokenized=True))
        for text in batch:
            yield next(of_whole if isinstance(text, str) else of_split).ids


def _filled(
    kept: set[int], model: PieceModel, content: Mapping[str, Any], size: int | None
) -> set[int]:
    """The kept ids and the most general others, with their parts, up to a size."""
    if size is None or len(kept) >= size:
        return kept
    filled = set(kept)
    candidates = [number for number in model.most_general_first() if number not in kept]
    if isinstance(model, WordPiece):
        candidates = _that_texts_lead_to(candidates, model, content)
    for number in candidates:
        if len(filled) >= size:
            break
        added = with_parts(model, [number]) - filled
        if len(filled) + len(added) <= size:
            filled |= added
    return filled


def _that_texts_lead_to(
    numbers: list[int], model: PieceModel, content: Mapping[str, Any]
) -> list[int]:
    """Leave out words that their own text does not lead to, as BERT's `[unused1]`."""
    # A piece from inside a word begins with the prefix, so with another unit than its character.
    starts = {number: model.units(model.pieces[number])[0] for number in numbers}
    words = [number for number in numbers if starts[number] == model.pieces[number][0]]
    bare = {**content, "post_processor": None, "added_tokens": []}
    cut = dict(zip(words, _encoded(bare, [model.pieces[number] for number in words]), strict=True))
    return [number for number in numbers if cut.get(number, [number]) == [number]]


def _cut(
    content: Mapping[str, Any], model: PieceModel, new_ids: Mapping[int, int]
) -> dict[str, Any]:
    """The smaller `tokenizer.json`."""
    added = [{**token, "id": new_ids[token["id"]]} for token in content["added_tokens"]]
    padding = content["padding"]
    if padding:
        padding = {**padding, "pad_id": new_ids.get(padding["pad_id"], padding["pad_id"])}
    return {
        **content,
        "added_tokens": added,
        "padding": padding,
        "post_processor": _renumbered_processor(content["post_processor"], new_ids),
        "model": model.cut(new_ids),
    }


def _ids_of_processor(processor: Mapping[str, Any] | None) -> set[int]:
    processor = processor or {}
    named = {processor[name][1] for name in ("sep", "cls") if name in processor}
    for token in processor.get("special_tokens", {}).values():
        named.update(token["ids"])
    return named.union(*(_ids_of_processor(one) for one in processor.get("processors", ())))


def _renumbered_processor(
    processor: Mapping[str, Any] | None, new_ids: Mapping[int, int]
) -> dict[str, Any] | None:
    """What adds special tokens, with their new ids."""
    if processor is None:
        return None
    changed = dict(processor)
    for name in ("sep", "cls"):
        if name in changed:
            changed[name] = [changed[name][0], new_ids[changed[name][1]]]
    if "special_tokens" in changed:
        changed["special_tokens"] = {
            name: {**token, "ids": [new_ids[number] for number in token["ids"]]}
            for name, token in changed["special_tokens"].items()
        }
    if "processors" in changed:
        changed["processors"] = [
            _renumbered_processor(one, new_ids) for one in changed["processors"]
        ]
    return changed


def _forget_sentencepiece(tokenizer: PreTrainedTokenizerBase) -> None:
    """The file that a tokenizer was converted from has the whole vocabulary; it is not saved."""
    if str(getattr(tokenizer, "vocab_file", None) or "").endswith(".model"):
        tokenizer.vocab_file = None
    if str(tokenizer.init_kwargs.get("vocab_file") or "").endswith(".model"):
        tokenizer.init_kwargs["vocab_file"] = None
