"""Tiny real encoders and data sets, built in a second and thrown away: no download, no mock."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

FAMILIES: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {},
    "xlm-roberta": {},
    "camembert": {},
    "electra": {"embedding_size": 32},
    "distilbert": {"dim": 32, "n_layers": 4, "n_heads": 4, "hidden_dim": 64},
    "mpnet": {},
    "deberta": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "modernbert": {
        "global_attn_every_n_layers": 2,
        "local_attention": 8,
        "cls_token_id": 2,
        "sep_token_id": 3,
        "bos_token_id": 2,
        "eos_token_id": 3,
    },
    "t5": {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 4, "num_heads": 4},
    "mt5": {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 4, "num_heads": 4},
    "umt5": {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 4, "num_heads": 4},
    "albert": {"embedding_size": 32},
    "gpt2": {"n_embd": 32, "n_layer": 4, "n_head": 4},
    "own-bert": {},
}

HEADS: dict[str, str] = dict.fromkeys(("t5", "mt5", "umt5"), "AutoModelForTokenClassification")
"""The head of a family whose head for one label a text needs a decoder."""

ANIMALS = ("cat", "dog", "bird", "fish")
GOOD = ("good", "great", "fine", "lovely")
BAD = ("bad", "awful", "poor", "dull")
WORDS = ("the", "is", "not", "and", "very", "a", *ANIMALS, *GOOD, *BAD)


def rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Sentences whose label is the feeling of their adjective, turned round by "not"."""
    generator = random.Random(seed)
    made = []
    for _ in range(count):
        positive, negated = generator.random() < 0.5, generator.random() < 0.3
        subject = " and ".join(
            f"the {generator.choice(ANIMALS)}" for _ in range(generator.randint(1, 4))
        )
        text = (
            f"{subject} is {'not ' if negated else ''}{generator.choice(GOOD if positive else BAD)}"
        )
        made.append({"text": text, "label": "good" if positive != negated else "bad"})
    return made


def write_jsonl(path: Path, records: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def make_data(directory: Path, train: int = 120, validation: int = 40, seed: int = 0) -> Path:
    """A directory with train.jsonl and validation.jsonl."""
    everything = rows(train + validation, seed)
    write_jsonl(directory / "train.jsonl", everything[:train])
    write_jsonl(directory / "validation.jsonl", everything[train:])
    return directory


def make_tokenizer(max_length: int = 64) -> Any:
    """A word-level BERT tokenizer over the words above."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: index for index, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=max_length,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def auto_class_of(family: str) -> str:
    """The class of transformers that loads a family with a head on the encoder alone."""
    return HEADS.get(family, "AutoModelForSequenceClassification")


def make_config(family: str = "bert", layers: int = 4, **extra: Any) -> Any:
    """The configuration of a 32-wide encoder of a family."""
    from transformers import AutoConfig

    from tests import own_model

    own_model.register()
    common = {
        "vocab_size": 5 + len(WORDS),
        "hidden_size": 32,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": 80,
        "type_vocab_size": 2,
        "pad_token_id": 0,
    }
    own = dict(FAMILIES[family])
    for name in ("n_layers", "n_layer", "num_layers"):
        if name in own:
            own[name] = layers
            common.pop("num_hidden_layers", None)
    if "d_model" in own:
        for name in ("hidden_size", "num_attention_heads", "intermediate_size"):
            del common[name]
        del common["max_position_embeddings"], common["type_vocab_size"]
    return AutoConfig.for_model(family, **{**common, **own, **extra})


def make_checkpoint(
    directory: Path,
    family: str = "bert",
    layers: int = 4,
    num_labels: int | None = None,
    seed: int = 0,
    **extra: Any,
) -> Path:
    """A checkpoint with random weights and its tokenizer: the bare encoder, or one with a head.

    `num_labels` None leaves the head away, as in a pretrained encoder.
    """
    import torch
    import transformers

    torch.manual_seed(seed)
    if num_labels is None:
        model = transformers.AutoModel.from_config(make_config(family, layers, **extra))
    else:
        config = make_config(family, layers, num_labels=num_labels, **extra)
        model = getattr(transformers, auto_class_of(family)).from_config(config)
    model.save_pretrained(directory)
    make_tokenizer().save_pretrained(directory)
    return directory
