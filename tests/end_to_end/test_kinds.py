"""The whole job for each kind of task, on a tiny encoder, and its artifact in use."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glp_export
from glp_export.artifact import ArtifactLayout
from glp_export.bench import BenchmarkFile
from glp_export.cli.app import run
from glp_export.compress.plan import Plan
from glp_export.core.errors import UsageError
from glp_export.tasks import KINDS as TASK_KINDS
from tests.end_to_end.conftest import MEASURING, ONE_SHAPE
from tests.tiny import (
    label_list_rows,
    make_checkpoint,
    make_data_of,
    pair_rows,
    question_rows,
    ranking_rows,
    tagged_rows,
    text_rows,
    write_jsonl,
)

KINDS = {
    "token-classification": (tagged_rows, "seqeval_f1"),
    "multi-label-classification": (label_list_rows, "micro_f1"),
    "question-answering": (question_rows, "squad_f1"),
    "sentence-embeddings": (pair_rows, "spearman"),
    "reranking": (ranking_rows, "ndcg_at_10"),
    "masked-language-model": (text_rows, "accuracy"),
}
ASKED = {name for name in KINDS if TASK_KINDS[name].asked}
"""Kinds that no data tells; the others are found by themselves."""
TRAINING = (
    "--epochs", "6", "--learning-rate", "3e-3", "--batch-size", "16", "--max-length", "24",
)  # fmt: skip


@dataclass(frozen=True)
class Made:
    kind: str
    root: Path
    data: Path

    @property
    def layout(self) -> ArtifactLayout:
        return ArtifactLayout(self.root)

    @property
    def benchmark(self) -> BenchmarkFile:
        return BenchmarkFile.load(self.layout.benchmark)


@pytest.fixture(scope="module", params=KINDS)
def made(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A model for a kind of task: searched, distilled, exported, in int8 too, and measured."""
    place = tmp_path_factory.mktemp(request.param)
    data = make_data_of(place / "data", KINDS[request.param][0], 120, 40)
    model = make_checkpoint(place / "model", layers=3, initializer_range=0.1)
    arguments = ["-m", str(model), "--dataset", str(data), "--depth", "2", "-o", str(place / "out")]
    if request.param in ASKED:
        arguments += ["--kind", request.param]
    measuring = [*MEASURING[:-2], "--precision", "int8", "--int8-drop", "0.5"]
    assert run(["prune-and-export", *arguments, *TRAINING, *ONE_SHAPE, *measuring, "-q"]) == 0
    return Made(request.param, place / "out", data)


def test_it_is_searched_recovered_and_measured(made: Made) -> None:
    plan = Plan.load(made.layout.plan)
    assert (plan.strategy, plan.depth) == ("fast-greedy", 2)
    assert all(candidate.loss is not None for step in plan.steps for candidate in step.candidates)
    assert made.benchmark.metric == KINDS[made.kind][1]
    scored = {(row.contender, row.precision): row for row in made.benchmark.metrics}
    assert set(scored) == {
        (contender, precision)
        for contender in ("unpruned", "pruned", "distilled")
        for precision in ("fp32", "int8")
    }
    # Of a ranking an example is a query, of which there are ten with four passages each.
    expected = 10 if made.kind == "reranking" else 40
    assert all(row.samples == expected for row in scored.values())
    # Guessing the most frequent label scores 0, and of all spans few are right.
    assert scored["unpruned", "fp32"].value > 0.3
    assert scored["pruned", "fp32"].value > 0.3


