from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from glp_export.compress.compressors.layers.layer_file import read_layer_file
from glp_export.compress.compressors.layers.search import read_plan
from glp_export.compress.edits import (
    KroneckerFactors,
    PruneHeads,
    PruneNeurons,
    RemoveLayers,
    SparsifyBlocks,
    TrimVocabulary,
)
from glp_export.compress.plan import Candidate, Cost, Plan, Step
from glp_export.compress.steps import Part
from glp_export.core.errors import DataError, UsageError
from glp_export.core.factors import PRESETS, Factors
from glp_export.core.shape import LayerShape, ModelShape

V1_DIGEST = "d0956f268dab3dbb29f079906f9e3b3921115bc34aa67bf90e80b6760bfc3340"

FACTS = {"base_model": "some/bert", "num_layers": 12, "task": "rte", "metric": "accuracy"}


def plan(**changes) -> Plan:
    step = Step(
        removed=(7,),
        score=0.8,
        sample_size=300,
        candidates=(Candidate(removed=(7,), score=0.8, seconds=3.0),),
    )
    fields = {"strategy": "greedy", "order": (7, 0), "steps": (step,), "cost": Cost(seconds=3.0)}
    return Plan.of_layers(**{**FACTS, **fields, **changes})


def test_what_is_saved_is_read_back(tmp_path):
    assert Plan.load(plan().save(tmp_path / "plan.json")) == plan()


def test_kept_layers_and_depth():
    assert plan().kept == (1, 2, 3, 4, 5, 6, 8, 9, 10, 11)
    assert plan().depth == 10


def test_the_digest_is_of_the_decision_not_of_the_clock():
    slower = Candidate(removed=(7,), score=0.8, seconds=99.0)
    step = plan().steps[0].model_copy(update={"candidates": (slower,)})
    assert plan(steps=(step,), cost=Cost.of_part(Part.CHOICE, 99.0)).digest == plan().digest
    assert plan(order=(0, 7)).digest != plan().digest


def test_a_plan_that_was_edited_is_refused(tmp_path):
    path = plan().save(tmp_path / "plan.json")
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "edits": [{"kind": "remove-layers", "layers": [3, 0]}]}))
    with pytest.raises(DataError, match="changed after it was written"):
        Plan.load(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "cannot be read"),
        ("[]", "cannot be read"),
        ("{}", "not a plan: base_model"),
        (json.dumps({**FACTS, "strategy": "x", "order": [1, 1]}), "a layer twice"),
        (json.dumps({**FACTS, "strategy": "x", "order": [12]}), "leaves the 12 layers"),
        (json.dumps({**FACTS, "strategy": "x", "order": [1], "oder": 1}), "oder"),
    ],
)
def test_files_that_are_no_plan(tmp_path, content, message):
    path = tmp_path / "plan.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        Plan.load(path)


def test_a_plan_of_schema_1_is_one_removal_of_layers(tmp_path):
    """Its digest is checked by the rule of its own schema."""
    content = {"schema_version": 1, **FACTS, "strategy": "greedy", "order": [7, 0]}
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({**content, "digest": V1_DIGEST}))
    assert Plan.load(path).edits == (RemoveLayers(layers=(7, 0)),)
    path.write_text(json.dumps({**content, "order": [0, 7], "digest": V1_DIGEST}))
    with pytest.raises(DataError, match="changed after it was written"):
        Plan.load(path)


@pytest.mark.parametrize("version", [0, 3, "2", None])
def test_an_unknown_schema_is_refused(tmp_path, version):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({**FACTS, "strategy": "x", "schema_version": version}))
    with pytest.raises(DataError, match="schema version"):
        Plan.load(path)


def test_sizes_in_a_plan_are_bounded(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({**FACTS, "num_layers": 10**7, "strategy": "x", "order": [0]}))
    with pytest.raises(DataError, match="num_layers"):
        Plan.load(path)


