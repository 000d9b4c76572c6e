"""The card's metadata, read with the Hub's own parser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from glp_export.report import OtherScore
from glp_export.report.card import card_text
from glp_export.tasks.task import HubData
from tests.report.helpers import make_benchmark, make_facts, make_parity, make_plan

RTE = HubData("nyu-mll/glue", "rte", "validation", "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c")


def read(plan=None, benchmark=None, **facts) -> ModelCard:
    """A card as the Hub reads it."""
    return ModelCard(
        card_text(
            plan or make_plan(),
            benchmark or make_benchmark(),
            make_parity(),
            make_facts(**facts),
        )
    )


def with_int8():
    benchmark = make_benchmark()
    pruned = next(row for row in benchmark.metrics if row.contender == "pruned")
    int8 = pruned.model_copy(update={"precision": "int8", "value": 0.8812345678})
    return make_benchmark(metrics=(*benchmark.metrics, int8))


def test_the_scores_of_the_files_that_ship_are_the_model_index():
    benchmark = with_int8()
    data = read(benchmark=benchmark, hub_data=RTE).data
    assert data.model_name == "MiniLM-L6-H384-uncased-3-layers-trec"
    values = [row.value for row in benchmark.metrics if row.contender == "pruned"]
    assert [result.metric_value for result in data.eval_results] == values
    assert [result.metric_name for result in data.eval_results] == ["Accuracy", "Accuracy (int8)"]
    for result in data.eval_results:
        assert (result.task_type, result.task_name) == (
            "text-classification",
            "Text Classification",
        )
        assert (result.dataset_type, result.dataset_name) == ("nyu-mll/glue", "glue")
        assert (result.dataset_config, result.dataset_split) == ("rte", "validation")
        assert result.dataset_revision == RTE.revision
        assert result.metric_type == "accuracy"
        assert result.verified is False
    assert data.datasets == ["nyu-mll/glue"]
    assert data.base_model_relation == "finetune"


def test_a_data_set_of_ones_own_has_a_name_and_no_link():
    data = read(data="/home/me/secret/trec").data
    assert data.datasets is None
    (result,) = data.eval_results
    assert (result.dataset_type, result.dataset_name) == ("local", "trec")
    assert (result.dataset_config, result.dataset_split) == (None, "test")


@pytest.mark.parametrize(
    "changes", [{"base_model": "/home/me/secret/bert"}, {"base_model": "secret", "checksum": "5"}]
)
def test_no_path_of_this_machine_is_in_the_metadata(changes):
    plan = make_plan(**changes)
    text = read(plan=plan, data="/home/me/secret/trec").data.to_yaml()
    assert "/home" not in text
    assert "base_model" not in text


@pytest.mark.parametrize(
    ("name", "checksum", "linked"),
    [
        ("bert-base-uncased", None, True),
        ("FacebookAI/roberta-base", None, True),
        ("minilm-l6", "5feceb66", False),  # a directory, which may be gone by now
        ("models/minilm-l6", "5feceb66", False),
        ("demo", None, False),
    ],
)
def test_only_a_model_of_the_hub_is_linked(name: str, checksum: str | None, linked: bool):
    data = read(plan=make_plan(base_model=name, checksum=checksum)).data
    assert data.base_model == (name if linked else None)
    assert ("base_model_relation" in data) == linked
    if not linked:
        assert data.model_name.startswith(Path(name).name)


def test_further_test_sets_and_other_kinds_of_task():
    other = OtherScore("validation_mismatched", "pruned", 0.7, 0.6, 0.8, 900)
    beside = OtherScore("validation_mismatched", "distilled", 0.1, 0.0, 0.2, 900)
    facts = {"kind": "regression", "labels": (), "other_scores": (other, beside)}
    benchmark = make_benchmark(metric="pearson")
    data = read(benchmark=benchmark, hub_data=RTE, **facts).data
    assert [(r.dataset_split, r.metric_value) for r in data.eval_results] == [
        ("validation", 0.888),
        ("validation_mismatched", 0.7),
    ]
    assert {r.task_type for r in data.eval_results} == {"text-classification"}
    assert {(r.metric_type, r.metric_name) for r in data.eval_results} == {("pearsonr", "Pearson")}
    assert data.metrics == ["pearsonr"]


def test_licence_and_language_as_the_base_model_has_them():
    data = read(license="mit", language=["en", "de"]).data
    assert data.license == "mit"
    assert data.language == ["en", "de"]


def test_a_benchmark_without_scores_makes_a_card_without_an_index():
    data = read(benchmark=make_benchmark(metrics=())).data
    assert data.eval_results is None
    assert not re.search("model-index", data.to_yaml())
