"""Artifacts that the command made, PyTorch's answers about them, and the record of who passed."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glp_export.cli.app import run
from tests.consumers.record import Consumers, Passed
from tests.end_to_end.conftest import MEASURING, ONE_SHAPE, TRAINING
from tests.exported import SPREAD
from tests.tiny import make_checkpoint, make_data_of, pair_rows, rows, write_jsonl

TEXTS = [
    "the cat is good",
    "the dog and the bird is not LOVELY",
    "",
    "the fish 🙂 is naïve and very awful",
    " ".join(["the bird and the cat is not dull"] * 40),  # far more tokens than the model reads
]
SHORT = slice(0, 4)
"""The texts that every tokenizer leaves whole: each cuts longer ones in its own way."""

EMBEDDED = 32
"""Tokens that an artifact for embeddings reads of a text: it says so itself, as it was trained."""

PAIRS = [
    ["the cat is good", "the dog is great"],
    ["the fish is very poor", "the bird is not fine and the cat is not fine"],
    ["the bird", "the bird"],
]


@dataclass(frozen=True)
class Case:
    """An artifact with PyTorch's logits of its weights.

    Attributes:
        root: of the artifact.
        cases: JSON file of `TEXTS` and `PAIRS`.
        labels: by id.
        logits: of the texts, `(texts, labels)`.
        pairs: of the pairs, likewise.
    """

    root: Path
    cases: Path
    labels: dict[int, str]
    logits: np.ndarray[Any, Any]
    pairs: np.ndarray[Any, Any]

    def run(self, file: str) -> np.ndarray[Any, Any]:
        """What ONNX Runtime here computes of the short texts with one of the files."""
        import onnxruntime
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self.root)
        batch = tokenizer(TEXTS[SHORT], padding=True, return_tensors="np")
        session = onnxruntime.InferenceSession(self.root / "onnx" / file)
        wanted = {node.name for node in session.get_inputs()}
        (logits,) = session.run(["logits"], {name: batch[name] for name in wanted})
        return np.asarray(logits)

    @property
    def short(self) -> Path:
        """The cases without texts that are longer than the model reads."""
        path = self.cases.with_name("short.json")
        path.write_text(json.dumps({"texts": TEXTS[SHORT], "pairs": PAIRS}))
        return path

    @property
    def probabilities(self) -> np.ndarray[Any, Any]:
        """Softmax of the logits of the texts."""
        powers = np.exp(self.logits - self.logits.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)


@pytest.fixture(scope="session")
def boundless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder whose tokenizer names no limit, as many on the hub do not."""
    encoder = make_checkpoint(tmp_path_factory.mktemp("boundless"), **SPREAD)
    path = encoder / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    del settings["model_max_length"]
    path.write_text(json.dumps(settings))
    return encoder