def test_its_files_are_proved_right_with_their_labels(made: Made, capsys: Any) -> None:
    parity = json.loads(made.layout.parity.read_text())
    assert parity["passed"]
    decides = TASK_KINDS[made.kind].choices is not None
    assert parity["files"][0]["label_agreement"] == (1.0 if decides else None)
    assert run(["verify", str(made.root), "--json", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["passed"]


def test_it_is_measured_again_without_data(made: Made, capsys: Any) -> None:
    """Beside an unpruned model in int8, which no labels are needed for."""
    shape = ("--seq-lens", "8", "--batch-sizes", "1", "--bench-seconds", "0.1", "--threads", "1")
    assert run(["benchmark", str(made.root), *shape, "--skip-memory", "--json", "-q"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    timed = {(row["contender"], row["precision"]) for row in rows}
    assert {("unpruned", "int8"), ("pruned", "int8")} <= timed


def test_the_gate_holds_it_to_its_accuracy(made: Made, tmp_path: Path, capsys: Any) -> None:
    copy = shutil.copytree(made.root, tmp_path / "copy")
    budget = '[cpu.fp32]\nkeep = ["metric_drop <= 0.01", "size_mb <= 5"]\n'
    (copy / "glp" / "budget.toml").write_text(budget)
    arguments = ["gate", str(copy), "--dataset", str(made.data), "--max-seconds", "20", "--json"]
    assert run(arguments) == 0
    findings = json.loads(capsys.readouterr().out)["findings"]
    outcomes = [finding["outcome"] for finding in findings]
    assert outcomes.count("kept") == len(outcomes) >= 4
    if made.kind == "token-classification":  # whose metric reads B- and I-
        lower = tmp_path / "lower"
        for path in made.data.glob("*.jsonl"):
            read = [json.loads(line) for line in path.read_text().splitlines()]
            spelled = [
                {**row, "ner_tags": [tag.lower() for tag in row["ner_tags"]]} for row in read
            ]
            write_jsonl(lower / path.name, spelled)
        arguments[arguments.index(str(made.data))] = str(lower)
        assert run(arguments) == 0
        again = json.loads(capsys.readouterr().out)["findings"]
        assert [finding["value"] for finding in again] == [one["value"] for one in findings]


@pytest.fixture(scope="module")
def another_process() -> Iterator[ProcessPoolExecutor]:
    """A Python beside this one: libraries are loaded once for the cards of all kinds."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        yield process


def printed_by(codes: Sequence[str], directory: Path) -> list[str]:
    """What programs print that run in a directory, each with names of its own."""
    os.chdir(directory)
    printed = []
    for code in codes:
        with redirect_stdout(StringIO()) as out:
            exec(code, {})
        printed.append(out.getvalue())
    return printed


def test_the_code_in_its_card_runs(made: Made, another_process: ProcessPoolExecutor) -> None:
    pytest.importorskip("optimum.onnxruntime", reason="one of the codes is optimum's")
    codes = re.findall(r"```python\n(.*?)```", made.layout.card.read_text(), re.DOTALL)
    codes = [code for code in codes if "sentence_transformers" not in code]  # not installed here
    assert len(codes) == 4
    printed = another_process.submit(printed_by, codes, made.root).result()
    own, tokenizers, optimum, pytorch = printed
    if made.kind in NUMBERS:
        said = [np.array(json.loads(text)) for text in (tokenizers, optimum, pytorch)]
        # Code that does not name a file reads fp32 where other code reads int8.
        assert said[0] == pytest.approx(said[2], abs=NUMBERS[made.kind])
        assert said[1] == pytest.approx(said[2], abs=NUMBERS[made.kind])
    else:
        assert tokenizers.split() == optimum.split() == pytorch.split()
    assert own.strip()


NUMBERS = {"sentence-embeddings": 0.1, "reranking": 0.5}
"""Kinds that answer with numbers: how far int8 may move cosines and logits."""


def test_it_is_served_as_it_was_measured(made: Made) -> None:
    model = glp_export.load(made.root, variant="fp32")
    rows = [json.loads(line) for line in (made.data / "validation.jsonl").open()]
    scored = {(row.contender, row.precision): row.value for row in made.benchmark.metrics}
    assert CHECKS[made.kind](model, rows) == pytest.approx(scored["pruned", "fp32"], abs=1e-6)
    if made.kind not in ("multi-label-classification", "reranking"):
        with pytest.raises(UsageError, match="logits of whole texts"):
            model.logits(["the cat"])


def _tag_f1(model: Any, rows: Any) -> float:
    from seqeval.metrics import f1_score

    found = model([row["tokens"] for row in rows])
    for row, entities in zip(rows, found.entities, strict=True):
        assert all(one.text == " ".join(row["tokens"][one.start : one.stop]) for one in entities)
    tags = [[tag or "O" for tag in own] for own in found.tags]
    return float(f1_score([row["ner_tags"] for row in rows], tags))


def _set_f1(model: Any, rows: Any) -> float:
    found = model([row["text"] for row in rows]).label_sets
    wanted = [set(row["labels"]) for row in rows]
    right = sum(len(set(own) & gold) for own, gold in zip(found, wanted, strict=True))
    return 2 * right / (sum(map(len, found)) + sum(map(len, wanted)))


def _answer_f1(model: Any, rows: Any) -> float:
    from glp_export.tasks.kinds.squad_metrics import word_f1

    found = model([row["question"] for row in rows], [row["context"] for row in rows])
    for row, answer in zip(rows, found.answers, strict=True):
        assert row["context"][answer.start : answer.stop] == answer.text
    pairs = zip(rows, found.texts, strict=True)
    return float(np.mean([word_f1(text, row["answers"]["text"][0]) for row, text in pairs]))


def _cosine_order(model: Any, rows: Any) -> float:
    from scipy.stats import spearmanr

    first, second = (model([row[name] for row in rows]) for name in ("sentence1", "sentence2"))
    assert first.dtype == np.float32
    assert first.shape == (len(rows), 32)
    assert np.linalg.norm(first, axis=1) == pytest.approx(1.0)
    cosines = (first * second).sum(axis=1, dtype=np.float64).round(6)  # equal texts tie
    return float(spearmanr(cosines, [row["label"] for row in rows])[0])


def _list_ndcg(model: Any, rows: Any) -> float:
    from sklearn.metrics import ndcg_score

    scores = model([(row["query"], row["passage"]) for row in rows]).values
    relevances = [row["label"] for row in rows]
    lists = range(0, len(rows), 4)
    return float(np.mean([ndcg_score([relevances[s : s + 4]], [scores[s : s + 4]]) for s in lists]))


def _filled(model: Any, rows: Any) -> float:
    """The share of hidden words that are found, hidden here as they were there."""
    from transformers import AutoTokenizer

    from glp_export.tasks.kinds.masked_language_model import MASKED_LANGUAGE_MODEL

    tokenizer = AutoTokenizer.from_pretrained(model.path.parents[1])
    batch = {"text": [row["text"] for row in rows]}
    encoded = MASKED_LANGUAGE_MODEL.encode(batch, tokenizer, 24)
    texts = tokenizer.batch_decode([ids[1:-1] for ids in encoded["input_ids"]])
    golds = [
        tokenizer.convert_ids_to_tokens([label for label in labels if label >= 0])
        for labels in encoded["labels"]
    ]
    pairs = list(zip(model(texts).tokens, golds, strict=True))
    hits = sum(
        one == other for found, gold in pairs for one, other in zip(found, gold, strict=True)
    )
    return hits / sum(len(gold) for gold in golds)


CHECKS = {
    "sentence-embeddings": _cosine_order,
    "reranking": _list_ndcg,
    "masked-language-model": _filled,
    "token-classification": _tag_f1,
    "multi-label-classification": _set_f1,
    "question-answering": _answer_f1,
}
