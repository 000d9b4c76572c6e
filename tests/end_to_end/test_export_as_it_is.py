"""What `glp-export export` ships answers as the checkpoint does in transformers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glp_export
from glp_export.cli.app import run
from tests.exported import SPREAD
from tests.tiny import make_checkpoint, rows

FAST = ("--seq-lens", "8", "--batch-sizes", "1", "--bench-seconds", "0.1", "--optimize", "none")
TEXTS = ["The CAT is good", "a naïve fish and a DOG", "the cat is not very bad " * 30]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return make_checkpoint(tmp_path / "model", num_labels=2, **SPREAD)


def edit(path: Path, *gone: str, **changes: Any) -> None:
    kept = {k: v for k, v in json.loads(path.read_text()).items() if k not in gone}
    path.write_text(json.dumps({**kept, **changes}))


def export(checkpoint: Path, output: Path, *flags: str) -> Any:
    assert run(["export", str(checkpoint), "-o", str(output), *FAST, *flags, "-q"]) == 0
    return glp_export.load(output, variant="fp32")


def expected(checkpoint: Path, texts: list[str], max_length: int) -> np.ndarray[Any, Any]:
    """Logits as transformers gives them, with the checkpoint's own files."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    with torch.inference_mode():
        return np.stack(
            [
                model(
                    **tokenizer(text, truncation=True, max_length=max_length, return_tensors="pt")
                ).logits[0]
                for text in texts
            ]
        )


def test_inputs_are_as_long_as_tokenizer_and_model_take_them(
    checkpoint: Path, tmp_path: Path
) -> None:
    edit(checkpoint / "tokenizer_config.json", model_max_length=int(1e30))
    served = export(checkpoint, tmp_path / "out")
    assert served.encoder.max_length == 80  # the table of positions
    assert np.allclose(served.logits(TEXTS), expected(checkpoint, TEXTS, 80), atol=1e-4)


def test_the_limit_can_be_lowered(checkpoint: Path, tmp_path: Path) -> None:
    served = export(checkpoint, tmp_path / "out", "--max-length", "16")
    assert served.encoder.max_length == 16
    assert np.allclose(served.logits(TEXTS), expected(checkpoint, TEXTS, 16), atol=1e-4)


@pytest.mark.parametrize("limit", [20, 60])
def test_what_sentence_transformers_is_told_holds(
    checkpoint: Path, tmp_path: Path, limit: int
) -> None:
    said = {"max_seq_length": limit, "do_lower_case": True}
    (checkpoint / "sentence_bert_config.json").write_text(json.dumps(said))
    edit_normalizer(checkpoint, lowercase=False)
    served = export(checkpoint, tmp_path / "out")
    assert served.encoder.max_length == limit
    lowered = [text.lower() for text in TEXTS]
    assert np.allclose(served.logits(TEXTS), expected(checkpoint, lowered, limit), atol=1e-4)
    shipped = json.loads((tmp_path / "out" / "sentence_bert_config.json").read_text())
    assert shipped == said


