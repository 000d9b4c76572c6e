"""A trimmed vocabulary from the command line: to an artifact whose tokenizer follows everywhere."""

from __future__ import annotations

import json
import string
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import glp_export
from glp_export.artifact import ArtifactLayout
from glp_export.artifact.vocabulary_record import read_vocabulary
from glp_export.bench import BenchmarkFile
from glp_export.cli.app import run
from glp_export.compress.budget import Budget
from glp_export.compress.compressors.base import Found
from glp_export.compress.compressors.vocabulary import VOCABULARY, VocabularyOptions
from glp_export.compress.edits import RemoveLayers, TrimVocabulary
from glp_export.compress.latency_table import LatencyTable
from glp_export.compress.plan import Plan
from glp_export.config.files import resolve
from glp_export.core.errors import AccuracyError
from glp_export.core.progress import Progress
from glp_export.workflows.context import make_context
from glp_export.workflows.stages.run_evaluator import RunEvaluator
from tests.end_to_end.conftest import MEASURING, ONE_SHAPE, SMALL, TRAINING, slow_table
from tests.tiny import (
    WORDS,
    make_checkpoint,
    make_data,
    make_data_of,
    make_tokenizer,
    rows,
    tagged_rows,
    write_jsonl,
)

UNUSED = [f"{letter}{letter}{letter}" for letter in string.ascii_lowercase]
SEEN_IN_TEST = "zzz"
"""A word of the whole vocabulary that no training text has; it becomes three letters."""
LETTERS = [letter for letter in string.ascii_lowercase if letter not in WORDS]
CHARACTERS = [*LETTERS, *(f"##{letter}" for letter in string.ascii_lowercase)]
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
    own = ["--compress", "layers,vocabulary", "--vocabulary-size", str(NEEDED)]
    own += ["--depth", "2", "--size-budget", "5MB"]
    assert run([*command, *own, "--search", "top", "-o", str(output), "-q"]) == 0
    return output


def logits_of(directory: Path, said: list[str]) -> Any:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(directory).eval()
    batch = AutoTokenizer.from_pretrained(directory)(said, padding=True, return_tensors="pt")
    with torch.inference_mode():
        return model(**batch).logits.numpy()


