from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

from glp_export.bench.contenders import longest_input
from glp_export.encoder import ModelSource, load_tokenizer, write_loader_files
from tests.consumers.text_embeddings_inference import read_settings
from tests.tiny import make_checkpoint, make_tokenizer

TOKENIZER, CONFIG = "tokenizer_config.json", "config.json"
FAMILIES = (
    *("bert", "roberta", "xlm-roberta", "camembert", "electra", "distilbert", "mpnet"),
    *("deberta", "deberta-v2", "modernbert"),
)


def content(root: Path, name: str) -> dict[str, Any]:
    return json.loads((root / name).read_text())


def edit(root: Path, name: str, *gone: str, **changes: Any) -> None:
    kept = {key: value for key, value in content(root, name).items() if key not in gone}
    (root / name).write_text(json.dumps({**kept, **changes}))


def complete(root: Path) -> Path:
    tokenizer = load_tokenizer(ModelSource(str(root), offline=True))
    write_loader_files(root, tokenizer, longest=longest_input(root))
    return root


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "model", num_labels=2)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_starts_in_text_embeddings_inference(family, tmp_path):
    root = complete(make_checkpoint(tmp_path / family, family, num_labels=2))
    settings = read_settings(root)
    assert settings.kind == "classifier"
    assert settings.longest <= longest_input(root)  # it tries such an input when it starts


@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_sees_the_same_model(family, tmp_path):
    root = make_checkpoint(tmp_path / family, family, num_labels=2)

    def logits() -> torch.Tensor:
        model = AutoModelForSequenceClassification.from_pretrained(root).eval()
        inputs = AutoTokenizer.from_pretrained(root)(["the cat is good"], return_tensors="pt")
        known = {"input_ids", "attention_mask"}
        with torch.inference_mode():
            return model(**{key: value for key, value in inputs.items() if key in known}).logits

    before = logits()
    complete(root)
    assert torch.equal(logits(), before)


def test_a_limit_that_the_model_keeps_takes_the_place_of_none(checkpoint):
    edit(checkpoint, TOKENIZER, "model_max_length")
    assert content(complete(checkpoint), TOKENIZER)["model_max_length"] == 80


def test_a_limit_past_the_position_table_is_lowered_and_a_lower_one_stays(checkpoint):
    edit(checkpoint, TOKENIZER, model_max_length=512)
    assert content(complete(checkpoint), TOKENIZER)["model_max_length"] == 80
    edit(checkpoint, TOKENIZER, model_max_length=48)
    assert content(complete(checkpoint), TOKENIZER)["model_max_length"] == 48


def test_labels_stand_in_the_configuration_whatever_they_are_called(checkpoint):
    edit(checkpoint, CONFIG, "id2label", "label2id")
    config = content(complete(checkpoint), CONFIG)
    assert config["id2label"] == {"0": "LABEL_0", "1": "LABEL_1"}
    assert config["label2id"] == {"LABEL_0": 0, "LABEL_1": 1}


def test_special_tokens_are_where_each_loader_looks(checkpoint):
    (checkpoint / "special_tokens_map.json").unlink(missing_ok=True)
    edit(checkpoint, CONFIG, pad_token_id=None)
    complete(checkpoint)
    written = content(checkpoint, "special_tokens_map.json")["pad_token"]
    assert written == "[PAD]" or written["content"] == "[PAD]"  # fastembed reads both
    assert content(checkpoint, CONFIG)["pad_token_id"] == 0


def test_an_old_checkpoint_names_its_special_tokens_in_one_file_only(checkpoint):
    (checkpoint / TOKENIZER).write_text('{"do_lower_case": true, "model_max_length": 48}')
    assert content(complete(checkpoint), TOKENIZER)["pad_token"] == "[PAD]"


def test_names_of_transformers_5_are_written_as_4_knows_them(checkpoint):
    settings = content(checkpoint, TOKENIZER)
    newer = {"tokenizer_class": "TokenizersBackend", "extra_special_tokens": ["[CLS]"]}
    (checkpoint / TOKENIZER).write_text(json.dumps({**settings, **newer}))
    written = content(complete(checkpoint), TOKENIZER)
    assert written["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert written["additional_special_tokens"] == ["[CLS]"]
    assert AutoTokenizer.from_pretrained(checkpoint).pad_token == "[PAD]"


def test_how_the_tokenizer_was_last_called_does_not_cut_other_peoples_texts(checkpoint):
    from tokenizers import Tokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    tokenizer("the cat", truncation=True, max_length=4, padding="max_length")
    tokenizer.save_pretrained(checkpoint)
    path = str(checkpoint / "tokenizer.json")
    words = " ".join(["the cat"] * 8)
    assert len(Tokenizer.from_file(path).encode(words)) == 4
    complete(checkpoint)
    assert len(Tokenizer.from_file(path).encode(words)) == 18


def test_a_fast_tokenizer_is_written_where_only_a_vocabulary_is(tmp_path):
    from transformers import BertTokenizer

    root = make_checkpoint(tmp_path / "model", num_labels=2)
    for name in ("tokenizer.json", TOKENIZER, "special_tokens_map.json"):
        (root / name).unlink(missing_ok=True)
    (root / "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat"])
    )
    assert BertTokenizer.from_pretrained(root).pad_token_id == 0
    complete(root)
    assert (root / "tokenizer.json").is_file()
    assert content(root, TOKENIZER)["pad_token"] == "[PAD]"


def test_a_key_that_a_configuration_does_not_take_is_not_written(tmp_path):
    sizes = {"d_model": 32, "n_head": 4, "d_head": 8, "d_inner": 64, "block_sizes": [1, 1]}
    config = AutoConfig.for_model("funnel", vocab_size=23, **sizes)
    config.save_pretrained(tmp_path)
    write_loader_files(tmp_path, make_tokenizer(), longest=64)
    assert AutoConfig.from_pretrained(tmp_path).num_hidden_layers == 2
    assert content(tmp_path, CONFIG)["hidden_size"] == 32
