"""What a served model is given: rows, and what is no list of rows."""

from __future__ import annotations

import copy as copying
import json
import os
import pickle
from collections import ChainMap, OrderedDict, UserDict
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import glp_export
from glp_export.artifact import ArtifactLayout
from glp_export.core import machine
from glp_export.core.errors import DataError, ModelError, ParityError
from glp_export.serve.kinds.words import as_words
from glp_export.serve.rows import as_rows
from tests.serve.conftest import TEXTS, edit, settle

Make = Callable[..., Path]

COLUMNS = {"text": ["the cat", "a dog"], "text_pair": ["is good", "is bad"]}


def tables() -> list[Any]:
    from datasets import Dataset, DatasetDict

    dataset = Dataset.from_dict(COLUMNS)
    return [
        COLUMNS,
        OrderedDict(COLUMNS),
        UserDict(COLUMNS),
        ChainMap(COLUMNS),
        MappingProxyType(COLUMNS),
        pd.DataFrame(COLUMNS),
        pa.table(COLUMNS),
        pa.record_batch(COLUMNS),
        dataset,
        dataset.to_iterable_dataset(),
        DatasetDict({"train": dataset}),
        {"text": "the cat"}.items(),
        {},
    ]


@pytest.mark.parametrize("read", [lambda given: as_rows(given, None), as_words])
def test_what_iterates_over_its_columns_is_refused_with_the_call_that_works(read):
    for given in tables():
        with pytest.raises(DataError, match="columns") as caught:
            read(given)
        assert "model(data[" in (caught.value.fix or "")


@pytest.mark.parametrize("given", [None, 3, 2.5, True, np.array("text"), np.array(1.0), object])
def test_what_does_not_iterate_is_refused(given):
    for read in (lambda texts: as_rows(texts, None), as_words):
        with pytest.raises(DataError, match="neither a text nor several"):
            read(given)
    if given is not None:
        with pytest.raises(DataError) as caught:
            as_rows(["one"], given)
        assert caught.value.where == "text_pairs"


@pytest.mark.parametrize("given", [b"text", bytearray(b"text"), memoryview(b"text"), [b"text"]])
def test_bytes_are_to_be_decoded(given):
    with pytest.raises(DataError, match="text") as caught:
        as_rows(given, None)
    assert "decode" in (caught.value.fix or "")


def test_a_set_has_no_order():
    for given in ({"a", "b"}, frozenset("ab")):
        with pytest.raises(DataError, match="order"):
            as_rows(given, None)


def test_a_second_column_is_looked_at_too():
    with pytest.raises(DataError, match="text_pairs are a dict"):
        as_rows(["a", "b"], COLUMNS)


def test_rows_of_other_kinds_are_taken():
    frame = pd.DataFrame(COLUMNS)
    for given in (frame["text"], frame["text"].to_numpy(), iter(COLUMNS["text"]), ["ab"]):
        assert all(isinstance(row, str) for row in as_rows(given, None))
    pairs = as_rows(frame["text"], frame["text_pair"])
    assert pairs == list(zip(*COLUMNS.values(), strict=True))
    assert as_rows(frame.itertuples(index=False), None) == pairs


def test_rows_that_are_mappings_are_told_of():
    with pytest.raises(DataError, match="no text") as caught:
        as_rows([{"text": "a"}], None)
    assert "row['text'] for row" in (caught.value.fix or "")


@pytest.mark.parametrize("given", [np.array([["a", "b"]]), pa.array(["a"])])
def test_rows_of_an_array_say_which_call_works(given):
    with pytest.raises(DataError, match="no text") as caught:
        as_rows(given, None)
    assert "list" in (caught.value.fix or "")


def test_another_number_of_partners_says_what_to_do():
    with pytest.raises(DataError, match="2 texts have 1 partners") as caught:
        as_rows(["a", "b"], "c")
    assert "model(" in (caught.value.fix or "")


