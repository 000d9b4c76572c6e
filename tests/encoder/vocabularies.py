"""Small tokenizers of every kind that can be trimmed, trained in memory on made-up words."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

SYLLABLES = ("ka", "lo", "mi", "ré", "tun", "sta", "ber", "x", "qui", "ßo", "日", "本")
FIRST_MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
LATER_MARKS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")


def texts(count: int, seed: int, words: int = 400) -> list[str]:
    """Sentences of made-up words, the first of them most often."""
    generator = random.Random(words)
    known = ["".join(generator.choices(SYLLABLES, k=generator.randint(1, 4))) for _ in range(words)]
    generator = random.Random(seed)
    weights = [1 / (place + 1) for place in range(words)]
    made = (generator.choices(known, weights, k=generator.randint(2, 9)) for _ in range(count))
    return [" ".join(words) + generator.choice((".", "?", "")) for words in made]


def noise(count: int, seed: int) -> list[str]:
    """Words that no tokenizer was trained on, of the characters that it was."""
    generator = random.Random(seed)
    letters = [*sorted({letter for syllable in SYLLABLES for letter in syllable}), " ", "."]
    return ["".join(generator.choices(letters, k=generator.randint(1, 25))) for _ in range(count)]


def wordpiece() -> Any:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=True, handle_chinese_chars=False, strip_accents=False
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(
        vocab_size=300, special_tokens=list(FIRST_MARKS), show_progress=False
    )
    _train(tokenizer, trainer)
    vocab = tokenizer.get_vocab()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(mark, vocab[mark]) for mark in ("[CLS]", "[SEP]")],
    )
    tokenizer.decoder = decoders.WordPiece()
    return _general(tokenizer, *FIRST_MARKS)


def byte_level() -> Any:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=list(LATER_MARKS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    _train(tokenizer, trainer)
    vocab = tokenizer.get_vocab()
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", vocab["</s>"]), ("<s>", vocab["<s>"]), add_prefix_space=False
    )
    tokenizer.decoder = decoders.ByteLevel()
    return _general(tokenizer, "<pad>", "<unk>", "<s>", "</s>", "<mask>")


def suffixed() -> Any:
    """BPE over characters, those at the end of a word with a suffix; marks at the end."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<unk>"],
        end_of_word_suffix="</w>",
        show_progress=False,
    )
    _train(tokenizer, trainer)
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<mask>"])
    vocab = tokenizer.get_vocab()
    tokenizer.post_processor = processors.Sequence(
        [processors.BertProcessing(("</s>", vocab["</s>"]), ("<s>", vocab["<s>"]))]
    )
    return _general(tokenizer, "<pad>", "<unk>", "<s>", "</s>", "<mask>")


def byte_fallback() -> Any:
    """BPE over characters whose unknown ones are spelled by bytes, all words known whole."""
    fallen = [f"<0x{byte:02X}>" for byte in range(256)]
    base = Tokenizer(models.BPE())
    base.pre_tokenizer = pre_tokenizers.Metaspace()
    _train(base, trainers.BpeTrainer(vocab_size=250, show_progress=False))
    pieces = sorted(base.get_vocab().items(), key=lambda item: item[1])
    vocab = {piece: place for place, piece in enumerate([*LATER_MARKS, *fallen])}
    vocab.update({piece: len(vocab) + place for place, (piece, _) in enumerate(pieces)})
    merges = [tuple(pair) for pair in _content(base)["merges"]]
    tokenizer = Tokenizer(
        models.BPE(
            vocab, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True, ignore_merges=True
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", vocab["<s>"]), ("</s>", vocab["</s>"])]
    )
    return _general(tokenizer, "<pad>", "<unk>", "<s>", "</s>", "<mask>")


def unigram() -> Any:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=250,
        special_tokens=list(LATER_MARKS),
        unk_token="<unk>",
        show_progress=False,
    )
    _train(tokenizer, trainer)
    vocab = tokenizer.get_vocab()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[(mark, vocab[mark]) for mark in ("<s>", "</s>")],
    )
    tokenizer.decoder = decoders.Metaspace()
    return _general(tokenizer, "<pad>", "<unk>", "<s>", "</s>", "<mask>")


KINDS: dict[str, Callable[[], Any]] = {
    "wordpiece": wordpiece,
    "byte-level": byte_level,
    "suffixed": suffixed,
    "byte-fallback": byte_fallback,
    "unigram": unigram,
}


def _train(tokenizer: Tokenizer, trainer: Any) -> None:
    tokenizer.train_from_iterator(texts(400, seed=0), trainer)


def _content(tokenizer: Tokenizer) -> dict[str, Any]:
    import json

    return json.loads(tokenizer.to_str())["model"]


def _general(tokenizer: Tokenizer, pad: str, unk: str, cls: str, sep: str, mask: str) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=64,
        pad_token=pad,
        unk_token=unk,
        cls_token=cls,
        sep_token=sep,
        mask_token=mask,
        model_input_names=["input_ids", "attention_mask"],
    )