@pytest.mark.parametrize(
    ("name", "limit"), [("sentence_roberta_config.json", 20), ("sentence_bert_config.json", 72)]
)
def test_a_directory_of_sentence_transformers_is_cut_as_it_cuts(
    checkpoint: Path, tmp_path: Path, name: str, limit: int
) -> None:
    """It takes the first of its files, and what that says over the tokenizer's own limit of 64."""
    transformer = {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.T"}
    (checkpoint / "modules.json").write_text(json.dumps([transformer]))
    (checkpoint / name).write_text(json.dumps({"max_seq_length": limit}))
    served = export(checkpoint, tmp_path / "out", "--kind", "text-classification")
    assert served.encoder.max_length == limit
    assert np.allclose(served.logits(TEXTS), expected(checkpoint, TEXTS, limit), atol=1e-4)
    assert (tmp_path / "out" / name).is_file()


@pytest.mark.parametrize("content", ["[]", '{"max_seq_length": "long"}', "{"])
def test_a_file_of_sentence_transformers_that_says_nothing(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    path = checkpoint / "sentence_bert_config.json"
    path.write_text(content)
    code = run(["export", str(checkpoint), "-o", str(tmp_path / "out"), *FAST, "-q"])
    assert code == (0 if content == "[]" else 7)
    assert (str(path) in "".join(capsys.readouterr().err.split())) == (code == 7)


def edit_normalizer(checkpoint: Path, **changes: Any) -> None:
    content = json.loads((checkpoint / "tokenizer.json").read_text())
    content["normalizer"] = {**content["normalizer"], **changes}
    (checkpoint / "tokenizer.json").write_text(json.dumps(content))


@pytest.mark.parametrize("lower", [True, False])
def test_files_of_a_tokenizer_that_disagree(checkpoint: Path, tmp_path: Path, lower: bool) -> None:
    """transformers lets tokenizer_config.json win; what is served reads tokenizer.json."""
    names = {"tokenizer_class": "BertTokenizer", "do_lower_case": lower, "strip_accents": False}
    edit(checkpoint / "tokenizer_config.json", **names)
    edit_normalizer(checkpoint, lowercase=not lower, strip_accents=True)
    served = export(checkpoint, tmp_path / "out")
    assert np.allclose(served.logits(TEXTS), expected(checkpoint, TEXTS, 64), atol=1e-4)


def test_labels_whose_ids_are_the_wrong_way_round_are_those_that_transformers_answers_with(
    checkpoint: Path, tmp_path: Path
) -> None:
    """It reads id2label alone; an artifact that says two things is refused by `load`."""
    said = {"id2label": {"0": "good", "1": "bad"}, "label2id": {"good": 1, "bad": 0}}
    edit(checkpoint / "config.json", **said)
    served = export(checkpoint, tmp_path / "out")
    wanted = expected(checkpoint, TEXTS, 64).argmax(axis=-1)
    assert served(TEXTS).labels == [("good", "bad")[index] for index in wanted]
    shipped = json.loads((tmp_path / "out" / "config.json").read_text())
    assert shipped["label2id"] == {"good": 0, "bad": 1}


def test_a_served_tokenizer_that_makes_other_tokens_fails_verify(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from glp_export.artifact import ArtifactLayout

    output = tmp_path / "out"
    export(checkpoint, output)
    assert run(["verify", str(output), "-q"]) == 0
    edit_normalizer(output, lowercase=False, strip_accents=False)
    names = {"tokenizer_class": "BertTokenizer", "do_lower_case": True}
    edit(output / "tokenizer_config.json", **names)
    ArtifactLayout(output).write_checksums()
    code = run(["verify", str(output), "-q"])
    from transformers import AutoTokenizer

    wins = AutoTokenizer.from_pretrained(output)("The").input_ids[1] != 1
    assert code == (3 if wins else 0)  # whether transformers lets it win depends on its major
    assert ("tokens" in capsys.readouterr().err) == wins


def test_what_does_not_belong_is_not_shipped(checkpoint: Path, tmp_path: Path) -> None:
    card = "---\nlicense: apache-2.0\n---\nAccuracy 99 %\n"
    for name in ("optimizer.pt", "training_args.bin", ".env"):
        (checkpoint / name).write_text("x")
    (checkpoint / "README.md").write_text(card)
    (checkpoint / "checkpoint-5").mkdir()
    output = tmp_path / "out"
    export(checkpoint, output, "--precision", "fp32", "int8")
    shipped = {path.name for path in output.iterdir()}
    assert {"README.md", "config.json", "model.safetensors", "tokenizer.json"} <= shipped
    assert not shipped & {"optimizer.pt", "training_args.bin", ".env", "checkpoint-5"}
    written = (output / "README.md").read_text()
    assert "license: apache-2.0" in written
    assert "99" not in written
    assert "pruned" not in written
    assert "Nothing judged the accuracy of `model_quantized.onnx`" in written


def test_an_artifact_is_exported_again_with_a_card_of_its_own(
    checkpoint: Path, tmp_path: Path
) -> None:
    export(checkpoint, tmp_path / "one")
    export(shutil.copytree(tmp_path / "one", tmp_path / "copy"), tmp_path / "two")
    assert "copy, exported to ONNX" in (tmp_path / "two" / "README.md").read_text()


def test_an_unfinished_output_that_is_a_link(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out.partial").symlink_to(tmp_path / "elsewhere")
    flags = [*FAST, "--resume", "-q"]
    assert run(["export", str(checkpoint), "-o", str(tmp_path / "out"), *flags]) == 8
    assert not any((tmp_path / "elsewhere").iterdir())


def test_switches_are_shipped_as_they_were(checkpoint: Path, tmp_path: Path) -> None:
    said = {"return_dict": False, "chunk_size_feed_forward": 4}
    edit(checkpoint / "config.json", **said)
    export(checkpoint, tmp_path / "out")
    shipped = json.loads((tmp_path / "out" / "config.json").read_text())
    assert {name: shipped[name] for name in said} == said


def test_optimize_none_is_told_what_it_asked_for(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", str(checkpoint), "-o", str(tmp_path / "out"), *FAST]) == 0
    told = capsys.readouterr().err
    assert "--optimize none" in told
    assert "passed parity" not in told


def test_full_int8_from_texts_is_served_and_verified(checkpoint: Path, tmp_path: Path) -> None:
    texts, few, out = tmp_path / "texts.txt", tmp_path / "few.txt", tmp_path / "out"
    lines = [row["text"] for row in rows(60)]
    texts.write_text("\n".join(lines))
    few.write_text("\n".join([lines[0]] * 40))
    full = ("--precision", "int8", "--int8-scope", "full", "--calibration-texts")
    fp32 = export(checkpoint, out, *full, str(texts))
    served = glp_export.load(out, variant="int8")
    assert np.corrcoef(served.logits(TEXTS).ravel(), fp32.logits(TEXTS).ravel())[0, 1] > 0.9
    assert run(["verify", str(out), "-q"]) == 0
    (entry,) = json.loads((out / "glp" / "precisions.json").read_text())["entries"]
    assert (entry["file"], entry["scope"]) == ("model_quantized.onnx", "full")
    assert entry["kernels"][0]["integer"]
    assert "products in integers in onnxruntime" in (out / "README.md").read_text()
    again = ["export", str(checkpoint), "-o", str(tmp_path / "again"), *FAST, *full[:4]]
    again += ["-q", "--overwrite"]
    assert run([*again, "--calibration-texts", str(few)]) == 7
    assert run(again) == 2  # no texts
    # Refused before anything was written.
    assert not list(tmp_path.glob("again*"))
    again[again.index("int8")] = "fp32"
    assert run(again) == 2
