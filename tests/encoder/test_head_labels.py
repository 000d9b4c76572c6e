"""Labels of a checkpoint against labels of the data: DESIGN's table, row by row."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from glp_export.core.errors import ModelError
from glp_export.encoder import ModelSource, load_checkpoint, load_model
from glp_export.encoder.head import output_layer
from glp_export.tasks import KINDS, Task
from tests.tiny import auto_class_of, make_checkpoint

CLASSES = "text-classification"


def checkpoint(directory: Path, names: Sequence[Any] | None, *, family: str = "bert", **to: Any):
    """A classifier whose config.json has these labels, as JSON writes them."""
    number = to.pop("rows", None) or (2 if names is None else len(names))
    make_checkpoint(directory, family, layers=1, num_labels=number, **to)
    if names is not None:
        config = json.loads((directory / "config.json").read_text())
        config["id2label"] = {str(index): name for index, name in enumerate(names)}
        config["label2id"] = {str(name): index for index, name in enumerate(names)}
        (directory / "config.json").write_text(json.dumps(config))
    return directory


def task(labels: Sequence[str], kind: str = CLASSES) -> Task:
    return Task("t", kind, ("text",), "label", tuple(labels), KINDS[kind].metric_for(labels))


def rows_of(directory: Path, labels: Sequence[str], kind: str = CLASSES) -> list[int | None]:
    """For each label of the data the row of the checkpoint's head that it got; None for a new one.

    The last layer's weights and, where it has them, biases are compared.
    """
    from safetensors.torch import save_file

    path = directory / "model.safetensors"
    weights = load_file(path)
    biases = [name for name in weights if name.endswith("bias") and "encoder" not in name]
    for name in biases:  # transformers begins with zeros, which look alike
        weights[name] = torch.arange(float(len(weights[name])))
    save_file(weights, path, metadata={"format": "pt"})
    config = json.loads((directory / "config.json").read_text())
    head = KINDS[kind].auto_class.removeprefix("AutoModel")
    config["architectures"] = [config["architectures"][0].partition("For")[0] + head]
    (directory / "config.json").write_text(json.dumps(config))
    model = load_model(ModelSource(str(directory), offline=True), task(labels, kind))
    assert [model.config.id2label[index] for index in range(len(labels))] == list(labels)
    name, layer = output_layer(model) or pytest.fail("no head")
    before = weights[f"{name}.weight"]
    found: list[int | None] = []
    for row, own in enumerate(layer.weight):
        same = [index for index, old in enumerate(before) if torch.equal(own, old)]
        found.append(same[0] if same else None)
        if same and layer.bias is not None:
            assert layer.bias[row] == weights[f"{name}.bias"][same[0]]
    return found


@pytest.mark.parametrize("kind", [CLASSES, "multi-label-classification", "token-classification"])
@pytest.mark.parametrize(
    ("names", "labels", "rows"),
    [
        (["good", "bad"], ["bad", "good"], [1, 0]),
        (["bad", "good"], ["bad", "good"], [0, 1]),
        (["POSITIVE", "NEGATIVE"], ["negative", "positive"], [1, 0]),
        (["c", "a", "b"], ["a", "b", "c"], [1, 2, 0]),
        (["O", "B-a", "I-a"], ["B-a", "I-a", "O"], [1, 2, 0]),
        (["Good", "good"], ["good", "Good"], [1, 0]),
        (["not good ", "good"], ["good", "not good"], [1, 0]),
        ([True, False], ["False", "True"], [1, 0]),
        (["1", "0"], ["0", "1"], [1, 0]),
        ([1, 0], ["0", "1"], [1, 0]),
        (["2.0", "10.0"], ["2", "10"], [0, 1]),
        (["10", "2"], ["2", "10"], [1, 0]),
        (["LABEL_0", "LABEL_1"], ["0", "1"], [0, 1]),
        (["label_1", "label_0"], ["0", "1"], [1, 0]),
        (["0", "1"], ["LABEL_0", "LABEL_1"], [0, 1]),
        ([f"LABEL_{n}" for n in range(12)], [str(n) for n in range(12)], list(range(12))),
        (None, ["0", "1"], [0, 1]),
        (["straße", "İ"], ["İ", "STRASSE"], [1, 0]),
    ],
)
def test_the_heads_rows_follow_the_names(
    tmp_path: Path, kind: str, names: list[Any] | None, labels: list[str], rows: list[int]
) -> None:
    assert rows_of(checkpoint(tmp_path, names), labels, kind) == rows


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (None, ["bad", "good"]),
        (["LABEL_0", "LABEL_1"], ["False", "True"]),
        (["LABEL_0", "LABEL_1"], ["1", "2"]),
        ([f"LABEL_{n}" for n in range(5)], ["1", "2", "3", "4", "5"]),
    ],
)
def test_what_a_number_means_is_never_guessed(
    tmp_path: Path, names: list[str] | None, labels: list[str]
) -> None:
    error = refusal(checkpoint(tmp_path, names), labels)
    assert "does not name its labels" in error.what
    assert "--teacher finetune" in str(error.fix)


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["good", "bad"], ["good", "ugly"]),
        (["good", "bad", "ugly"], ["bad", "good"]),
        (["good", "bad"], ["bad", "good", "ugly"]),
        (["0", "1"], ["1", "2"]),
        (["O", "B-a", "I-a"], ["B-a", "O"]),
        (["good", "bad"], ["Good", "good"]),
        (["good", "good"], ["bad", "good"]),
    ],
)
def test_a_partial_overlap_is_refused_with_both_lists(
    tmp_path: Path, names: list[str], labels: list[str]
) -> None:
    error = refusal(checkpoint(tmp_path, names), labels)
    for label in (*names, *labels):
        assert f"'{label}'" in error.what


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["cat", "dog"], ["bad", "good"]),
        (["cat", "dog", "bird"], ["bad", "good"]),
        (None, ["a", "b", "c"]),
        (["LABEL_0", "LABEL_1", "LABEL_2"], ["0", "1"]),
        (["0", "1"], ["bad", "good"]),
        (["bad", "good"], ["0", "1"]),
    ],
)
def test_other_labels_get_a_new_head_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, names: list[str] | None, labels: list[str]
) -> None:
    directory = checkpoint(tmp_path, names)
    with caplog.at_level(logging.WARNING, "glp_export"):
        assert rows_of(directory, labels) == [None] * len(labels)
        rows_of(directory, labels)
    said = [record.message for record in caplog.records if "new head" in record.message]
    assert len(said) == 1
    assert labels[0] in said[0]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (CLASSES, {"architectures": ["BertForTokenClassification"]}),
        ("token-classification", {"architectures": ["BertForSequenceClassification"]}),
        (CLASSES, {"problem_type": "multi_label_classification"}),
        ("multi-label-classification", {"problem_type": "single_label_classification"}),
    ],
)
def test_a_head_of_another_kind_is_not_taken_for_its_labels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str, said: dict[str, Any]
) -> None:
    directory = checkpoint(tmp_path, ["bad", "good"])
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**config, **said}))
    before = load_file(directory / "model.safetensors")["classifier.weight"]
    model, own = load_checkpoint(
        ModelSource(str(directory), offline=True), task(["bad", "good"], kind)
    )
    assert not own
    assert not torch.equal(model.classifier.weight, before)
    assert "another kind of task" in caplog.text


def test_whether_a_head_is_the_checkpoints_own_is_told(tmp_path: Path) -> None:
    def own(directory: Path, labels: Sequence[str], kind: str = CLASSES, **to: Any) -> bool:
        source = ModelSource(str(directory), offline=True)
        return load_checkpoint(source, task(labels, kind), **to).own_head

    fitting = checkpoint(tmp_path / "fitting", ["good", "bad"])
    assert own(fitting, ["bad", "good"])
    assert not own(fitting, ["cat", "dog"])
    assert not own(fitting, ["good", "ugly"], doubtful=False)
    unnamed = checkpoint(tmp_path / "unnamed", None)
    assert own(unnamed, ["0", "1"])
    assert not own(unnamed, ["bad", "good"], doubtful=False)
    assert not own(make_checkpoint(tmp_path / "bare", layers=1), ["bad", "good"])
    assert own(checkpoint(tmp_path / "one", ["LABEL_0"]), (), "regression")
    assert not own(make_checkpoint(tmp_path / "encoder", layers=1), (), "masked-language-model")


def test_a_new_head_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    source = ModelSource(str(checkpoint(tmp_path, ["cat", "dog"])), offline=True)
    heads = []
    for _ in range(2):
        torch.manual_seed(3)
        heads.append(load_model(source, task(["bad", "good"])).classifier)
    assert torch.equal(heads[0].weight, heads[1].weight)
    assert heads[0].bias.count_nonzero() == 0
    assert 0 < heads[0].weight.std() < 0.05


@pytest.mark.parametrize("family", ["bert", "roberta", "electra", "distilbert", "deberta-v2", "t5"])
def test_logits_follow_in_every_family(tmp_path: Path, family: str) -> None:
    import transformers

    names = ["c", "a", "d", "b"]
    directory = checkpoint(tmp_path, names, family=family)
    kind = "token-classification" if family == "t5" else CLASSES
    ids = torch.tensor([[2, 7, 8, 3]])
    plain = getattr(transformers, auto_class_of(family)).from_pretrained(directory).eval()
    ours = load_model(ModelSource(str(directory), offline=True), task(sorted(names), kind)).eval()
    with torch.no_grad():
        expected, found = plain(ids).logits, ours(ids).logits
    torch.testing.assert_close(found, expected[..., [names.index(name) for name in sorted(names)]])
    assert expected.std() > 0


def test_the_last_layer_is_told_from_one_before_it_that_is_as_wide(tmp_path: Path) -> None:
    names = [f"class {number:02}" for number in reversed(range(32))]  # the width of the encoder
    directory = checkpoint(tmp_path, names, family="roberta")
    assert rows_of(directory, sorted(names)) == list(reversed(range(32)))


def test_a_pretrained_encoder_has_no_labels_that_could_disagree(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = make_checkpoint(tmp_path, layers=1)
    config = json.loads((directory / "config.json").read_text())
    config["id2label"] = {"0": "good", "1": "ugly"}  # of a fine-tuned model, saved without its head
    (directory / "config.json").write_text(json.dumps(config))
    load_model(ModelSource(str(directory), offline=True), task(["bad", "good"]))
    assert not caplog.records


def test_names_may_stand_in_label2id_alone(tmp_path: Path) -> None:
    directory = checkpoint(tmp_path, None)
    config = json.loads((directory / "config.json").read_text())
    config.pop("id2label", None)
    config["label2id"] = {"good": 0, "bad": 1}
    (directory / "config.json").write_text(json.dumps(config))
    assert rows_of(directory, ["bad", "good"]) == [1, 0]


@pytest.mark.parametrize("ids", [{"0": "a", "2": "b"}, {"1": "a", "2": "b"}])
def test_ids_with_a_hole_are_named(tmp_path: Path, ids: dict[str, str]) -> None:
    directory = checkpoint(tmp_path, None)
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**config, "id2label": ids}))
    assert "id2label" in refusal(directory, ["a", "b"]).what


def test_a_configuration_that_names_another_number_than_the_head_has_rows(tmp_path: Path) -> None:
    assert "2 labels" in refusal(checkpoint(tmp_path / "one", ["a", "b"], rows=3), ["a", "b"]).what
    assert "2 labels" in refusal(checkpoint(tmp_path / "two", ["x", "y"], rows=3), list("abc")).what


def test_a_regression_keeps_its_one_row_and_says_when_it_gets_a_new_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = ModelSource(str(checkpoint(tmp_path / "one", ["LABEL_0"])), offline=True)
    before = load_model(one, task((), "regression")).classifier.weight
    assert torch.equal(before, load_model(one, task((), "reranking")).classifier.weight)
    assert not caplog.records
    three = checkpoint(tmp_path / "nli", ["entailment", "neutral", "contradiction"])
    load_model(ModelSource(str(three), offline=True), task((), "reranking"))
    assert "a new head" in caplog.text


def refusal(directory: Path, labels: Sequence[str]) -> ModelError:
    with pytest.raises(ModelError) as caught:
        load_model(ModelSource(str(directory), offline=True), task(labels))
    assert caught.value.exit_code == 7
    assert str(directory) in str(caught.value.where)
    assert caught.value.fix
    return caught.value
