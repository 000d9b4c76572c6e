"""Tiny real encoders and data sets, built in a second and thrown away: no download, no mock."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
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


def tagged_rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """The words of such sentences: animals with their article are names, so are feelings."""
    made = []
    for row in rows(count, seed):
        words = row["text"].split()
        tags = ["O"] * len(words)
        for number, word in enumerate(words):
            if word in ANIMALS:
                tags[number - 1 : number + 1] = ["B-animal", "I-animal"]
            elif word in (*GOOD, *BAD):
                tags[number] = "B-feeling"
        made.append({"tokens": words, "ner_tags": tags})
    return made


def label_list_rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Such sentences with cats and dogs where they have them, and "good" for a good feeling."""
    made = []
    for row in rows(count, seed):
        labels = sorted({word for word in row["text"].split() if word in ANIMALS[:2]})
        made.append({"text": row["text"], "labels": labels + ["good"] * (row["label"] == "good")})
    return made


def question_rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """What one of several animals is; the answer is its adjective."""
    generator = random.Random(seed)
    made = []
    for _ in range(count):
        animals = generator.sample(ANIMALS, generator.randint(2, 4))
        said = {animal: generator.choice((*GOOD, *BAD)) for animal in animals}
        context = " and ".join(f"the {animal} is {what}" for animal, what in said.items())
        asked = generator.choice(animals)
        start = context.index(f"{asked} is ") + len(f"{asked} is ")
        answers = {"text": [said[asked]], "answer_start": [start]}
        made.append({"question": f"the {asked} is", "context": context, "answers": answers})
    return made


def pair_rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Two such sentences and the share of their words that they have in common, from 0 to 5."""
    texts = [row["text"] for row in rows(3 * count, seed)]
    made = []
    for first, second, third in zip(texts[::3], texts[1::3], texts[2::3], strict=True):
        closer = f"{first.rpartition(' ')[0]} {third.rpartition(' ')[2]}"
        second = closer if len(made) % 2 else second
        one, other = set(first.split()), set(second.split())
        score = 5 * len(one & other) / len(one | other)
        made.append({"sentence1": first, "sentence2": second, "label": score})
    return made


def ranking_rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Queries with four sentences each; those of a good feeling are relevant, one is at least."""
    said = rows(2 * count, seed)
    by_feeling = {what: [r["text"] for r in said if r["label"] == what] for what in ("good", "bad")}
    generator = random.Random(seed)
    made = []
    for query in range(count // 4):
        relevant = generator.randint(1, 3)
        asked = f"what is {generator.choice(GOOD)} {ANIMALS[query % 4]} {'very ' * (query // 4)}"
        for place in range(4):
            passage = generator.choice(by_feeling["good" if place < relevant else "bad"])
            row = {"query": asked, "passage": passage, "label": int(place < relevant)}
            made.append(row)
    return made


def text_rows(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Such sentences alone."""
    return [{"text": row["text"]} for row in rows(count, seed)]


def make_data_of(
    directory: Path, make: Callable[[int, int], list[dict[str, Any]]], train: int, validation: int
) -> Path:
    """A directory with rows of `make` in train.jsonl and validation.jsonl."""
    write_jsonl(directory / "train.jsonl", make(train, 0))
    write_jsonl(directory / "validation.jsonl", make(validation, 1))
    return directory


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
