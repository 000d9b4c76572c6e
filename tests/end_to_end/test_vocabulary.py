"""A trimmed vocabulary from the command line: to an artifact whose tokenizer follows everywhere."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import glp_export
from glp_export.artifact import ArtifactLayout
from glp_export.bench import BenchmarkFile
from glp_export.cli.app import run
from glp_export.compress.edits import RemoveLayers, TrimVocabulary
from glp_export.compress.plan import Plan
from tests.end_to_end.conftest import SMALL, TRAINING
from tests.tiny import WORDS, make_checkpoint, make_data, make_tokenizer, rows, write_jsonl

UNUSED = [f"{letter}{letter}{letter}" for letter in string.ascii_lowercase]
SEEN_IN_TEST = "zzz"
"""A word of the whole vocabulary that no training text has; it becomes three letters."""
CHARACTERS = [*string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase)]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *UNUSED, *WORDS, *CHARACTERS]
NEEDED = len(PIECES) - len(UNUSED)
ALONE = ("--distilled", "none")


@pytest.fixture(scope="module")
def spelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder whose tokenizer spells any word by letters."""
    from tokenizers import models

    directory = tmp_path_factory.mktemp("spelled") / "model"
    make_checkpoint(directory, layers=3, vocab_size=len(PIECES), initializer_range=0.1)
    tokenizer = make_tokenizer()
    vocabulary = {piece: number for number, piece in enumerate(PIECES)}
    tokenizer.backend_tokenizer.model = models.WordPiece(vocabulary, unk_token="[UNK]")
    tokenizer.save_pretrained(directory)
    (directory / "vocab.txt").write_text("\n".join(PIECES) + "\n")
    return directory


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of which one of the test set has a word that training does not have."""
    directory = make_data(tmp_path_factory.mktemp("texts"), train=60, validation=20)
    test = rows(20, seed=3)
    test[0]["text"] += f" {SEEN_IN_TEST}"
    write_jsonl(directory / "validation.jsonl", test)
    return directory


@pytest.fixture(scope="module")
def shipped(spelled: Path, texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One layer and every token that no text uses gone."""
    output = tmp_path_factory.mktemp("vocabulary") / "artifact"
    command = ["prune-and-export", "-m", str(spelled), "--dataset", str(texts), *SMALL, *ALONE]
    own = ["--compress", "layers,vocabulary", "--depth", "2", "--vocabulary-size", str(NEEDED)]
    assert run([*command, *own, "--search", "top", "-o", str(output), "-q"]) == 0
    return output


def logits_of(directory: Path, said: list[str]) -> Any:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(directory).eval()
    batch = AutoTokenizer.from_pretrained(directory)(said, padding=True, return_tensors="pt")
    with torch.inference_mode():
        return model(**batch).logits.numpy()


def test_the_plan_has_both_edits_in_order(shipped: Path) -> None:
    plan = Plan.load(ArtifactLayout(shipped).plan)
    assert plan.compressors == ("layers", "vocabulary")
    assert [type(edit) for edit in plan.edits] == [RemoveLayers, TrimVocabulary]
    assert plan.kept_tokens is not None
    assert len(plan.kept_tokens) == NEEDED
    rows_ = BenchmarkFile.load(ArtifactLayout(shipped).benchmark).rows
    assert {row.model_shape for row in rows_ if row.contender == "pruned"} == {plan.shape}


def test_the_tokenizer_follows_everywhere(shipped: Path) -> None:
    from transformers import AutoTokenizer

    content = json.loads((shipped / "tokenizer.json").read_text())
    assert len(content["model"]["vocab"]) == NEEDED
    assert len((shipped / "vocab.txt").read_text().splitlines()) == NEEDED
    assert json.loads((shipped / "config.json").read_text())["vocab_size"] == NEEDED
    assert len(AutoTokenizer.from_pretrained(shipped)) == NEEDED
    said = ["the cat is good", "the zzz is not bad"]
    expected = logits_of(shipped, said)
    np.testing.assert_allclose(glp_export.load(shipped)(said).logits, expected, atol=1e-4)
    small = glp_export.load_torch(shipped)
    assert small.get_input_embeddings().num_embeddings == NEEDED


def test_verify_and_gate_take_it(shipped: Path) -> None:
    budget = ArtifactLayout(shipped).budget
    budget.write_text('[cpu.fp32]\nkeep = ["speedup_vs_unpruned >= 0.1 at 1x16", "size_mb <= 5"]\n')
    assert run(["gate", str(shipped), "--max-seconds", "3", "--threads", "1", "-q"]) == 0
    assert run(["verify", str(shipped), "--threads", "1", "-q"]) == 0
