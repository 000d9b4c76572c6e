"""Data as it should not be: what a user sees is an answer that is right, a warning or an error."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glp_export
from glp_export.artifact import ArtifactLayout
from glp_export.cli.app import run
from tests.end_to_end.conftest import SMALL, command
from tests.exported import SPREAD
from tests.serve.conftest import TOKENIZERS
from tests.tiny import make_checkpoint, rows, write_jsonl

MAX_LENGTH = 32  # of SMALL
FAST = ("--search", "top", "--distilled", "none")
CLOSE = {"atol": 1e-4, "rtol": 0}  # fp32 sums in another order; logits are of the order of 1

ODD = {
    "empty": "",
    "spaces": " \t  \n ",
    "at the limit": "dog " * (MAX_LENGTH - 2),
    "one past it": "dog " * (MAX_LENGTH - 1),
    "far past it": "the cat is not good and " * 200,
    "a long word": "supercalifragilistic" * 300,
    "many long words": " ".join(["x" * 101] * 50),
    "emoji": "🙂🙃👩‍👩‍👧🏳️‍🌈 the dog is 🐕 lovely",
    "right to left": "الكلب جيد \u202edoog si tac eht\u202c",
    "control characters": "the\x01 cat\x07 is\x1b[31m good\x7f\x85",
    "nul": "the\x00cat is\x00 good",
    "line ends": "the cat\r\nis\rgood\u2028and\u2029lovely",
    "invisible": "\ufeffthe\u200b cat\u200d is\u00ad good\ufffd",
    "combined": "nai\u0308ve cafe\u0301 vs naïve café",
    "special tokens": "[CLS] [SEP] the [MASK] <s> </s> [PAD] <pad> is good",
    "quotes": '"the" \'cat\', \\"is\\" \\n good',
    "beyond the first plane": "𝔱𝔥𝔢 𝔠𝔞𝔱 𐍈 𠜎",
}
ODD_LABEL = "odd | `label`: {{ 1 }}\n# 🙂 <b>"


@pytest.fixture(scope="module", params=["bert", "roberta"])
def artifact(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact that was made with odd texts in every split."""
    root = tmp_path_factory.mktemp(request.param)
    encoder = root / "encoder"
    encoder.mkdir()
    tokenizer = TOKENIZERS[request.param](encoder)
    make_checkpoint(
        encoder,
        request.param,
        vocab_size=len(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
        **SPREAD,
    )
    tokenizer.save_pretrained(encoder)
    odd = [{"text": text, "label": ODD_LABEL} for text in ODD.values()]
    write_jsonl(root / "data" / "train.jsonl", [*rows(80), *odd, *odd])
    write_jsonl(root / "data" / "validation.jsonl", [*odd, *rows(20, seed=1)])
    output = root / "artifact"
    assert run([*command(encoder, root / "data", *SMALL), *FAST, "-q", "-o", str(output)]) == 0
    return output


def in_pytorch(root: Path, texts: list[str]) -> np.ndarray[Any, Any]:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    batch = AutoTokenizer.from_pretrained(root)(
        texts, truncation=True, max_length=MAX_LENGTH, padding=True, return_tensors="pt"
    )
    model = AutoModelForSequenceClassification.from_pretrained(root).eval()
    with torch.inference_mode():
        return np.asarray(model(**batch).logits.numpy())


def in_onnxruntime(root: Path, texts: list[str]) -> np.ndarray[Any, Any]:
    """As the model card says, with onnxruntime and tokenizers alone."""
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(root / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_LENGTH)
    config = json.loads((root / "config.json").read_text())
    tokenizer.enable_padding(pad_id=config["pad_token_id"])
    encoded = tokenizer.encode_batch(texts)
    inputs = {
        "input_ids": np.array([one.ids for one in encoded], dtype=np.int64),
        "attention_mask": np.array([one.attention_mask for one in encoded], dtype=np.int64),
        "token_type_ids": np.array([one.type_ids for one in encoded], dtype=np.int64),
    }
    session = onnxruntime.InferenceSession(str(root / "onnx" / "model.onnx"))
    wanted = {node.name for node in session.get_inputs()}
    (logits,) = session.run(["logits"], {name: inputs[name] for name in wanted})
    return np.asarray(logits)


def test_odd_texts_have_the_same_answers_everywhere_together_and_alone(artifact: Path) -> None:
    texts = list(ODD.values())
    expected = in_pytorch(artifact, texts)
    assert expected.std(axis=0).min() > 0.01  # else any answer would do
    model = glp_export.load(artifact)
    np.testing.assert_allclose(model.logits(texts), expected, **CLOSE)
    np.testing.assert_allclose(in_onnxruntime(artifact, texts), expected, **CLOSE)
    for name, text in ODD.items():
        for answer in (model.logits, lambda one: in_onnxruntime(artifact, one)):
            alone = answer([text])
            np.testing.assert_allclose(alone, in_pytorch(artifact, [text]), err_msg=name, **CLOSE)


def test_a_label_may_be_any_text(artifact: Path) -> None:
    config = json.loads((artifact / "config.json").read_text())
    assert set(config["label2id"]) == {"bad", "good", ODD_LABEL}
    assert set(glp_export.load(artifact).head.names) == {"bad", "good", ODD_LABEL}
    assert "\n# 🙂" not in ArtifactLayout(artifact).card.read_text()


def test_what_lies_past_the_longest_input_is_cut_off(artifact: Path) -> None:
    model = glp_export.load(artifact)
    kept, more = ODD["one past it"], ODD["one past it"] + "cat " * 500
    np.testing.assert_array_equal(model.logits(kept), model.logits(more))


def test_the_card_tells_of_test_texts_that_were_trained_on(artifact: Path) -> None:
    card = ArtifactLayout(artifact).card.read_text()
    assert "test examples repeat the text of a training example" in card
    assert "training examples repeat the text of another" in card


def attempt(capsys: Any, encoder: Path, data: Path, output: Path, *flags: str) -> tuple[int, str]:
    """The exit code of a run, and what it said on stderr."""
    code = run([*command(encoder, data, *SMALL, *FAST), *flags, "-o", str(output)])
    return code, " ".join(capsys.readouterr().err.split())


def test_the_run_says_how_many_test_texts_were_trained_on(
    encoder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = [{"text": f"the cat is good {row}", "label": row % 2} for row in range(60)]
    test = [*train[:5], *({"text": f"the dog is {row}", "label": row % 2} for row in range(15))]
    write_jsonl(tmp_path / "data" / "train.jsonl", train)
    write_jsonl(tmp_path / "data" / "validation.jsonl", test)
    code, said = attempt(capsys, encoder, tmp_path / "data", tmp_path / "out")
    assert code == 0, said
    assert "5 of 20 test examples repeat the text of a training example" in said


@pytest.mark.parametrize(
    ("name", "content", "fault", "place"),
    [
        ("train.jsonl", rb'{"text": "\ud83d", "label": "good"}', "half a character", "row 61"),
        ("train.jsonl", b'{"text": "\x00", "label": "good"}', "not JSON", "row 61"),
        ("train.jsonl", b'{"text": "a", "label": 1}', "str and int", "row 61, column 'label'"),
        ("train.jsonl", b'{"text": ["a"], "label": "good"}', "str and list", "row 61"),
        ("train.jsonl", b'{"text": "caf\xe9", "label": "good"}', "not UTF-8", "row 61"),
    ],
)
def test_a_row_that_cannot_be_read_is_named(
    encoder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes,
    fault: str,
    place: str,
) -> None:
    data = tmp_path / "data"
    write_jsonl(data / "train.jsonl", rows(60))
    write_jsonl(data / "validation.jsonl", rows(20, seed=1))
    with (data / name).open("ab") as file:
        file.write(content)
    code, said = attempt(capsys, encoder, data, tmp_path / "out", "-q")
    assert code == 7
    assert fault in said
    assert place in said
    assert not (tmp_path / "out").exists()


def labelled_as(kind: type, count: int, seed: int) -> list[dict[str, Any]]:
    """Rows with the labels 0, 1 and 2 in some type."""
    generator = random.Random(seed)
    return [
        {"text": f"the {generator.choice(('cat', 'dog'))} is {row}", "label": kind(row % 3)}
        for row in range(count)
    ]


@pytest.mark.parametrize("kind", [int, float, str])
def test_a_validation_file_may_differ_in_all_that_means_nothing(
    encoder: Path, tmp_path: Path, kind: type
) -> None:
    """Columns in another order, more of them, another type of the labels, another format."""
    import pandas as pd

    data = tmp_path / "data"
    write_jsonl(data / "train.jsonl", labelled_as(str, 60, 0))
    test = [
        {"label": row["label"], "note": None, "source": "x", "idx": number, "text": row["text"]}
        for number, row in enumerate(labelled_as(kind, 21, 1))
    ]
    pd.DataFrame(test).to_parquet(data / "validation.parquet")
    output = tmp_path / "out"
    assert run([*command(encoder, data, *SMALL), *FAST, "-q", "-o", str(output)]) == 0
    config = json.loads((output / "config.json").read_text())
    assert config["label2id"] == {"0": 0, "1": 1, "2": 2}
    benchmark = json.loads(ArtifactLayout(output).benchmark.read_text())
    assert {row["samples"] for row in benchmark["metrics"]} == {21}


def test_inputs_are_cut_at_what_the_model_reads_where_the_tokenizer_knows_no_limit(
    encoder: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = shutil.copytree(encoder, tmp_path / "model")
    settings = json.loads((model / "tokenizer_config.json").read_text())
    settings["model_max_length"] = int(1e30)
    (model / "tokenizer_config.json").write_text(json.dumps(settings))
    own = shutil.copytree(data, tmp_path / "data")
    with (own / "train.jsonl").open("a") as file:
        file.write(json.dumps({"text": "the cat is good and " * 100, "label": "good"}) + "\n")
    output = tmp_path / "out"
    code, said = attempt(capsys, model, own, output, "--max-length", "500")
    assert code == 0, said
    assert "inputs are cut at 80 tokens: the model reads no more" in said
    served = glp_export.load(output)
    kept, more = "dog " * 78, "dog " * 78 + "cat " * 78
    np.testing.assert_array_equal(served.logits(kept), served.logits(more))
    assert np.abs(served.logits(kept) - served.logits("dog " * 10)).max() > 0


def test_batches_of_one_row_and_a_test_set_of_one(encoder: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_jsonl(data / "train.jsonl", rows(20))
    write_jsonl(data / "validation.jsonl", [{"text": "", "label": "good"}])
    output = tmp_path / "out"
    flags = (*FAST, "--batch-size", "1", "-q", "-o", str(output))
    assert run([*command(encoder, data, *SMALL), *flags]) == 0
    benchmark = json.loads(ArtifactLayout(output).benchmark.read_text())
    assert {row["samples"] for row in benchmark["metrics"]} == {1}
    (label,) = glp_export.load(output)("").labels
    assert label in {"good", "bad"}
    assert run(["verify", str(output), "-q"]) == 0
