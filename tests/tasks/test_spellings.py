"""Tables as people and programs write them: numbers, lists, separators, pointers, types of text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from glp_export.core.errors import DataError
from glp_export.tasks import DataSpec, TaskData, load_task_data
from glp_export.tasks.formats import read_rows
from glp_export.tasks.unlabeled import read_unlabeled
from tests.tasks.helpers import labelled, two_files
from tests.tasks.test_label_order import model_of


def csv_of(directory: Path, labels: list[str], times: int = 10) -> Path:
    """A text and such a cell a row, in both files."""
    rows = [f'text {row},"{label}"' for row, label in enumerate(labels * times)]
    for name in ("train", "validation"):
        (directory / f"{name}.csv").write_text("\n".join(["text,label", *rows, ""]))
    return directory


def load(directory: Path, **words: Any) -> TaskData:
    return load_task_data(DataSpec(dataset=str(directory), **words))


def column(path: Path, cells: list[str]) -> list[Any]:
    path.write_text("\n".join(["a,b", *(f"{cell},x" for cell in cells), ""]))
    return list(read_rows(path)["a"][:])


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1", "20", "-3", "0"], [1, 20, -3, 0]),
        (["1", "2.5"], [1.0, 2.5]),
        (["1.0", "2.0", "2.5"], [1.0, 2.0, 2.5]),
        (["3.800", "5.000", "0.250"], [3.8, 5.0, 0.25]),
        (["1e-05", "2.5", "1.5e+20"], [1e-05, 2.5, 1.5e20]),
        (["1", "", "3"], [1, None, 3]),
        (["1E3", "1000", "2E2"], None),
        (["1.1", "1.10"], None),
        (["0", "-0"], None),
        (["0.0", "-0.0"], None),
        (["1", "1."], None),
        (["1", "1.0"], None),
        (["1e400", "2e500"], None),
        (["1e+400", "2e+500"], None),
        (["1E3", "2E2"], None),
        (["nan", "inf"], None),
        (["nan", "nan"], None),
        (["+1", "2"], None),
        ([".5", "1.5"], None),
        (["1_000", "2"], None),
        (["0x1", "2"], None),
        (["007", "12"], None),
        (["1 ", "2"], None),
        (["12345678901234567890", "1"], None),
        (["0.12345678901234567891", "0.5"], None),
    ],
)
def test_numbers_are_those_that_have_one_spelling(
    tmp_path: Path, cells: list[str], values: list[Any] | None
) -> None:
    found = column(tmp_path / "rows.csv", cells)
    assert found == (cells if values is None else values)
    assert [type(one) for one in found] == [type(one) for one in (values or cells)]


@pytest.mark.parametrize(
    ("labels", "both"),
    [
        (["1E3", "1000", "2E2"], ("1000", "1E3")),
        (["1.1", "1.10", "2"], ("1.1", "1.10")),
        (["0", "-0", "1"], ("-0", "0")),
        (["1", "1.", "2"], ("1", "1.")),
        (["1", "1.0", "2"], ("1", "1.0")),
    ],
)
def test_two_spellings_of_one_number_are_refused_with_both(
    tmp_path: Path, labels: list[str], both: tuple[str, str]
) -> None:
    directory = csv_of(tmp_path, labels)
    error = refusal(directory)
    assert f"'{both[0]}'" in error.what
    assert f"'{both[1]}'" in error.what
    assert "row" in str(error.where)
    kept = load(directory, kind="text-classification").task.labels
    assert set(kept) == set(labels)
    numbers = load(directory, kind="regression")
    assert numbers.task.kind == "regression"
    assert set(numbers.test["label"][:]) == {float(label) for label in labels}


def test_spellings_past_what_a_float_holds_stay_classes(tmp_path: Path) -> None:
    assert load(csv_of(tmp_path, ["1e400", "2e500"])).task.labels == ("1e400", "2e500")


@pytest.mark.parametrize(
    "labels",
    [
        ["['bad', 'cat']", "['good']", "[]"],
        ['["bad", "cat"]', '["good"]', "[]"],
        ["['bad', \"cat\"]", "['good',]", "[ ]"],
    ],
)
def test_lists_in_a_csv_are_lists(tmp_path: Path, labels: list[str]) -> None:
    rows = [f'text {row},"{label.replace(chr(34), chr(34) * 2)}"' for row, label in
            enumerate(labels * 10)]  # fmt: skip
    for name in ("train", "validation"):
        (tmp_path / f"{name}.csv").write_text("\n".join(["text,labels", *rows, ""]))
    loaded = load(tmp_path)
    assert loaded.task.kind == "multi-label-classification"
    assert loaded.task.labels == ("bad", "cat", "good")
    assert loaded.test["label"][:3] == [[1, 1, 0], [0, 0, 1], [0, 0, 0]]


def test_zeros_and_ones_for_every_label_are_no_list_of_labels(tmp_path: Path) -> None:
    """As transformers trains on several labels: taken for ids, every row would have 0 and 1."""
    rows = [[0, 1, 0], [1, 1, 0], [0, 0, 0], [0, 0, 1]]
    spelled = {
        "ints": rows,
        "floats": [[float(one) for one in row] for row in rows],
        "bools": [[bool(one) for one in row] for row in rows],
        "texts": [[str(one) for one in row] for row in rows],
        "cells": None,
    }
    for name, labels in spelled.items():
        directory = tmp_path / name
        if labels is None:
            for split in ("train", "validation"):
                cells = [f't,"{[float(one) for one in row]}"' for row in rows * 5]
                directory.mkdir(exist_ok=True)
                (directory / f"{split}.csv").write_text("\n".join(["text,label", *cells, ""]))
        else:
            two_files(directory, labelled(labels * 5), labelled(labels * 5))
        loaded = load(directory)
        assert loaded.task.labels == ("0", "1", "2"), name
        assert loaded.test["label"][:4] == rows, name
        spec = DataSpec(dataset=str(directory))
        other = load_task_data(spec, model_of("LABEL_0", "label_1", "2"))
        assert other.test["label"][:4] == rows, name
        swapped = load_task_data(spec, model_of("2", "1", "0"))
        assert swapped.test["label"][:4] == [row[::-1] for row in rows], name


@pytest.mark.parametrize("row", [[0, 1], [0, 1, 2], ["bad"], None])
def test_rows_that_are_no_zeros_and_ones_among_others_are_refused(tmp_path: Path, row: Any) -> None:
    rows = labelled([[0, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]] * 5)
    other = labelled([row] * 4)
    error = refusal(two_files(tmp_path, rows, other))
    assert "row 1" in str(error.where)


def test_fractions_in_lists_are_no_labels(tmp_path: Path) -> None:
    rows = labelled([[0.2, 0.8], [0.9, 0.1]] * 10)
    assert "fraction" in refusal(two_files(tmp_path, rows, rows)).what


def test_ids_of_labels_in_lists_stay_ids(tmp_path: Path) -> None:
    rows = labelled([[1], [0, 1], [], [0]] * 5)
    loaded = load(two_files(tmp_path, rows, rows))
    assert loaded.test["label"][:4] == [[0, 1], [1, 1], [0, 0], [1, 0]]


def test_words_and_tags_in_a_csv_are_lists_too(tmp_path: Path) -> None:
    rows = "\"['the', 'cat']\",\"['O', 'B-a']\"\n" * 20
    for name in ("train", "validation"):
        (tmp_path / f"{name}.csv").write_text("tokens,ner_tags\n" + rows)
    loaded = load(tmp_path)
    assert loaded.task.kind == "token-classification"
    assert loaded.test["text"][0] == ["the", "cat"]


@pytest.mark.parametrize(
    "labels",
    [
        ["['bad' 'cat']", "['good']"],
        ["('bad', 'cat')", "('good',)"],
        ["{'bad', 'cat'}", "{'good'}"],
        ["[0 1]", "[1]"],
        ["['bad', 'cat']", "good"],
        ["a|b", "c"],
        ["a|b", "a|c", "b"],
        ["a;b", "a", "b"],
        ["a, b", "a", "b"],
        ["a | b", "a", "b"],
        ["a|b|", "c|"],
        ["bad,cat", "good"],
        ["a , b", "a", "c"],
        ["[bad, cat]", "[good]"],
        ["[bad cat]", "[good]"],
        ["[bad,cat]", "good"],
        ["{bad, cat}", "{good}"],
        ["(bad, cat)", "(good)"],
        ["[['bad']]", "[['cat']]"],
        ["[u'bad', u'cat']", "[u'good']"],
        ["array(['bad'], dtype=object)", "array(['cat'], dtype=object)"],
        ["'bad', 'cat'", "'good'"],
        ["[0. 1.]", "[1. 0.]"],
        ["0 1", "1 0"],
        ["010", "110"],
        ["bad cat", "bad", "cat"],
        ["bad + cat", "bad", "cat"],
        ["bad/cat", "bad", "cat"],
        ["bad\ncat", "bad", "cat"],
        ["__label__bad __label__cat", "__label__good"],
        ["O B-cat", "B-cat O"],
    ],
)
def test_what_looks_like_a_list_and_cannot_be_read_is_refused(
    tmp_path: Path, labels: list[str]
) -> None:
    directory = csv_of(tmp_path, labels)
    error = refusal(directory)
    assert "list" in error.what
    assert "row" in str(error.where)
    assert "--kind text-classification" in str(error.fix)
    assert set(load(directory, kind="text-classification").task.labels) == set(labels)
    assert "[" in str(refusal(directory, kind="multi-label-classification").fix)


@pytest.mark.parametrize(
    "labels",
    [
        ["Paris, France", "Lyon, France"],
        ["[UNK]", "(other)"],
        ["odd | one", "b"],
        ["C++", "C#"],
        ["not good", "very good"],
        ["don't", "'quoted'"],
        ["1,000", "1,500", "2,000", "2,500"],
        ["(no answer)", "(other)"],
        ["[a]", "[b]"],
        ["a/b", "a"],
        ["not good", "good", "very good"],
        ["007", "7"],
    ],
)
def test_labels_with_spaces_and_signs_are_labels(tmp_path: Path, labels: list[str]) -> None:
    assert set(load(csv_of(tmp_path, labels)).task.labels) == set(labels)


def test_named_text_of_digits_is_text(tmp_path: Path) -> None:
    for name in ("train", "validation"):
        rows = [f"00{row},{'ab'[row % 2]}" for row in range(20)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["code,label", *rows, ""]))
    loaded = load(tmp_path, text_columns=("code",))
    assert loaded.test["text"][:2] == ["000", "001"]
    rows = "\n".join(f"{row}\t{'ab'[row % 2]}" for row in range(20))
    (tmp_path / "train.tsv").write_text(f"code\tlabel\n{rows}\n")
    spec = DataSpec(
        train_file=str(tmp_path / "train.tsv"),
        validation_file=str(tmp_path / "validation.csv"),
        text_columns=("code",),
    )
    assert sorted(load_task_data(spec).train["text"][:])[0] == "0"


def test_digits_in_one_file_alone_are_text_as_they_stand(tmp_path: Path) -> None:
    rows = [f"word {row},{'ab'[row % 2]}" for row in range(20)]
    (tmp_path / "train.csv").write_text("\n".join(["text,label", *rows, ""]))
    (tmp_path / "validation.csv").write_text("text,label\n42,a\n7.50,b\n")
    loaded = load(tmp_path)
    assert loaded.test["text"][:] == ["42", "7.50"]
    (tmp_path / "logs.csv").write_text("text\n12\n7\n")
    assert read_unlabeled(tmp_path / "logs.csv", loaded.task)["text"][:] == ["12", "7"]


def test_labels_of_digits_in_one_file_alone_keep_their_spelling(tmp_path: Path) -> None:
    rows = [f"word {row},{('1.10', '1.1', 'x')[row % 3]}" for row in range(30)]
    (tmp_path / "train.csv").write_text("\n".join(["text,label", *rows, ""]))
    (tmp_path / "validation.csv").write_text("text,label\na,1.10\nb,1.10\n")
    loaded = load(tmp_path, kind="text-classification")
    assert {loaded.task.labels[index] for index in loaded.test["label"]} == {"1.10"}


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_named_text_of_whole_numbers_is_text_in_every_format(tmp_path: Path, ending: str) -> None:
    import pandas as pd

    rows = [{"code": row, "label": "ab"[row % 2]} for row in range(20)]
    for name in ("train", "validation"):
        path = tmp_path / f"{name}.{ending}"
        if ending == "parquet":
            pd.DataFrame(rows).to_parquet(path)
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert load(tmp_path, text_columns=("code",)).test["text"][:2] == ["0", "1"]


def test_every_type_of_text_in_parquet_is_text(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts, labels = [f"text {n} é" for n in range(20)], ["a", "b"] * 10
    kinds = (pa.string_view(), pa.large_string(), pa.binary(), pa.large_binary())
    for number, kind in enumerate(kinds):
        directory = tmp_path / str(number)
        directory.mkdir()
        stored = [one.encode() for one in texts] if "binary" in str(kind) else texts
        table = pa.table({"text": pa.array(stored, kind), "label": pa.array(labels).cast(kind)})
        for name in ("train", "validation"):
            pq.write_table(table, directory / f"{name}.parquet")
        loaded = load(directory)
        assert loaded.test["text"][:] == texts
        assert loaded.task.labels == ("a", "b")
    lists = pa.table(
        {
            "text": texts,
            "labels": pa.array([["a"], ["b"]] * 10, pa.large_list(pa.large_string())),
        }
    )
    for name in ("train", "validation"):
        (tmp_path / "lists").mkdir(exist_ok=True)
        pq.write_table(lists, tmp_path / "lists" / f"{name}.parquet")
    assert load(tmp_path / "lists").task.kind == "multi-label-classification"


def test_columns_of_rare_types_are_in_nobodys_way(tmp_path: Path) -> None:
    import datetime

    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "text": [f"text {n}" for n in range(20)],
            "label": pa.array([b"a", b"b"] * 10, pa.binary(1)),
            "uuid": pa.array([b"\xff" * 16] * 20, pa.binary(16)),
            "seen": pa.array([datetime.timedelta(1)] * 20, pa.duration("s")),
            "at": pa.array([1] * 20, pa.time32("s")),
        }
    )
    for name in ("train", "validation"):
        pq.write_table(table, tmp_path / f"{name}.parquet")
    assert load(tmp_path, text_columns=("text",)).task.labels == ("a", "b")


def test_bytes_that_are_no_text_are_left_alone(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"text": ["a"], "image": pa.array([b"\xff\xd8"], pa.binary())})
    pq.write_table(table, tmp_path / "rows.parquet")
    assert read_rows(tmp_path / "rows.parquet")["image"][0] == b"\xff\xd8"


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json", "parquet", "csv.gz"])
def test_a_git_lfs_pointer_is_named(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"rows.{ending}"
    path.write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    )
    with pytest.raises(DataError, match="Git LFS pointer") as caught:
        read_rows(path)
    assert "git lfs pull" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("name", "mark", "named"),
    [
        ("rows.csv", ";", "semicolons"),
        ("rows.csv", "\t", "tabs"),
        ("rows.csv", "|", "bars"),
        ("rows.tsv", ",", "commas"),
        ("rows.tsv", ";", "semicolons"),
    ],
)
def test_another_separator_is_named(tmp_path: Path, name: str, mark: str, named: str) -> None:
    path = tmp_path / name
    path.write_text(f"text{mark}label\na, b{mark}1\nc{mark}0\n")
    with pytest.raises(DataError, match=named) as caught:
        read_rows(path)
    assert str(path) in str(caught.value.where)
    assert caught.value.fix


@pytest.mark.parametrize("mark", [",", ";"])
def test_a_line_for_spreadsheets_is_named(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"sep={mark}\ntext{mark}label\na{mark}1\n")
    with pytest.raises(DataError, match="sep=") as caught:
        read_rows(path)
    assert "remove" in str(caught.value.fix)


def test_numbers_in_quotation_marks_are_classes_and_it_is_said(tmp_path: Path) -> None:
    rows = labelled(["1.5", "2.5", "3"] * 10)
    directory = two_files(tmp_path, rows, rows)
    loaded = load(directory)
    assert loaded.task.labels == ("1.5", "2.5", "3")
    assert "--kind regression" in " ".join(loaded.notes)
    assert load(directory, kind="regression").test["label"][:3] == [1.5, 2.5, 3.0]
    assert "--kind" not in " ".join(load(directory, kind="text-classification").notes)
    whole = labelled(["1", "2"] * 10)
    assert "--kind" not in " ".join(load(two_files(tmp_path / "whole", whole, whole)).notes)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('text,label\na,1\nb,"2\nc,3\nd,4\n', "line 5"),
        ('text,label\na,"1" x\n', "line 2"),
        ('text,label\n"a\nb",1\n\nc,2,3\n', "line 5"),
    ],
)
def test_quotes_that_do_not_close_swallow_no_rows(tmp_path: Path, content: str, line: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        read_rows(path)
    assert line in str(caught.value.where)


def test_a_mark_within_a_field_is_no_quote(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('text,label\na 5" screen,1\n"b\r\nc",0\n')
    assert read_rows(path)["text"][:] == ['a 5" screen', "b\r\nc"]


def test_a_row_longer_than_a_block_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f'text,label\na,1\n"{"long, word " * 400_000}",0\n')
    assert len(read_rows(path)["text"][1]) == 11 * 400_000


def refusal(directory: Path, **words: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        load(directory, **words)
    assert caught.value.exit_code == 7
    assert caught.value.fix
    return caught.value
