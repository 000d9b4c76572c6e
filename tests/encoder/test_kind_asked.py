from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from glp_export.core.errors import ModelError, UsageError
from glp_export.encoder import mark_kind, task_of_model
from glp_export.serve.answers import Head
from tests.tiny import make_checkpoint


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_checkpoint(tmp_path_factory.mktemp("classifier"), layers=1, num_labels=3)


def test_a_kind_that_is_not_there_is_refused(classifier: Path) -> None:
    with pytest.raises(UsageError, match="sentence-embedding"):
        task_of_model(classifier, "sentence-embedding")


def test_a_head_is_not_taken_for_one_of_another_kind(classifier: Path) -> None:
    with pytest.raises(ModelError, match="BertForSequenceClassification"):
        task_of_model(classifier, "token-classification")  # its weights have the same names
    assert task_of_model(classifier, "sentence-embeddings").kind == "sentence-embeddings"


@pytest.mark.parametrize("kind", ["text-classification", "multi-label-classification"])
def test_a_model_that_does_not_say_its_problem_is_given_that_of_the_kind(
    classifier: Path, tmp_path: Path, kind: str
) -> None:
    content = json.loads((classifier / "config.json").read_text())
    config = tmp_path / "config.json"
    config.write_text(json.dumps({**content, "problem_type": None}))
    mark_kind(config, SimpleNamespace(kind=kind))  # type: ignore[arg-type]
    written = json.loads(config.read_text())
    assert written["finetuning_task"] == kind
    several = kind == "multi-label-classification"
    assert (Head.of(written).problem == "multi_label_classification") == several
