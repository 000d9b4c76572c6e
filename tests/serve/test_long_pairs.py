"""Long pairs are shortened before the library makes every combination of what it cuts off."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from glp_export.serve.text import open_encoder
from glp_export.tasks.kinds.base import encode_text
from tests.serve.conftest import edit
from tests.tiny import WORDS, make_tokenizer


def texts(*counts: int) -> list[str]:
    dice = random.Random(1)
    return [" ".join(dice.choices((*WORDS, "unknowable"), k=count)) for count in counts]


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("limit", [16, 17])
def test_both_texts_are_cut_as_the_library_cuts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, side: str, limit: int
) -> None:
    """The longer one is given the odd token, also where neither fits by far."""
    tokenizer = make_tokenizer(limit)
    tokenizer.truncation_side = side
    tokenizer.save_pretrained(tmp_path)
    edit(tmp_path / "tokenizer_config.json", truncation_side=side)
    encoder = open_encoder(tmp_path, {"pad_token_id": 0}, max_length=limit, multiple=None)
    pairs = [(a, b) for a in texts(5, 60, 90) for b in texts(61, 60, 7, 90)]
    whole = tokenizer(*map(list, zip(*pairs, strict=True)), truncation=True)
    looked_at: list[Any] = []
    monkeypatch.setattr(
        type(encoder), "_all_tokens", _counted(type(encoder)._all_tokens, looked_at)
    )
    served = encoder.encode(pairs)
    assert looked_at
    assert [one.ids for one in served] == whole["input_ids"]
    assert [one.type_ids for one in served] == whole["token_type_ids"]
    assert max(len(one.overflowing) for one in served) < 40
    batch = dict(zip(("text", "text_pair"), map(list, zip(*pairs, strict=True)), strict=True))
    assert encode_text(batch, tokenizer, limit)["input_ids"] == whole["input_ids"]


def _counted(call: Any, seen: list[Any]) -> Any:
    def counting(self: Any, text: str) -> Any:
        seen.append(text)
        return call(self, text)

    return counting
