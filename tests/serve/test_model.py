from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glp_export
from glp_export.artifact import ArtifactLayout
from glp_export.artifact.serving import Measured
from glp_export.core.errors import DataError, DeviceError, ModelError, ParityError, UsageError
from glp_export.core.machine import usable_cores
from tests.serve.conftest import LABELS, PARTNERS, TEXTS, edit, pytorch_logits, settle

CPU = "CPUExecutionProvider"
# fp32 sums in another order; logits here are of the order of 1.
CLOSE = {"atol": 1e-4, "rtol": 0}

Make = Callable[..., Path]


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_logits_are_those_of_pytorch(artifact: Make, family: str) -> None:
    root = artifact(family)
    model = glp_export.load(root)
    expected = pytorch_logits(root, TEXTS)
    assert expected.std(axis=0).min() > 0.05  # else any answer would do
    logits = model.logits(TEXTS)
    assert (logits.shape, logits.dtype) == ((len(TEXTS), 3), np.float32)
    np.testing.assert_allclose(logits, expected, **CLOSE)
    pairs = pytorch_logits(root, TEXTS, PARTNERS)
    np.testing.assert_allclose(model.logits(TEXTS, PARTNERS), pairs, **CLOSE)
    assert np.abs(pairs - expected).max() > 0.05
    tuples = list(zip(TEXTS, PARTNERS, strict=True))
    np.testing.assert_allclose(model.logits(tuples), pairs, **CLOSE)


def test_labels_and_probabilities(artifact: Make) -> None:
    answers = glp_export.load(artifact("bert"))(TEXTS)
    assert len(answers) == len(TEXTS)
    assert set(answers.labels) <= set(LABELS)
    assert answers.labels == [LABELS[index] for index in answers.logits.argmax(axis=1)]
    # fp32 keeps seven digits.
    np.testing.assert_allclose(answers.probabilities.sum(axis=1), 1, atol=1e-6)
    assert (answers.probabilities.argmax(axis=1) == answers.logits.argmax(axis=1)).all()


def test_one_text_and_none(artifact: Make) -> None:
    model = glp_export.load(artifact("bert"))
    np.testing.assert_allclose(model.logits(TEXTS[0]), model.logits(TEXTS[:1]), **CLOSE)
    none = model([])
    assert none.logits.shape == none.probabilities.shape == (0, 3)
    assert none.labels == []