def test_a_pickle_and_a_copy_are_opened_anew(artifact: Make, monkeypatch, tmp_path) -> None:
    root = artifact("bert")
    monkeypatch.chdir(root.parent)
    model = glp_export.load(root.name, threads=1, batch_tokens=64)
    sent = pickle.dumps(model)
    monkeypatch.chdir(tmp_path)
    expected = model.logits(TEXTS)
    for again in (pickle.loads(sent), copying.deepcopy(model), copying.copy(model)):
        np.testing.assert_array_equal(again.logits(TEXTS), expected)
        assert (again.variant, again.threads, again.batch_tokens) == (model.variant, 1, 64)


def test_a_pickle_of_what_was_not_verified_is_not_either(copy: Path) -> None:
    settings = copy / "ort_config.json"
    settings.write_text(settings.read_text() + "\n")
    model = glp_export.load(copy, verify=False)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.logits(TEXTS), model.logits(TEXTS))


def test_a_pickle_whose_artifact_is_gone_says_so(copy: Path) -> None:
    sent = pickle.dumps(glp_export.load(copy))
    os.rename(copy, copy.with_name("elsewhere"))
    with pytest.raises(ModelError, match="no artifact"):
        pickle.loads(sent)


@pytest.mark.parametrize("name", ["owner/name", "bert-base-uncased", "https://hub/owner/name"])
def test_ids_of_the_hub_are_not_loaded(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match="hub") as caught:
        glp_export.load(name)
    assert "snapshot_download" in (caught.value.fix or "")


def test_a_model_of_pairs_says_that_a_text_came_alone(copy: Path) -> None:
    settle(ArtifactLayout(copy), text_pair=True)
    model = glp_export.load(copy)
    for given in ("alone", ["alone"], [("a", "b"), "alone"]):
        with pytest.raises(DataError, match="pairs"):
            model(given)
    assert len(model(["a"], ["b"])) == len(model([("a", "b")])) == 1
    assert len(model([])) == 0


AGREEMENT = {
    "id2label": {"0": "good", "1": "bad", "2": "odd"},
    "label2id": {"bad": 1, "good": 0, "odd": 2},
    "problem_type": "single_label_classification",
    "pad_token_id": 3,
}


@pytest.mark.parametrize("key", AGREEMENT)
def test_settings_that_disagree_end_with_3(copy: Path, key: str) -> None:
    settle(ArtifactLayout(copy), **({"kind": "regression"} if key == "problem_type" else {}))
    edit(copy / "config.json", **{key: AGREEMENT[key]})
    ArtifactLayout(copy).write_checksums()
    with pytest.raises(ParityError, match="do not agree") as caught:
        glp_export.load(copy)
    assert caught.value.exit_code == 3


VNNI = ("avx2", "avx512_vnni", "fma")


def with_int8(root: Path, features: tuple[str, ...] = VNNI) -> Path:
    """An artifact whose default file is int8, made on a CPU with these instructions."""
    from glp_export.artifact.serving import Measured

    layout = ArtifactLayout(root)
    layout.variant("int8").write_bytes(layout.onnx_model.read_bytes())
    (layout.glp_dir / "environment.json").write_text(json.dumps({"features": features}))
    times = (("model.onnx", 2.0), (layout.variant("int8").name, 1.0))
    rows = [Measured("CPUExecutionProvider", name, "1x16", 1, 16, ms) for name, ms in times]
    return settle(layout, measured=rows)


def test_int8_of_another_cpu_gives_way_to_fp32_with_a_warning(copy, monkeypatch, caplog):
    root = with_int8(copy)
    monkeypatch.setattr(machine, "cpu_features", lambda: ("avx2", "fma"))
    assert glp_export.load(root).precision == "fp32"
    assert "avx512_vnni" in caplog.text
    assert glp_export.load(root, precision="int8").precision == "int8"
    assert glp_export.load(root, variant="int8").precision == "int8"


@pytest.mark.parametrize(
    ("recorded", "here"),
    [
        (VNNI, ("avx2", "avx_vnni")),  # other instructions of the same kind
        (("avx2",), ("avx2",)),  # it was chosen without them
        (VNNI, ()),  # the system does not tell
        ((), ("avx2",)),
    ],
)
def test_int8_stays_where_nothing_speaks_against_it(copy, monkeypatch, caplog, recorded, here):
    root = with_int8(copy, recorded)
    monkeypatch.setattr(machine, "cpu_features", lambda: here)
    assert glp_export.load(root).precision == "int8"
    assert not caplog.records