@pytest.fixture(scope="session")
def classifier(boundless: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """Two labels, in fp32 and in int8, and a repository for Triton: nothing disturbs a loader."""
    directory = tmp_path_factory.mktemp("consumers")
    flags = ("--precision", "int8", "--int8-drop", "1", "--triton")
    return _case(boundless, data, directory / "classifier", flags)


@pytest.fixture(scope="session")
def scorer(boundless: Path, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """One number for a pair of texts, in fp32 alone."""
    directory = tmp_path_factory.mktemp("consumers")
    for name, count in (("train", 80), ("validation", 30)):
        texts = [row["text"] for row in rows(2 * count, seed=count)]
        pairs = zip(texts[::2], texts[1::2], strict=True)
        scored = [
            {"first": first, "second": second, "score": len(set(first) ^ set(second)) / 10 + 0.05}
            for first, second in pairs
        ]
        write_jsonl(directory / "data" / f"{name}.jsonl", scored)
    columns = ("--text-columns", "first", "second", "--label-column", "score")
    flags = (*columns, "--kind", "regression")
    return _case(boundless, directory / "data", directory / "scorer", flags)


@dataclass(frozen=True)
class Embedder:
    """An artifact for sentence embeddings, with what PyTorch makes of its weights.

    Attributes:
        root: of the artifact.
        cases: JSON file of `TEXTS`.
        vectors: mean over the tokens of each text, of length 1, `(texts, width)`.
    """

    root: Path
    cases: Path
    vectors: np.ndarray[Any, Any]


@pytest.fixture(scope="session")
def embedder(boundless: Path, tmp_path_factory: pytest.TempPathFactory) -> Embedder:
    """Vectors that imitate those of the unpruned model."""
    directory = tmp_path_factory.mktemp("consumers")
    data = make_data_of(directory / "data", pair_rows, 80, 30)
    root = _make(boundless, data, directory / "embedder", ("--kind", "sentence-embeddings"))
    cases = directory / "cases.json"
    cases.write_text(json.dumps({"texts": TEXTS}))
    return Embedder(root, cases, _vectors(root))


def _make(encoder: Path, data: Path, root: Path, flags: tuple[str, ...]) -> Path:
    given = ("prune-and-export", "-m", str(encoder), "--dataset", str(data), "--depth", "2")
    small = (*TRAINING, *ONE_SHAPE, *MEASURING, "--search", "top", "--distilled", "none")
    assert run([*given, *small, *flags, "-o", str(root), "-q"]) == 0
    return root


def _case(encoder: Path, data: Path, root: Path, flags: tuple[str, ...]) -> Case:
    _make(encoder, data, root, flags)
    cases = root.parent / "cases.json"
    cases.write_text(json.dumps({"texts": TEXTS, "pairs": PAIRS}))
    labels = json.loads((root / "config.json").read_text())["id2label"]
    return Case(
        root,
        cases,
        {int(key): label for key, label in labels.items()},
        _pytorch(root, TEXTS),
        _pytorch(root, *map(list, zip(*PAIRS, strict=True))),
    )


def _pytorch(root: Path, *columns: list[str]) -> np.ndarray[Any, Any]:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(root).eval()
    tokenizer = AutoTokenizer.from_pretrained(root)
    batch = tokenizer(
        *columns, truncation=True, max_length=80, padding=True, return_tensors="pt"
    )  # as many as the position table has: nothing else says how long inputs may be
    with torch.inference_mode():
        logits: np.ndarray[Any, Any] = model(**batch).logits.numpy()
    # Fifty times what answers may differ by: else a wrong one would look like a right one.
    assert np.ptp(logits, axis=0).min() > 50e-4
    return logits


def _vectors(root: Path) -> np.ndarray[Any, Any]:
    import torch
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(root).eval(), AutoTokenizer.from_pretrained(root)
    longest = {"truncation": True, "max_length": EMBEDDED}
    batch = tokenizer(TEXTS, **longest, padding=True, return_tensors="pt")
    with torch.inference_mode():
        tokens = model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    means = (tokens * mask).sum(1) / mask.sum(1)
    vectors: np.ndarray[Any, Any] = torch.nn.functional.normalize(means).numpy()
    assert np.ptp(vectors, axis=0).max() > 50e-4
    return vectors


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Let fixtures know how their test went."""
    outcome: Any = yield
    if call.when == "call":
        item.stash[_OUTCOME] = outcome.get_result().outcome


_OUTCOME = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def _record() -> Iterator[tuple[list[Passed], list[str]]]:
    """What passed and what failed in this session, written at its end."""
    passed: list[Passed] = []
    failed: list[str] = []
    yield passed, failed
    if passed or failed:
        Consumers.load().updated(passed, failed).save()


@pytest.fixture
def ran(
    request: pytest.FixtureRequest, _record: tuple[list[Passed], list[str]]
) -> Iterator[Callable[[str, dict[str, str]], None]]:
    """Says which consumer ran, with which versions; recorded once the test has passed."""
    passed, failed = _record
    test = request.node.nodeid
    rows: list[Passed] = []

    def say(consumer: str, versions: dict[str, str]) -> None:
        check = " ".join((inspect.getdoc(request.function) or "").split())
        rows.append(Passed(test=test, consumer=consumer, check=check, versions=versions))

    yield say
    outcome = request.node.stash.get(_OUTCOME, "skipped")
    if outcome == "passed":
        passed.extend(rows)
    elif outcome == "failed":
        failed.append(test)