@pytest.mark.parametrize("batch_tokens", [1, 40, 100_000])
def test_answers_are_in_the_order_of_the_texts_whatever_shares_a_batch(
    artifact: Make, batch_tokens: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glp_export.serve.model._WINDOW", 16)
    texts = random.Random(0).choices(TEXTS, k=50)
    alone = glp_export.load(artifact("bert"))
    together = glp_export.load(artifact("bert"), batch_tokens=batch_tokens)
    expected = np.concatenate([alone.logits(text) for text in texts])
    np.testing.assert_allclose(together.logits(texts), expected, **CLOSE)


def test_threads_may_share_it(artifact: Make) -> None:
    model = glp_export.load(artifact("roberta"))
    expected = model.logits(TEXTS)
    with ThreadPoolExecutor(4) as pool:
        for logits in pool.map(lambda _: model.logits(TEXTS), range(24)):
            np.testing.assert_array_equal(logits, expected)


def test_regression_gives_numbers(artifact: Make) -> None:
    root = artifact("bert", num_labels=1)
    answers = glp_export.load(root)(TEXTS)
    np.testing.assert_allclose(answers.values, pytorch_logits(root, TEXTS)[:, 0], **CLOSE)
    assert glp_export.load(root)([]).values.shape == (0,)
    for name in ("labels", "probabilities"):
        with pytest.raises(UsageError, match=r"\.values"):
            getattr(answers, name)


def test_regression_of_several_numbers_gives_all_of_them(copy: Path) -> None:
    edit(copy / "config.json", problem_type="regression")
    settle(ArtifactLayout(copy), kind="regression", labels=())
    model = glp_export.load(copy)
    assert model.head.outputs > 1
    np.testing.assert_array_equal(model(TEXTS).values, model.logits(TEXTS))
    assert model([]).values.shape == (0, model.head.outputs)
    assert "Answers(" in repr(model(TEXTS))


def test_labels_that_do_not_exclude_each_other(copy: Path) -> None:
    edit(copy / "config.json", problem_type="multi_label_classification")
    with pytest.raises(ParityError, match="text-classification"):  # in ort_config.json still
        glp_export.load(copy, verify=False)
    settle(ArtifactLayout(copy), kind="multi-label-classification")
    answers = glp_export.load(copy)(TEXTS)
    sigmoid = 1 / (1 + np.exp(-answers.logits.astype(np.float64)))
    np.testing.assert_allclose(answers.probabilities, sigmoid, atol=1e-6)  # fp32's seven digits
    with pytest.raises(UsageError, match="several labels"):
        _ = answers.labels
    with pytest.raises(UsageError, match=r"\.labels"):
        _ = answers.values


def test_the_file_that_was_fastest_is_opened_unless_another_is_asked_for(copy: Path) -> None:
    layout = ArtifactLayout(copy)
    shutil.copyfile(layout.onnx_model, layout.variant("fp32-optimized"))
    rows = [
        Measured(CPU, "model.onnx", "1x128", 1, 128, 3.0),
        Measured(CPU, "model_optimized.onnx", "1x128", 1, 128, 2.0),
    ]
    settle(layout, measured=rows)
    assert glp_export.load(copy).path == layout.variant("fp32-optimized")
    assert glp_export.load(copy, precision="fp32").variant == "fp32-optimized"
    assert glp_export.load(copy, variant="fp32").path == layout.onnx_model
    for wrong in ({"precision": "int4"}, {"variant": "none"}):
        with pytest.raises(UsageError, match=r"fp32-optimized \(fp32\)"):
            glp_export.load(copy, **wrong)
    with pytest.raises(UsageError, match="both"):
        glp_export.load(copy, precision="fp32", variant="fp32")


def test_it_runs_on_as_many_threads_as_were_measured_and_no_more_than_there_are(
    copy: Path,
) -> None:
    settle(ArtifactLayout(copy), threads=1000)
    assert glp_export.load(copy).threads == usable_cores()
    assert glp_export.load(copy, threads=3).threads == 3
    settle(ArtifactLayout(copy), threads=1)
    model = glp_export.load(copy)
    assert (model.threads, model.provider) == (1, CPU)
    with pytest.raises(UsageError, match="threads"):
        glp_export.load(copy, threads=0)


def test_an_artifact_without_settings_runs_the_plain_file(copy: Path) -> None:
    ArtifactLayout(copy).serving.unlink()
    with pytest.raises(ModelError, match=r"ort_config\.json"):
        glp_export.load(copy)
    ArtifactLayout(copy).write_checksums()
    model = glp_export.load(copy)
    assert model.path.name == "model.onnx"
    assert model.threads == usable_cores()
    assert model.encoder.max_length == 64  # the tokenizer's


@pytest.mark.parametrize("provider", ["NoSuchExecutionProvider", "openvino"])
def test_a_provider_that_is_not_there(copy: Path, provider: str) -> None:
    with pytest.raises(DeviceError) as caught:
        glp_export.load(copy, provider=provider)
    assert 'provider="cpu"' not in str(caught.value)
    settle(ArtifactLayout(copy), provider="OpenVINOExecutionProvider")
    with pytest.raises(DeviceError, match='provider="cpu"') as caught:
        glp_export.load(copy)
    assert caught.value.exit_code == 6
    assert glp_export.load(copy, provider="cpu").provider == CPU


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "ort_config.json", "onnx/model.onnx"]
)
def test_a_file_that_was_changed_or_lost_is_named(copy: Path, name: str) -> None:
    before = (copy / name).read_bytes()
    (copy / name).write_bytes(before + b"\n")
    with pytest.raises(ModelError, match="SHA-256 differs") as caught:
        glp_export.load(copy)
    assert caught.value.where == str(copy / name)
    if name.endswith(".json"):
        assert glp_export.load(copy, verify=False).logits(TEXTS).shape == (len(TEXTS), 3)
    (copy / name).unlink()
    with pytest.raises(ModelError):
        glp_export.load(copy)


