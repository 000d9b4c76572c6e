from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glp_export.core.errors import DataError, ModelError
from glp_export.serve.rows import as_rows
from glp_export.serve.text import TextEncoder, open_encoder
from tests.serve.conftest import MAX_LENGTH, PARTNERS, TEXTS, TOKENIZERS, edit


@pytest.fixture(params=TOKENIZERS)
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A directory with a saved tokenizer."""
    TOKENIZERS[request.param](tmp_path).save_pretrained(tmp_path)
    return tmp_path


def opened(root: Path, max_length: int | None = MAX_LENGTH, **config: Any) -> TextEncoder:
    return open_encoder(root, config, max_length=max_length, multiple=None)


def require_same(root: Path, texts: Any, pairs: Any = None, max_length: int = MAX_LENGTH) -> None:
    """Compare every array with that of transformers, token by token."""
    from transformers import AutoTokenizer

    expected = AutoTokenizer.from_pretrained(root)(
        texts, pairs, truncation=True, max_length=max_length, padding=True, return_tensors="np"
    )
    encoder = opened(root, max_length)
    batch = encoder.pad(encoder.encode(as_rows(texts, pairs)))
    for name, values in expected.items():
        np.testing.assert_array_equal(batch[name], values, err_msg=name)


@pytest.mark.parametrize("max_length", [5, MAX_LENGTH, 64])
def test_tokens_are_those_of_transformers(saved: Path, max_length: int) -> None:
    require_same(saved, TEXTS, max_length=max_length)
    require_same(saved, TEXTS, PARTNERS, max_length=max_length)


def test_one_row_at_a_time_too(saved: Path) -> None:
    for text, partner in zip(TEXTS, PARTNERS, strict=True):
        require_same(saved, [text])
        require_same(saved, [text], [partner])


@pytest.mark.parametrize(
    "changes",
    [{"padding_side": "left"}, {"truncation_side": "left"}, {"split_special_tokens": True}],
)
def test_the_tokenizers_own_settings_hold(saved: Path, changes: dict[str, Any]) -> None:
    edit(saved / "tokenizer_config.json", **changes)
    require_same(saved, TEXTS)
    require_same(saved, TEXTS, PARTNERS)


def test_a_tokenizer_that_was_saved_with_truncation_and_padding_forgets_them(saved: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(saved)
    tokenizer(TEXTS, truncation=True, max_length=4, padding="max_length")
    tokenizer.save_pretrained(saved)
    assert json.loads((saved / "tokenizer.json").read_text())["truncation"] is not None
    require_same(saved, TEXTS)


def test_a_tokenizer_without_segments_makes_zeros_of_them(saved: Path) -> None:
    edit(saved / "tokenizer_config.json", model_input_names=["input_ids", "attention_mask"])
    encoder = opened(saved)
    batch = encoder.pad(encoder.encode(as_rows(TEXTS, PARTNERS)))
    assert not batch["token_type_ids"].any()


def test_the_shortest_limit_holds(saved: Path) -> None:
    long = ["very " * 200]
    assert opened(saved, 200).pad(opened(saved, 200).encode(long))["input_ids"].shape == (1, 64)
    edit(saved / "tokenizer_config.json", model_max_length=int(1e30))
    (row,) = opened(saved, None, max_position_embeddings=80, pad_token_id=1).encode(long)
    assert len(row) == 78  # RoBERTa's positions start after that of padding
    (row,) = opened(saved, 80, max_position_embeddings=80).encode(long)
    assert len(row) == 80  # as in training
    (row,) = opened(saved, None, max_position_embeddings=-1).encode(long)
    assert len(row) > 200  # XLNet has no table of positions, and says -1


def test_lengths_are_padded_to_a_multiple_and_not_past_the_limit(saved: Path) -> None:
    encoder = open_encoder(saved, {}, max_length=MAX_LENGTH, multiple=12)
    short, long = encoder.encode(["the cat", "very " * 200])
    assert encoder.pad([short])["input_ids"].shape == (1, 12)
    assert encoder.pad([short, long])["input_ids"].shape == (2, MAX_LENGTH)


def test_the_models_padding_token_serves_where_the_tokenizer_has_none(saved: Path) -> None:
    content = json.loads((saved / "tokenizer_config.json").read_text())
    del content["pad_token"]
    (saved / "tokenizer_config.json").write_text(json.dumps(content))
    assert opened(saved, pad_token_id=1).padding.token_id == 1
    with pytest.raises(ModelError, match="padding token"):
        opened(saved)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("{")])
def test_a_tokenizer_that_cannot_be_read(
    saved: Path, name: str, spoil: Callable[[Path], Any]
) -> None:
    spoil(saved / name)
    with pytest.raises(ModelError, match="the tokenizer cannot be read"):
        opened(saved)


def test_texts_and_pairs_in_every_form() -> None:
    assert as_rows("one", None) == ["one"]
    assert as_rows(("one", "two"), None) == ["one", "two"]
    assert as_rows("one", "two") == [("one", "two")]
    assert as_rows(["a", "b"], ["c", "d"]) == [("a", "c"), ("b", "d")]
    assert as_rows([("a", "c"), ["b", "d"]], None) == [("a", "c"), ("b", "d")]
    assert as_rows((text for text in ("a", "b")), None) == ["a", "b"]
    assert as_rows([], None) == as_rows([], []) == []


@pytest.mark.parametrize(
    ("texts", "pairs", "words"),
    [
        (["a", None], None, "row 1"),
        ([("a", "b", "c")], None, "row 0"),
        (b"bytes", None, "row 0"),
        (["a"], [3], "row 0"),
        (["a", "b"], ["c"], "2 texts have 1 partners"),
    ],
)
def test_what_is_no_text_is_named(texts: Any, pairs: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        as_rows(texts, pairs)


@pytest.mark.parametrize("texts", [["\ud800"], ["fine", "\ud800"]])
def test_what_is_no_unicode_is_named(saved: Path, texts: list[str]) -> None:
    with pytest.raises(DataError, match=f"row {len(texts) - 1}"):
        opened(saved).encode(texts)


def test_words_of_a_text_have_the_tokens_that_the_text_has(saved: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer, encoder = AutoTokenizer.from_pretrained(saved), opened(saved, max_length=64)
    text = "  the cat,  isn't\tgood \n日本 a"
    (found,) = encoder.encode_words([text])
    wanted = tokenizer(text, return_offsets_mapping=True)
    assert found.encoding.ids == wanted["input_ids"]
    pieces = [text[slice(*span)].strip() for span in wanted["offset_mapping"]]
    words = text.split()
    for word, piece in zip(found.word_ids, pieces, strict=True):
        assert piece == "" if word is None else piece in words[word]
    assert {word for word in found.word_ids if word is not None} == set(range(len(words)))
    (alone,) = encoder.encode_words([words])
    if "vocab.json" in {path.name for path in saved.iterdir()}:
        # transformers refuses words alone of this tokenizer: they are taken as a text.
        assert alone.encoding.ids == tokenizer(" ".join(words))["input_ids"]
    else:
        listed = tokenizer(words, is_split_into_words=True)
        assert (alone.encoding.ids, alone.word_ids) == (listed["input_ids"], listed.word_ids())
