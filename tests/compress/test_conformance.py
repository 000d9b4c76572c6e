"""Every kind of edit keeps the promises of a plan, on real models and files."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
import torch

from glp_export.artifact import check_parity, export_onnx
from glp_export.compress.edits import (
    ALL_CHECKS,
    KroneckerFactors,
    PruneHeads,
    PruneNeurons,
    RemoveLayers,
    RemoveSublayers,
    SparsifyBlocks,
    TrimVocabulary,
)
from glp_export.compress.plan import Plan
from glp_export.core.errors import ModelError
from glp_export.core.factors import PRESETS
from glp_export.encoder import (
    ModelSource,
    load_model,
    load_tokenizer,
    random_rows,
    save_checkpoint,
)
from glp_export.encoder.masking import masked
from glp_export.encoder.structure import Structure, read_structure
from glp_export.encoder.sublayers import shape_of
from glp_export.encoder.training import forward
from glp_export.encoder.vocabulary import kept_token_ids, trim_tokenizer
from glp_export.tasks import Task
from tests.exported import THREADS
from tests.tiny import make_checkpoint, make_tokenizer

TASK = Task("rows", "text-classification", ("text",), "label", ("bad", "good"), "accuracy")
FAMILIES = ("bert", "distilbert", "modernbert")
SAME = 1e-6  # fp32, sums in another order
WIDE = {"initializer_range": 0.1}
"""Weights that make answers of about 1, which differ from row to row."""

TEXTS = ["red green blue", "red", "green green red blue blue"]
TRIM = TrimVocabulary(tokens=kept_token_ids(make_tokenizer(), TEXTS, allow_unknown=True))

EDITS: dict[str, tuple[Any, ...]] = {
    "layers": (RemoveLayers(layers=(2, 1)),),
    "heads": (PruneHeads(heads=((0,), (0, 1), (1,), ())),),
    "neurons": (PruneNeurons(neurons=((0, 3, 5), tuple(range(8)), (1,), ())),),
    "sublayers": (RemoveSublayers(attention=(1,), feed_forward=(2,)),),
    "all": (
        RemoveLayers(layers=(2,)),
        PruneHeads(heads=((0,), (0, 1), (1,))),
        PruneNeurons(neurons=((0, 3, 5), tuple(range(8)), ())),
    ),
    "vocabulary": (TRIM,),
}
FACTORS = KroneckerFactors.of(PRESETS["x8"])
EDITS["factors"] = (FACTORS,)
EDITS["layers, vocabulary and factors"] = (RemoveLayers(layers=(2, 1)), TRIM, FACTORS)
BLOCKS = SparsifyBlocks(block=(8, 16), keep=0.4)
EDITS["blocks"] = (BLOCKS,)
EDITS["layers, blocks and vocabulary"] = (RemoveLayers(layers=(2, 1)), BLOCKS, TRIM)
EDITS["all and vocabulary"] = (*EDITS["all"], TRIM)
EDITS["vocabulary first"] = (TRIM, *EDITS["all"])


@pytest.fixture(scope="module", params=FAMILIES)
def checkpoint(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    labels = {"id2label": {0: "bad", 1: "good"}}
    try:
        made = make_checkpoint(
            tmp_path_factory.mktemp(request.param) / "model",
            request.param,
            num_labels=2,
            **WIDE,
            **labels,
        )
        load(made)
    except Exception as error:  # a family that this major of transformers cannot prune
        pytest.skip(str(error))
    return made


def load(directory: Any) -> Any:
    return load_model(ModelSource(str(directory), offline=True), TASK).eval()


def plan_of(model: Any, edits: Any) -> Plan:
    base = shape_of(model)
    facts = {"base_model": "tiny", "task": "rows", "metric": "accuracy", "strategy": "by hand"}
    return Plan(num_layers=base.depth, base_shape=base, edits=edits, **facts)


def record(small: Any, plan: Plan, directory: Any) -> None:
    kept, factors = plan.kept_units, plan.factors
    Structure.of(small, plan_id=plan.id, kept=kept, factors=factors).save(directory)


def logits(model: Any, tokenizer: Any) -> Any:
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        return forward(model, batch).logits


@pytest.mark.parametrize("kind", EDITS)
def test_an_edit_keeps_what_its_checks_promise(kind: str, checkpoint: Any, tmp_path: Any) -> None:
    model, tokenizer = load(checkpoint), load_tokenizer(ModelSource(str(checkpoint)))
    edits = EDITS[kind]
    checks = frozenset.intersection(*(edit.checks for edit in edits))
    assert checks <= ALL_CHECKS
    plan = plan_of(model, edits)
    assert Plan.load(plan.save(tmp_path / "plan.json")) == plan
    try:
        small = plan.apply(model).eval()
    except ModelError as error:  # layers that transformers 4.57 tells by their number
        pytest.skip(error.what)
    assert shape_of(small) == plan.shape
    if plan.kept_tokens is not None:
        before = logits(plan.whole_vocabulary.apply(model).eval(), tokenizer)
        tokenizer = trim_tokenizer(tokenizer, plan.kept_tokens)
    # Factors are fitted to the rows of the tokens that stay: with fewer they are others.
    if plan.kept_tokens is not None and plan.factors is None:
        np.testing.assert_allclose(logits(small, tokenizer), before, atol=SAME)
    wanted = logits(small, tokenizer)

    stock = RemoveLayers(layers=plan.order).compact(model).eval() if plan.order else model
    if plan.kept_units is not None and "masked-is-cut" in checks:
        with masked(stock, plan.kept_units):
            np.testing.assert_allclose(logits(stock, tokenizer), wanted, atol=SAME)

    dense = plan.expand(small).eval()
    np.testing.assert_allclose(logits(dense, tokenizer), wanted, atol=SAME)

    directory = save_checkpoint(dense, tokenizer, tmp_path / "dense")
    from transformers import AutoModelForSequenceClassification

    plain = AutoModelForSequenceClassification.from_pretrained(directory).eval()
    np.testing.assert_allclose(logits(plain, tokenizer), wanted, atol=SAME)

    record(small, plan, directory)
    found = read_structure(directory)
    assert found is not None
    assert found.parameters == sum(p.numel() for p in small.parameters())
    again = load(directory)
    assert shape_of(again) == plan.shape
    np.testing.assert_allclose(logits(again, tokenizer), wanted, atol=SAME)


@pytest.mark.parametrize("kind", ["all", "sublayers", "all and vocabulary", "factors"])
def test_the_onnx_file_is_small_and_right(
    kind: str, encoded: Any, tokenizer: Any, tmp_path: Any
) -> None:
    labels = {"id2label": {0: "bad", 1: "good"}}
    checkpoint = make_checkpoint(tmp_path / "model", num_labels=2, **WIDE, **labels)
    model = load(checkpoint)
    plan = plan_of(model, EDITS[kind])
    small = plan.apply(model).eval()
    rows = encoded
    if plan.kept_tokens is not None:
        tokenizer = trim_tokenizer(tokenizer, plan.kept_tokens)
        rows = random_rows(tokenizer, 32, seed=0)
    directory = save_checkpoint(plan.expand(small), tokenizer, tmp_path / "dense")
    record(small, plan, directory)
    whole = export_onnx(checkpoint, tmp_path / "whole.onnx", export_task="text-classification")
    file = export_onnx(directory, tmp_path / "model.onnx", export_task="text-classification")
    assert file.bytes < whole.bytes
    report = check_parity(
        [file],
        directory,
        rows,
        tokenizer,
        auto_class="AutoModelForSequenceClassification",
        max_length=32,
        threads=THREADS,
    )
    report.require()
    # The mask of some exporters is looked up so, in the whole model too.
    assert copies_of(file.path) == copies_of(whole.path)


def copies_of(path: Any) -> list[str]:
    """Gathers and scatters of computed numbers, by name, those of one fixed place left out.

    Heads and neurons have one producer and one consumer, so nothing is copied for them (UPSCALE,
    arXiv 2307.08771): what is looked up is in tables, a row a token.
    """
    graph = onnx.load(path).graph
    tables = {one.name for one in graph.initializer}
    fixed = {one.name for one in graph.initializer if np.prod(one.dims) == 1}
    for node in graph.node:
        if node.op_type == "Constant":
            value = next((one.t for one in node.attribute if one.name == "value"), None)
            if value is None or np.prod(value.dims) == 1:
                fixed.add(node.output[0])
    return [
        node.name
        for node in graph.node
        if node.op_type.startswith(("Gather", "Scatter"))
        and node.input[0] not in tables
        and node.input[1] not in fixed
    ]
