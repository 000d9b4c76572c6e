"""Tiny artifacts with the tokenizers of BERT and of RoBERTa, exported once a session."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glp_export.artifact import ArtifactLayout, export_onnx
from glp_export.artifact.serving import serving_settings
from tests.exported import SPREAD
from tests.tiny import WORDS, make_checkpoint

MAX_LENGTH = 16
LABELS = ("bad", "good", "odd")
TEXTS = [
    "the cat is good",
    "",
    "   ",
    "The  Cat\tis\nnot GOOD!",
    "🙂🙃 the dog is 👩‍👩‍👧 lovely",
    "naïve café – ﬁne, 很好 and ﷺ",
    "[SEP] the [MASK] is </s> <mask> bad [PAD] <pad>",
    "the bird and the fish and the cat and the dog is not very very very good and dull and poor",
    "a\x00b\u200bc\ufeff",
    "unheardofword " * 40,
    "fish",
]
PARTNERS = [*TEXTS[3:], *TEXTS[:3]]


def bert_tokenizer(directory: Path) -> Any:
    """A BERT tokenizer of the words of the tests and of single letters."""
    from transformers import BertTokenizerFast

    letters = [chr(code) for code in range(33, 127)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters]
    pieces += [f"##{letter}" for letter in letters if letter.isalpha()]
    vocabulary = directory / "vocab.txt"
    vocabulary.write_text("\n".join(dict.fromkeys(pieces)) + "\n")
    return BertTokenizerFast(str(vocabulary), model_max_length=64)


def roberta_tokenizer(directory: Path) -> Any:
    """A RoBERTa tokenizer: byte-level pairs learned from the texts of the tests."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import RobertaTokenizerFast

    learned = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    learned.train_from_iterator([*TEXTS, " ".join(WORDS)], vocab_size=400, special_tokens=special)
    learned.save_model(str(directory))
    files = (str(directory / "vocab.json"), str(directory / "merges.txt"))
    return RobertaTokenizerFast(*files, model_max_length=64)


TOKENIZERS: dict[str, Callable[[Path], Any]] = {
    "bert": bert_tokenizer,
    "roberta": roberta_tokenizer,
}


def make_artifact(root: Path, family: str, num_labels: int = 3, **extra: Any) -> Path:
    """Checkpoint, tokenizer, ONNX file, settings and checksums, as a run leaves them."""
    root.mkdir(parents=True)
    tokenizer = TOKENIZERS[family](root)
    names = dict(enumerate(LABELS)) if num_labels == 3 else None
    labels = {"id2label": names, "label2id": {v: k for k, v in names.items()}} if names else {}
    make_checkpoint(
        root,
        family,
        layers=2,
        num_labels=num_labels,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        **{**SPREAD, **labels, **extra},
    )
    tokenizer.save_pretrained(root)
    layout = ArtifactLayout(root)
    export_onnx(root, layout.onnx_model, export_task="text-classification", threads=1)
    settle(layout)
    return root


def settle(layout: ArtifactLayout, **changes: Any) -> Path:
    """Write the settings and the checksums anew."""
    labels = layout.config.is_file() and len(json.loads(layout.config.read_text())["id2label"]) > 1
    given = {
        "kind": "text-classification" if labels else "regression",
        "labels": LABELS if labels else (),
        "provider": "CPUExecutionProvider",
        "threads": 1,
        "max_length": MAX_LENGTH,
    }
    serving_settings(layout, **{**given, **changes}).save(layout)
    layout.write_checksums()
    return layout.root


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """The artifact of a family, made once; not to be changed."""

    @cache
    def make(family: str, num_labels: int = 3, **extra: Any) -> Path:
        return make_artifact(tmp_path_factory.mktemp(family) / "out", family, num_labels, **extra)

    return make


@pytest.fixture
def copy(artifact: Callable[..., Path], tmp_path: Path) -> Path:
    """A copy of BERT's artifact, to be changed."""
    return shutil.copytree(artifact("bert"), tmp_path / "copy")


def edit(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def pytorch_logits(root: Path, texts: Any, pairs: Any = None) -> np.ndarray[Any, Any]:
    """What transformers and PyTorch say."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(root)
    model = AutoModelForSequenceClassification.from_pretrained(root).eval()
    batch = tokenizer(
        texts, pairs, truncation=True, max_length=MAX_LENGTH, padding=True, return_tensors="pt"
    )
    with torch.inference_mode():
        logits: np.ndarray[Any, Any] = model(**batch).logits.numpy()
    return logits
