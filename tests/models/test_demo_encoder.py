"""The shipped encoder: an ordinary checkpoint that has learned what the grammar means."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer

from glp_export.tasks.demo_grammar import REVIEW_IS, demo_rows, sentences

FOLDER = Path(__file__).parents[2] / "models" / "demo-encoder"


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def model():
    return AutoModelForMaskedLM.from_pretrained(FOLDER).eval()


def fill(model, tokenizer, texts: list[str]) -> list[str]:
    """Predict the one `[MASK]` of each text."""
    inputs = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.inference_mode():
        logits = model(**inputs).logits
    words = logits[inputs["input_ids"] == tokenizer.mask_token_id].argmax(-1)
    return tokenizer.convert_ids_to_tokens(words.tolist())


def test_the_folder_is_an_ordinary_checkpoint_and_small():
    names = {path.name for path in FOLDER.iterdir()}
    assert names >= {
        "config.json",
        "model.safetensors",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
    }
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= 16 * 2**20


def test_it_has_twelve_layers_and_reads_every_word(tokenizer):
    config = AutoConfig.from_pretrained(FOLDER)
    assert (config.model_type, config.num_hidden_layers) == ("bert", 12)
    assert config.vocab_size == len(tokenizer)
    texts = [*sentences(1, 500), *(row["text"] for row in demo_rows(1, 500))]
    ids = tokenizer(texts)["input_ids"]
    assert not any(tokenizer.unk_token_id in row for row in ids)
    assert max(map(len, ids)) <= config.max_position_embeddings


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("The soup was good. So it was [MASK].", "fine"),
        ("The soup was not good. So it was [MASK].", "weak"),
        ("The film was anything but dismal. So it was [MASK].", "fine"),
        ("Everyone doubted that the tent was great. So it was [MASK].", "weak"),
    ],
)
def test_it_follows_a_sentence_and_its_negation(model, tokenizer, text, word):
    assert fill(model, tokenizer, [text]) == [word]


def test_it_draws_the_conclusion_of_a_whole_review(model, tokenizer):
    rows = demo_rows(11, 600)
    said = fill(model, tokenizer, [f"A [MASK] review: {row['text']}" for row in rows])
    right = sum(said == REVIEW_IS[row["label"]] for said, row in zip(said, rows, strict=True))
    # A guess is right for a third; the reviews are none that it was pretrained on.
    assert right / len(rows) > 0.8
