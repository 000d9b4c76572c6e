from __future__ import annotations

from pathlib import Path

import pytest

from glp_export.core.errors import DataError
from glp_export.tasks import DataSpec, load_task_data
from tests.tasks.helpers import labelled
from tests.tiny import write_jsonl

LABELS = ["a", "b"] * 10


@pytest.mark.parametrize("name", ["validation", "dev", "valid", "test"])
def test_a_validation_file_may_have_any_of_its_usual_names(tmp_path: Path, name: str) -> None:
    write_jsonl(tmp_path / "train.jsonl", labelled(LABELS))
    (tmp_path / f"{name}.csv").write_text("text,label\nc,a\nd,b\n")
    data = load_task_data(DataSpec(dataset=str(tmp_path)))
    assert data.test["text"][:] == ["c", "d"]
    assert data.task.name == tmp_path.name
    assert data.source == str(tmp_path)


def test_files_may_be_gzipped(tmp_path: Path) -> None:
    import gzip

    for name in ("train", "validation"):
        plain = write_jsonl(tmp_path / f"{name}.jsonl", labelled(LABELS))
        (tmp_path / f"{name}.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes()))
    spec = DataSpec(
        train_file=str(tmp_path / "train.jsonl"), validation_file=str(tmp_path / "validation.jsonl")
    )
    expected = load_task_data(spec)
    for name in ("train", "validation"):
        (tmp_path / f"{name}.jsonl").unlink()
    data = load_task_data(DataSpec(dataset=str(tmp_path)))
    assert (data.task, data.checksum) == (expected.task, expected.checksum)
    files = {name: str(tmp_path / f"{name}.jsonl.gz") for name in ("train", "validation")}
    spec = DataSpec(train_file=files["train"], validation_file=files["validation"])
    assert load_task_data(spec).task.name == tmp_path.name


def test_validation_is_preferred_to_test(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", labelled(LABELS))
    write_jsonl(tmp_path / "test.jsonl", labelled(["a", "b", "a"]))
    write_jsonl(tmp_path / "validation.jsonl", labelled(["a", "b"]))
    assert len(load_task_data(DataSpec(dataset=str(tmp_path))).test) == 2


def test_two_files_are_named_for_the_first_or_its_directory(tmp_path: Path) -> None:
    for name, expected in (("reviews.jsonl", "reviews"), ("train.jsonl", tmp_path.name)):
        train = write_jsonl(tmp_path / name, labelled(LABELS))
        test = write_jsonl(tmp_path / "held.jsonl", labelled(["a", "b"]))
        spec = DataSpec(train_file=str(train), validation_file=str(test))
        assert load_task_data(spec).task.name == expected


def refusal(spec: DataSpec) -> DataError:
    with pytest.raises(DataError) as caught:
        load_task_data(spec)
    assert caught.value.exit_code == 7
    assert caught.value.fix
    return caught.value


def test_training_rows_are_never_made_the_test_set(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", labelled(LABELS))
    error = refusal(DataSpec(dataset=str(tmp_path)))
    assert "no validation file" in error.what
    assert "never cut from the training" in str(error.fix)


def test_a_directory_without_a_training_file_says_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("a")
    error = refusal(DataSpec(dataset=str(tmp_path)))
    assert "train.txt" in error.what
    assert ".jsonl" in str(error.fix)


@pytest.mark.parametrize("place", ["dataset_dict.json", "train/state.json"])
def test_a_directory_that_datasets_saved_is_named(tmp_path: Path, place: str) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / place).write_text("{}")
    with pytest.raises(DataError, match="save_to_disk") as raised:
        load_task_data(DataSpec(dataset=str(tmp_path)))
    assert "to_parquet" in str(raised.value)


def test_two_files_for_one_split_are_not_chosen_between(tmp_path: Path) -> None:
    for ending in ("jsonl", "csv"):
        (tmp_path / f"train.{ending}").write_text("")
    error = refusal(DataSpec(dataset=str(tmp_path)))
    assert "train.csv, train.jsonl" in error.what


def test_what_is_not_there_or_not_a_file_is_named(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "rows.jsonl", labelled(LABELS))
    missing = str(tmp_path / "missing.jsonl")
    spec = DataSpec(train_file=str(file), validation_file=missing)
    assert missing in str(refusal(spec).where)
    spec = DataSpec(train_file=str(tmp_path), validation_file=str(file))
    assert "directory" in refusal(spec).what
    assert "--train-file" in str(refusal(DataSpec(dataset=str(file))).fix)
    assert "No such directory" in refusal(DataSpec(dataset=str(tmp_path / "nowhere"))).what


@pytest.mark.parametrize("content", ["", "\n", "text,label\n"])
def test_a_file_without_rows_is_refused(tmp_path: Path, content: str) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", labelled(LABELS))
    empty = tmp_path / "empty.csv"
    empty.write_text(content)
    error = refusal(DataSpec(train_file=str(train), validation_file=str(empty)))
    assert "no rows" in error.what
    assert error.where == str(empty)