def test_the_id_is_of_model_and_edits_alone():
    assert plan(order=(0, 7)).id == plan().id  # the same layers go, in another order
    assert plan(strategy="fast-greedy", task="sst2").id == plan().id
    assert plan(order=(7,)).id != plan().id
    assert plan(checksum="abc").id != plan().id


def wide(**changes) -> Plan:
    layer = LayerShape(heads=4, head_size=8, neurons=64)
    base = ModelShape(layers=(layer,) * 3, vocabulary=100, hidden_size=32)
    edits = (
        RemoveLayers(layers=(1,)),
        PruneHeads(heads=((0, 2), ())),
        PruneNeurons(neurons=(tuple(range(32)), (5, 6))),
    )
    fields = {"strategy": "obs", "compressors": ("structure",), "base_shape": base, "edits": edits}
    return Plan(**{**FACTS, "num_layers": 3, **fields, **changes})


def test_edits_inside_layers_count_what_the_removal_left(tmp_path):
    assert Plan.load(wide().save(tmp_path / "plan.json")) == wide()
    assert [(one.heads, one.neurons) for one in wide().shape.layers] == [(2, 32), (0, 2)]
    assert not wide().layers_only
    assert wide().label == "2 layers, 17 % of heads, 18 % of neurons"
    with pytest.raises(UsageError, match="more than whole layers"):
        wide().cut(1)


@pytest.mark.parametrize(
    "changes",
    [
        {"edits": (PruneHeads(heads=((9,), (), ())),)},  # no such head
        {"edits": (PruneHeads(heads=((0,),)),)},  # one layer of three
        {"base_shape": None},
    ],
)
def test_edits_that_do_not_fit_the_model_are_refused(changes):
    with pytest.raises(ValueError, match="edits"):
        wide(**changes)


def test_a_prefix_of_the_order_is_a_plan():
    assert plan().cut(1).order == (7,)
    with pytest.raises(UsageError, match="removes 2 layers, 3 were asked for"):
        plan().cut(3)


@pytest.mark.parametrize("content", [None, b"\xff\xfe0\n"])
def test_a_layer_file_that_cannot_be_read_says_what_would_do(content, tmp_path):
    path = tmp_path / "layers.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError) as told:
        read_layer_file(path)
    assert "Errno" not in str(told.value)
    assert "plan.json" in str(told.value.fix)


def test_the_authors_layer_file_is_a_plan_for_this_model(tmp_path):
    path = tmp_path / "bert_rte_greedy.txt"
    path.write_text("0\n7\n5\n")
    assert read_layer_file(path) == (0, 7, 5)
    read = read_plan(str(path), 12, FACTS)
    assert read.order == (0, 7, 5)
    assert read.base_model == "some/bert"


def test_a_plan_of_a_deeper_model_is_refused(tmp_path):
    path = tmp_path / "orders.txt"
    path.write_text("0\n11\n")
    with pytest.raises(UsageError, match="this one has 6"):
        read_plan(str(path), 6, {**FACTS, "num_layers": 6})


def test_tokens_of_another_vocabulary_are_refused(tmp_path):
    layers = (LayerShape(heads=4, head_size=8, neurons=64),) * 12
    base = ModelShape(layers=layers, vocabulary=100, hidden_size=32)
    path = tmp_path / "plan.json"
    kept = TrimVocabulary(tokens=tuple(range(40)))
    plan().model_copy(update={"base_shape": base, "edits": (kept,)}).save(path)
    assert read_plan(str(path), 12, {**FACTS, "base_shape": base}).kept_tokens == kept.tokens
    other = base.model_copy(update={"vocabulary": 90})
    with pytest.raises(UsageError, match="tokens"):
        read_plan(str(path), 12, {**FACTS, "base_shape": other})
    plan(base_shape=base).save(path)  # layers alone go of either
    assert read_plan(str(path), 12, {**FACTS, "base_shape": other}).order == (7, 0)


