from __future__ import annotations

import numpy as np
import pytest

from glp_export.artifact import StoredInputs, describe, export_onnx
from glp_export.core.errors import ParityError
from glp_export.encoder import ModelSource, load_tokenizer, random_rows

AUTO_CLASS = "AutoModelForSequenceClassification"


@pytest.fixture(scope="module")
def stored(classifier) -> StoredInputs:
    tokenizer = load_tokenizer(ModelSource(str(classifier)))
    rows = random_rows(tokenizer, 32, seed=0)
    return StoredInputs.compute(
        classifier, rows, tokenizer, auto_class=AUTO_CLASS, max_length=32, threads=1
    )


@pytest.fixture(scope="module")
def file(classifier, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    return export_onnx(classifier, path, export_task="text-classification")


def test_what_is_saved_is_loaded(stored, tmp_path):
    loaded = StoredInputs.load(stored.save(tmp_path / "inputs.npz"))
    assert [case.name for case in loaded.cases] == [case.name for case in stored.cases]
    for mine, theirs in zip(loaded.logits, stored.logits, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    # Padding is where masks go wrong, and these are the shapes that exports freeze.
    assert any((case.batch["attention_mask"] == 0).any() for case in loaded.cases)
    assert {case.shape[0] for case in loaded.cases} >= {1, 3}


def test_the_right_file_passes(stored, file, tmp_path):
    loaded = StoredInputs.load(stored.save(tmp_path / "inputs.npz"))
    report = loaded.check([file], provider="cpu", threads=1)
    assert report.passed
    assert report.files[0].samples == 16


def test_a_file_with_other_weights_fails(stored, file, tmp_path):
    import onnx
    from onnx import numpy_helper

    model = onnx.load(file.path)
    (bias,) = (t for t in model.graph.initializer if t.name == "classifier.bias")
    first, second = stored.logits[0][0]
    towards_the_other = np.array([1, -1], dtype=np.float32) * np.sign(second - first)
    shifted = numpy_helper.to_array(bias) + towards_the_other
    bias.CopyFrom(numpy_helper.from_array(shifted, bias.name))
    onnx.save(model, tmp_path / "model.onnx")
    loaded = StoredInputs.load(stored.save(tmp_path / "inputs.npz"))
    report = loaded.check([describe(tmp_path / "model.onnx")], provider="cpu", threads=1)
    assert not report.passed
    # From the stored rows: their numbers are known after loading too.
    assert report.files[0].disagreements


@pytest.mark.parametrize("content", [None, b"", b"not a zip", b"PK\x03\x04"])
def test_broken_inputs(content, tmp_path):
    path = tmp_path / "inputs.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ParityError) as raised:
        StoredInputs.load(path)
    assert raised.value.where == str(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("0|rows|input_ids", np.zeros(3, dtype=np.int64)),
        ("0|rows|input_ids", np.array("x")),
        ("0|rows|attention_mask", np.ones((2, 3), dtype=np.int64)),
        ("0|rows|logits", np.zeros(3, dtype=np.float32)),
        ("0|rows|logits", np.full((8, 2), np.nan, dtype=np.float32)),
        ("0|rows|logits", np.zeros((8, 3), dtype=np.float32)),
        ("kind", np.array("guessing")),
        (None, None),
    ],
)
def test_arrays_that_are_no_batches_with_answers(stored, tmp_path, name, value):
    path = stored.save(tmp_path / "inputs.npz")
    arrays = dict(np.load(path))
    assert name is None or name in arrays
    kept = {"kind": arrays["kind"]} if name is None else {**arrays, name: value}
    np.savez(path, **kept)
    with pytest.raises(ParityError, match="stored inputs") as caught:
        StoredInputs.load(path)
    assert str(path) in str(caught.value)