def test_only_what_is_opened_is_read_and_checked(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    (copy / "README.md").write_text("rewritten")
    assert len(glp_export.load(copy)(TEXTS)) == len(TEXTS)


def test_weights_in_a_sidecar_are_checked_too(copy: Path) -> None:
    from glp_export.artifact.onnx_file import read_graph, sidecar, write_graph

    layout = ArtifactLayout(copy)
    expected = glp_export.load(copy).logits(TEXTS)
    write_graph(read_graph(layout.onnx_model, weights=True), layout.onnx_model, threshold=10_000)
    settle(layout)
    np.testing.assert_array_equal(glp_export.load(copy).logits(TEXTS), expected)
    with sidecar(layout.onnx_model).open("ab") as stream:
        stream.write(b"\0")
    with pytest.raises(ModelError, match="onnx_data"):
        glp_export.load(copy)


def test_other_directories_are_refused_with_what_to_open_instead(
    artifact: Make, classifier: Path, tmp_path: Path
) -> None:
    for path in (classifier, tmp_path / "absent"):
        with pytest.raises(ModelError, match="no artifact") as caught:
            glp_export.load(path)
        assert caught.value.exit_code == 7
    sweep = tmp_path / "sweep"
    for depth in (6, 4):
        shutil.copytree(artifact("bert"), sweep / f"{depth}-layers")
    points = [{"directory": f"{depth}-layers"} for depth in (6, 4)]
    (sweep / "glp").mkdir()
    (sweep / "glp" / "frontier.json").write_text(json.dumps({"points": points}))
    with pytest.raises(ModelError, match=r"6-layers, .*4-layers"):
        glp_export.load(sweep)
    assert glp_export.load(sweep / "4-layers")("").labels[0] in LABELS


def test_a_batch_of_no_tokens(artifact: Make) -> None:
    with pytest.raises(UsageError, match="batch_tokens"):
        glp_export.load(artifact("bert"), batch_tokens=0)


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 5000 + "]" * 5000])
def test_a_configuration_that_is_no_json(copy: Path, text: str) -> None:
    (copy / "config.json").write_text(text)
    with pytest.raises(ModelError, match="configuration"):
        glp_export.load(copy, verify=False)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("config.json", {"hidden_size": "x"}),
        ("config.json", {"max_position_embeddings": "x"}),
        ("config.json", {"max_position_embeddings": 3}),
        ("tokenizer_config.json", {"model_max_length": "x"}),
        ("tokenizer_config.json", {"model_max_length": 0}),
        ("tokenizer_config.json", {"model_input_names": 3}),
        ("tokenizer_config.json", {"pad_token": {"text": "[PAD]"}}),
        ("tokenizer_config.json", {"pad_token_type_id": "x"}),
        ("tokenizer_config.json", {"padding_side": "up"}),
        ("tokenizer_config.json", {"truncation_side": "up"}),
    ],
)
def test_settings_of_another_type_are_refused(copy: Path, name: str, change: Any) -> None:
    edit(copy / name, **change)
    with pytest.raises(ModelError, match="a value that it cannot have"):
        glp_export.load(copy, verify=False)


@pytest.mark.parametrize("text", ["{", "[1]", "null", '{"a":' * 5000 + "1" + "}" * 5000])
def test_tokenizer_settings_that_are_no_settings(copy: Path, text: str) -> None:
    (copy / "tokenizer_config.json").write_text(text)
    with pytest.raises(ModelError, match="tokenizer cannot be read"):
        glp_export.load(copy, verify=False)


def test_a_model_of_single_texts_and_one_of_pairs_refuse_each_others_rows(artifact: Make) -> None:
    model = glp_export.load(artifact("bert"))
    pair, texts = [["the cat", "is good"]], ["the cat", "is good"]
    assert model.logits(pair).shape == model.logits(texts[:1]).shape  # nothing says what it reads
    single, paired = (replace(model, reads_pairs=reads) for reads in (False, True))
    for rows in (pair, [tuple(texts)], ["the dog", *pair]):
        with pytest.raises(DataError, match="a pair came"):
            single(rows)
    with pytest.raises(DataError, match="a pair came"):
        single(texts, texts)
    with pytest.raises(DataError, match="came alone"):
        paired(texts)
    np.testing.assert_array_equal(single.logits(texts), model.logits(texts))
    np.testing.assert_array_equal(paired.logits(pair), model.logits(pair))


def test_a_graph_with_other_inputs_is_refused(copy: Path) -> None:
    from glp_export.artifact.onnx_file import read_graph, write_graph

    path = ArtifactLayout(copy).onnx_model
    graph = read_graph(path, weights=True)
    graph.graph.input.append(graph.graph.input[0])
    graph.graph.input[-1].name = "bbox"
    write_graph(graph, path)
    with pytest.raises(ModelError, match="bbox"):
        glp_export.load(copy, verify=False)


def settings_of(**changes: Any) -> Any:
    from glp_export.serve.settings import Settings

    return Settings(**changes)


def test_a_provider_that_nothing_was_measured_on_runs_the_plain_file() -> None:
    from glp_export.serve.settings import PLAIN, ProviderSettings, ServedFile

    half = ServedFile("model_fp16.onnx", "fp16", "fp16")
    own = {CPU: ProviderSettings(order=("model_fp16.onnx", "model.onnx"))}
    settings = settings_of(files=(half, PLAIN), providers=own)
    assert settings.choose(CPU) == half
    assert settings.choose("CUDAExecutionProvider") == PLAIN
    assert settings.choose("CUDAExecutionProvider", precision="fp16") == half


def test_threads_that_no_machine_has_are_refused(artifact: Make) -> None:
    for threads in (0, -1, 10**8, "x", "1", 1.5, True):
        with pytest.raises(UsageError, match="threads"):
            glp_export.load(artifact("bert"), threads=threads)


def test_arguments_of_another_type_are_refused(artifact: Make) -> None:
    for name in ("provider", "precision", "variant", "runtime"):
        with pytest.raises(UsageError, match=name):
            glp_export.load(artifact("bert"), **{name: 3})
    for wrong in ("x", 1.5, float("nan"), True):
        with pytest.raises(UsageError, match="batch_tokens"):
            glp_export.load(artifact("bert"), batch_tokens=wrong)
    served = glp_export.load(artifact("bert"), threads=np.int64(1))
    assert "1 thread)" in repr(served)
