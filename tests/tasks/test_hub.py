"""The hub's side is shown on data sets in its cache: the tests run without a network."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from datasets import ClassLabel, Dataset, Features, Value

from glp_export.core.errors import DataError
from glp_export.tasks import GLUE_TASKS, METRICS, DataSpec, encode, load_task_data
from tests.tasks.helpers import cache_hub_dataset
from tests.tiny import make_tokenizer


def glue_split(name: str, rows: int, labelled: bool = True) -> Dataset:
    """Rows as nyu-mll/glue has them; its test splits have the label -1."""
    task = GLUE_TASKS[name]
    label = ClassLabel(names=list(task.labels)) if task.labels else Value("float32")
    width = len(task.labels) or 4
    columns: dict[str, Any] = {
        column: [f"{column} {row}" for row in range(rows)] for column in task.text_columns
    }
    columns["label"] = [row % width if labelled else -1 for row in range(rows)]
    columns["idx"] = list(range(rows))
    types = {column: Value("string") for column in task.text_columns}
    features = Features({**types, "label": label, "idx": Value("int32")})
    return Dataset.from_dict(columns, features=features)


def cached(cache: Path, name: str) -> DataSpec:
    task = GLUE_TASKS[name]
    names = (task.test_splits[0], *task.other_splits[:1])
    tests = {split: glue_split(name, 12) for split in names}
    splits = {"train": glue_split(name, 40), **tests, "test": glue_split(name, 6, labelled=False)}
    cache_hub_dataset(cache, "nyu-mll/glue", name, splits)
    return DataSpec(task=name, cache_dir=str(cache), offline=True)


@pytest.mark.parametrize("name", GLUE_TASKS)
def test_every_glue_task_is_loaded_with_its_columns_labels_and_metric(
    tmp_path: Path, name: str
) -> None:
    data = load_task_data(cached(tmp_path, name))
    glue = GLUE_TASKS[name]
    assert data.task.name == name
    assert data.task.text_columns == glue.text_columns
    assert data.task.labels == glue.labels
    assert data.task.metric == glue.metric
    assert METRICS[glue.metric].fits(glue.kind, data.task.labels)
    assert [len(data.fit), len(data.select), len(data.test)] == [34, 6, 12]
    assert set(data.other_tests) == ({"validation_mismatched"} if name == "mnli" else set())
    assert data.source == f"nyu-mll/glue ({name})"


def test_the_papers_metrics_are_those_of_the_table() -> None:
    special = {name: task.metric for name, task in GLUE_TASKS.items() if task.metric != "accuracy"}
    assert special == {
        "cola": "matthews_correlation",
        "mrpc": "f1",
        "qqp": "f1",
        "stsb": "spearman",
    }
    assert len(GLUE_TASKS) == 9


def test_what_is_encoded_of_a_hub_data_set_stays_in_its_cache(tmp_path: Path) -> None:
    data = load_task_data(cached(tmp_path, "rte"))
    encoded = encode(data.fit, data.task, make_tokenizer(), 16)
    assert len(encoded) == len(data.fit)
    files = [file["filename"] for file in encoded.cache_files]
    assert files
    assert all(Path(file).is_relative_to(tmp_path) for file in files)


def test_any_hub_data_set_can_be_named(tmp_path: Path) -> None:
    splits = {"train": glue_split("sst2", 40), "test": glue_split("sst2", 12)}
    cache_hub_dataset(tmp_path, "someone/films", "default", splits)
    spec = DataSpec(dataset="someone/films", cache_dir=str(tmp_path), offline=True)
    data = load_task_data(spec)
    assert (data.task.name, data.task.labels) == ("films", ("negative", "positive"))
    assert len(data.test) == 12


def refusal(spec: DataSpec) -> DataError:
    with pytest.raises(DataError) as caught:
        load_task_data(spec)
    assert caught.value.exit_code == 7
    assert caught.value.fix
    return caught.value


def test_glue_is_never_tested_on_its_unlabelled_split(tmp_path: Path) -> None:
    splits = {"train": glue_split("rte", 40), "test": glue_split("rte", 6, labelled=False)}
    cache_hub_dataset(tmp_path, "nyu-mll/glue", "rte", splits)
    error = refusal(DataSpec(task="rte", cache_dir=str(tmp_path), offline=True))
    assert "no validation split; it has train, test" in error.what


def test_a_withheld_label_is_no_label(tmp_path: Path) -> None:
    splits = {"train": glue_split("rte", 40), "test": glue_split("rte", 6, labelled=False)}
    cache_hub_dataset(tmp_path, "someone/pairs", "default", splits)
    error = refusal(DataSpec(dataset="someone/pairs", cache_dir=str(tmp_path), offline=True))
    assert error.what == "A row has no label."
    assert error.where == "someone/pairs, split 'test', row 1, column 'label'"


def test_offline_without_a_copy_says_where_to_get_one(tmp_path: Path) -> None:
    error = refusal(DataSpec(task="rte", cache_dir=str(tmp_path), offline=True))
    assert "not in the cache" in error.what
    assert "--dataset DIRECTORY" in str(error.fix)
    error = refusal(DataSpec(dataset="data/trek", cache_dir=str(tmp_path), offline=True))
    assert "no directory 'data/trek'" in error.what


def test_an_unknown_configuration_is_answered_with_those_that_exist(tmp_path: Path) -> None:
    cached(tmp_path, "rte")
    spec = DataSpec(
        dataset="nyu-mll/glue", dataset_config="ret", cache_dir=str(tmp_path), offline=True
    )
    error = refusal(spec)
    assert "rte" in error.what
    assert "--dataset-config" in str(error.fix)


def test_offline_holds_for_one_call_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    load_task_data(cached(tmp_path, "rte"))
    assert datasets.config.HF_HUB_OFFLINE is False


def test_a_hub_that_cannot_be_reached_is_a_data_error(tmp_path: Path) -> None:
    # A process of its own, since the hub's address is read at import. Its client tries five
    # times with growing pauses, which the first lines leave out.
    program = """
import huggingface_hub.file_download, time
time.sleep = lambda seconds: None
from glp_export.core.errors import DataError
from glp_export.tasks import DataSpec, load_task_data
try:
    load_task_data(DataSpec(task="rte"))
except DataError as error:
    print(error)
"""
    environment = {
        **os.environ,
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(tmp_path),
    }
    run = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60
    )
    assert "The hub cannot be reached" in run.stdout, run.stderr
    assert "--dataset DIRECTORY" in run.stdout
    assert "Retrying" not in run.stderr