def test_a_live_model_is_trimmed_with_its_tokenizer(spelled: Path, texts: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(spelled, num_labels=2)
    tokenizer = AutoTokenizer.from_pretrained(spelled)
    given = {"compress": "vocabulary", "vocabulary_size": NEEDED, "teacher": "finetune"}
    brief = {"epochs": 0.1, "max_length": 16, "threads": 1, "cache": "none"}
    found = glp_export.compress(model, texts, tokenizer=tokenizer, **given, **brief)
    assert len(found.tokenizer) == found.model.get_input_embeddings().num_embeddings == NEEDED
    said = rows(1)[0]["text"]
    kept = [tokenizer.convert_ids_to_tokens(one) for one in tokenizer(said)["input_ids"]]
    assert found.tokenizer.convert_ids_to_tokens(found.tokenizer(said)["input_ids"]) == kept


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


def test_measured_again_it_is_told_whose_tokens_the_unpruned_model_reads(
    shipped: Path, texts: Path, capsys: Any
) -> None:
    shape = ("--seq-lens", "8", "--batch-sizes", "1", "--bench-seconds", "0.1", "--threads", "1")
    assert run(["benchmark", str(shipped), "--dataset", str(texts), *shape, "--skip-memory"]) == 0
    assert "tokens of the trimmed tokenizer" in " ".join(capsys.readouterr().err.split())
    assert run(["benchmark", str(shipped), *shape, "--skip-memory"]) == 0
    assert "trimmed tokenizer" not in capsys.readouterr().err


def test_card_report_and_inspect_say_what_stays(shipped: Path, capsys: Any) -> None:
    found = read_vocabulary(shipped)
    assert found is not None
    assert (found.tokens, found.of) == (NEEDED, len(PIECES))
    assert (found.texts, found.different, found.unknown) == (20, 1, 0)
    for name in ("README.md", "glp/report.html"):
        text = (shipped / name).read_text()
        assert str(found) in text
        assert "with zeros" not in text  # what is saved is small in PyTorch too
    assert "target: 5 MB at most: kept" in (shipped / "README.md").read_text()
    assert run(["inspect", str(shipped)]) == 0
    assert f"{NEEDED} of {len(PIECES)} tokens" in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow  # whole runs
@pytest.mark.parametrize(
    ("compress", "criterion"), [("structure,vocabulary", "obs"), ("fisher,vocabulary", "fisher")]
)
def test_heads_neurons_and_tokens_go_one_after_the_other(
    compress: str, criterion: str, spelled: Path, texts: Path, tmp_path: Path
) -> None:
    """By a table of a slow machine: what ships is surely fast enough on any other."""
    table, output = tmp_path / "table.json", tmp_path / "out"
    command = ["-m", str(spelled), "--dataset", str(texts)]
    measured = ["--shape", "1x16", "--kind", "text-classification", "--threads", "1"]
    assert run(["latency-table", str(spelled), *measured, "-o", str(table), "-q"]) == 0
    slow_table(LatencyTable.load(table), table)
    own = ["--compress", compress, "--latency-table", str(table), "--neuron-step", "8"]
    own += ["--latency-budget", "450ms@1x16", "--final-round", "0", "--mutations", "2"]
    own += ["--calibration-samples", "32", "--vocabulary-size", str(NEEDED), *ALONE]
    flags = (*TRAINING, *MEASURING, *ONE_SHAPE[:4])  # in the table's form of the graph
    assert run(["prune-and-export", *command, *flags, *own, "-o", str(output), "-q"]) == 0
    plan = Plan.load(ArtifactLayout(output).plan)
    assert plan.compressors == ("structure", "vocabulary")
    assert plan.strategy == criterion
    assert plan.kept_units is not None
    assert isinstance(plan.edits[-1], TrimVocabulary)
    assert len(plan.kept_tokens or ()) == NEEDED
    assert run(["verify", str(output), "--threads", "1", "-q"]) == 0
    said = ["the cat is good", "zzz"]
    np.testing.assert_allclose(
        glp_export.load(output)(said).logits, logits_of(output, said), atol=1e-4
    )
    small = glp_export.load_torch(output)
    assert small.get_input_embeddings().num_embeddings == NEEDED


def test_alone_it_chooses_tokens_and_trains_nothing(
    spelled: Path, texts: Path, tmp_path: Path
) -> None:
    command = ["-m", str(spelled), "--dataset", str(texts), "--compress", "vocabulary"]
    assert run(["search", *command, *TRAINING, "--offline", "-o", str(tmp_path / "s"), "-q"]) == 0
    found = Plan.load(tmp_path / "s" / "glp" / "plan.json")
    assert found.kept_tokens is not None
    assert found.depth == 3
    assert len(found.kept_tokens) == NEEDED - 1  # more than a quarter; "very" is in no text
    assert found.cost.trainings == 0


def test_it_is_told_where_every_token_stays(
    spelled: Path, texts: Path, tmp_path: Path, capsys: Any
) -> None:
    command = ["-m", str(spelled), "--dataset", str(texts), "--compress", "vocabulary"]
    asked = ["--vocabulary-size", "9999", *TRAINING, "--offline", "-o", str(tmp_path / "out")]
    assert run(["search", *command, *asked]) == 0
    assert f"all {len(PIECES)} tokens stay" in capsys.readouterr().err


@pytest.mark.slow
def test_alone_it_leaves_the_weights_as_they_are(
    spelled: Path, texts: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    command = ["-m", str(spelled), "--dataset", str(texts), "--compress", "vocabulary", *SMALL]
    assert run(["prune-and-export", *command, "-o", str(output), "-q"]) == 0
    file = BenchmarkFile.load(ArtifactLayout(output).benchmark)
    assert {row.contender for row in file.rows} == {"unpruned", "pruned"}
    (before, after) = (
        [row.value for row in file.metrics if row.contender == name]
        for name in ("unpruned", "pruned")
    )
    assert after == pytest.approx(before, abs=0.051)  # one of twenty texts is cut differently


@pytest.mark.parametrize(
    ("compress", "flags", "code"),
    [
        ("vocabulary,layers", (), 2),
        ("layers,structure", (), 2),
        ("layers,layers", (), 2),
        ("vocabulary,nothing", (), 2),
        ("vocabulary", ("--depth", "2"), 2),
        ("vocabulary", ("--max-drop", "0.1"), 2),
        ("vocabulary", ("--size-budget", "8"), 2),
        # The tokenizer alone would fit; the ONNX file does not.
        ("vocabulary", ("--size-budget", "60kB", "--precision", "fp32"), 5),
        ("layers,vocabulary", ("--size-budget", "60kB", "--precision", "fp32"), 5),
        ("vocabulary", ("--target-speedup", "2@1x16"), 2),
    ],
)
def test_what_makes_no_sense_is_refused(compress, flags, code, spelled, texts, tmp_path) -> None:
    command = ["search", "-m", str(spelled), "--dataset", str(texts), "--compress", compress]
    assert run([*command, *flags, *TRAINING, "-o", str(tmp_path / "out"), "-q"]) == code
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_of_whole_words_is_refused_before_training(
    encoder: Path, data: Path, tmp_path: Path, capsys: Any
) -> None:
    command = ["search", "-m", str(encoder), "--dataset", str(data), *TRAINING, "--offline"]
    asked = ["--compress", "layers,vocabulary", "-o", str(tmp_path / "out"), "-q"]
    assert run([*command, *asked]) == 7
    assert "spelled" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_where_every_token_is_answered_for_nothing_is_trained(spelled, shipped, tmp_path, capsys):
    data = make_data_of(tmp_path / "tags", tagged_rows, 40, 20)
    given = ["prune-and-export", "-m", str(spelled), "--dataset", str(data), "--offline", "-q"]
    output = tmp_path / "out"
    for asked in (
        ["--compress", "layers,vocabulary", "--depth", "2"],
        ["--plan", str(ArtifactLayout(shipped).plan)],
    ):
        assert run([*given, *asked, "-o", str(output)]) == 2
        assert "every token" in " ".join(capsys.readouterr().err.split())
        assert not output.with_name("out.partial").exists()


def test_what_unseen_words_lose_counts_as_a_drop(tmp_path: Path) -> None:
    """Every text has words of its own: those of dev are known only because dev is kept."""
    from tokenizers import models

    own = ["".join(letters) for letters in product("qwxyzvk", repeat=3)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *own, *WORDS, *CHARACTERS]
    model = tmp_path / "model"
    named = {"id2label": {0: "good", 1: "bad"}, "label2id": {"good": 0, "bad": 1}}
    size = {"vocab_size": len(pieces), "initializer_range": 0.5}
    make_checkpoint(model, layers=2, num_labels=2, **size, **named)
    tokenizer = make_tokenizer()
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer.backend_tokenizer.model = models.WordPiece(vocabulary, unk_token="[UNK]")
    tokenizer.save_pretrained(model)
    texts = [{"text": " ".join(own[3 * n : 3 * n + 3])} for n in range(100)]
    settings = {"model": str(model), "dataset": str(write_jsonl(tmp_path / "t.jsonl", texts))}
    settings |= {"label_column": "none", "max_length": 16, "device": "cpu", "cache": "none"}
    context = make_context(resolve(settings))
    evaluator = RunEvaluator(context, tmp_path / "work", Progress())
    plan = Plan(**evaluator.facts, compressors=("layers",), strategy="top")

    def left(max_drop: float | None, **options: int) -> Found:
        wanted = VocabularyOptions(**options)
        return VOCABULARY.follow(
            Found(plan, drop=0.0), wanted, Budget(max_drop=max_drop), evaluator
        )

    unbounded = left(None).plan.kept_tokens or ()
    assert set(evaluator.used_tokens) <= set(unbounded)
    assert len(unbounded) < len(pieces)
    tight, loose = left(0.0), left(1.0)
    assert len(tight.plan.kept_tokens or ()) == len(pieces)
    assert tight.drop == 0.0
    assert loose.plan.kept_tokens == unbounded
    assert 0.0 < loose.drop <= 1.0
    with pytest.raises(AccuracyError, match="tokens"):
        left(0.0, vocabulary_size=1)