@pytest.mark.parametrize("text", ["", "\n\n", "1\ntwo\n", "-1\n", "1.5\n"])
def test_layer_files_that_are_none(tmp_path, text):
    path = tmp_path / "order.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=r"empty|not a layer number"):
        read_layer_file(path)


def plan_of(*edits: Any) -> Plan:
    base = ModelShape(
        layers=(LayerShape(heads=2, head_size=8, neurons=16),) * 3, vocabulary=9, hidden_size=16
    )
    facts = {"base_model": "tiny", "task": "rows", "metric": "accuracy", "strategy": "by hand"}
    return Plan(num_layers=3, base_shape=base, edits=edits, **facts)


def test_factors_are_what_a_plan_ends_with(tmp_path) -> None:
    trim, layers = TrimVocabulary(tokens=(0, 2, 4, 8)), RemoveLayers(layers=(1,))
    factors = KroneckerFactors.of(PRESETS["x21"])
    made = plan_of(layers, trim, factors)
    assert Plan.load(made.save(tmp_path / "plan.json")) == made
    assert made.factors == PRESETS["x21"]
    assert made.order == (1,)
    assert not made.layers_only
    assert not made.inside_layers
    assert "factors" in made.label
    assert made.id != plan_of(layers, trim, KroneckerFactors.of(PRESETS["x8"])).id
    narrow = PruneHeads(heads=((0,), (0, 1), (1,)))
    for edits in ((factors, layers), (factors, trim), (factors, factors), (narrow, factors)):
        with pytest.raises(ValidationError, match="factors"):
            plan_of(*edits)
    with pytest.raises(ValidationError):
        KroneckerFactors(attention=Factors((0, 2)), feed_forward=Factors((2, 2)))


def test_sparse_blocks_are_of_whole_matrices(tmp_path) -> None:
    trim, layers = TrimVocabulary(tokens=(0, 2, 4, 8)), RemoveLayers(layers=(1,))
    blocks = SparsifyBlocks(block=(4, 8), keep=0.25)
    made = plan_of(layers, blocks, trim)
    assert Plan.load(made.save(tmp_path / "plan.json")) == made
    assert (made.blocks, made.order) == (blocks, (1,))
    assert made.whole_blocks == plan_of(layers, trim)
    assert not made.layers_only
    assert "25 %" in made.label
    narrow, factors = PruneHeads(heads=((0,), (0, 1), (1,))), KroneckerFactors.of(PRESETS["x21"])
    for edits in ((blocks, layers), (blocks, blocks), (narrow, blocks), (blocks, factors)):
        with pytest.raises(ValidationError):
            plan_of(*edits)
    for wrong in ({"keep": 0}, {"keep": 1.5}, {"block": (0, 8)}, {"block": (8, 2000)}):
        with pytest.raises(ValidationError):
            SparsifyBlocks(**{"block": (4, 8), "keep": 0.25, **wrong})


def test_tokens_are_part_of_a_plan() -> None:
    plan = plan_of
    trim = TrimVocabulary(tokens=(0, 2, 4, 8))
    both = plan(trim, RemoveLayers(layers=(1,)))
    assert both.order == (1,)
    assert both.kept_tokens == (0, 2, 4, 8)
    assert not both.layers_only
    assert not both.inside_layers
    assert both.whole_vocabulary == plan(RemoveLayers(layers=(1,)))
    assert both.shape is not None
    assert both.shape.vocabulary == 4
    assert "44 % of the vocabulary" in both.label
    assert "heads" not in both.label
    assert plan(trim, TrimVocabulary(tokens=(1, 3))).kept_tokens == (2, 8)
    assert plan(trim).id != plan(TrimVocabulary(tokens=(0, 2, 4))).id
    for tokens in ((0, 9), (2, 1), (1, 1), (), (-1, 2)):
        with pytest.raises(ValidationError):
            plan(TrimVocabulary(tokens=tokens))
