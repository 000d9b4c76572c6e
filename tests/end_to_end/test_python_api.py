"""The jobs from Python: results that read well, and a live model compressed without files."""

from __future__ import annotations

import inspect

import pytest

import glp_export
from glp_export.bench import BenchmarkFile
from glp_export.compress.plan import Plan
from glp_export.core.errors import DataError, LatencyError
from glp_export.workflows.prune_and_export import RunResult
from tests.tiny import rows

SHORT = 400
"""Letters that a repr may have at most: one glance."""


def short(value: object) -> str:
    text = repr(value)
    assert len(text) < SHORT
    assert value._repr_html_().startswith(("<table>", "<div>"))
    return text


def test_results_are_short_and_frames_are_whole(artifact):
    benchmark = BenchmarkFile.load(artifact / "glp" / "benchmark.json")
    result = RunResult(artifact, Plan.load(artifact / "glp" / "plan.json"), benchmark)
    assert "2 layers" in short(result)
    short(benchmark)
    short(result.plan)
    frame = result.to_frame()
    assert len(frame) == len(benchmark.rows)
    pruned = frame[(frame.contender == "pruned") & (frame.runtime == "onnxruntime")]
    assert pruned[benchmark.metric].notna().all()
    assert (pruned.vs_onnxruntime_unpruned_low <= pruned.vs_onnxruntime_unpruned).all()


def test_a_served_model_and_its_answers_are_short(artifact):
    model = glp_export.load(artifact)
    assert "model" in short(model)
    answers = model(["the cat is good", "the dog is bad", "the fish"])
    assert answers.labels[0] in short(answers)


def test_an_artifact_is_verified_gated_and_reported(gated_artifact, tmp_path):
    report = glp_export.verify(gated_artifact, threads=1)
    assert report.passed
    assert "passed" in short(report)
    budget = tmp_path / "budget.toml"
    budget.write_text('[cpu.fp32]\nkeep = ["size_mb <= 0.001"]\n')
    found = glp_export.gate(gated_artifact, budget=budget, quick=True)
    assert "broken" in short(found)
    with pytest.raises(LatencyError):
        found.require()
    page = glp_export.report(gated_artifact, output=tmp_path / "report.html")
    assert page.read_text().startswith("<!doctype html>")


def test_a_live_model_is_compressed_without_files(encoder):
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    data = {"train": rows(80), "validation": rows(30, seed=1)}
    found = glp_export.compress(
        model,
        data,
        tokenizer=AutoTokenizer.from_pretrained(encoder),
        depth=3, search="top", epochs=1, teacher="finetune", max_length=16, threads=1,
        cache="none",
    )  # fmt: skip
    assert found.plan.order == (3,)
    assert found.model.config.num_hidden_layers == 3
    assert "3 layers" in short(found)
    assert all((value == before[name]).all() for name, value in model.state_dict().items())
    assert "depth" in inspect.signature(glp_export.compress).parameters


def test_data_that_is_no_data_is_refused(classifier):
    from transformers import AutoModelForSequenceClassification

    model = AutoModelForSequenceClassification.from_pretrained(classifier)
    with pytest.raises(DataError, match="list"):
        glp_export.compress(model, [1, 2], 2.0)
