from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from glp_export.core.errors import DataError
from glp_export.tasks.formats import read_lines, read_rows

ROWS = [
    {"text": 'she said "no", twice', "label": 1, "score": 0.5},
    {"text": "tab\tand line\nbreak", "label": 0, "score": 2.0},
    {"text": "", "label": 1, "score": 3.0},
]


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    """Records as pandas writes them, which is how most people's files were made."""
    import pandas as pd

    frame = pd.DataFrame(records)
    match path.name.removesuffix(".gz").rpartition(".")[2]:
        case "csv":
            frame.to_csv(path, index=False)
        case "tsv":
            frame.to_csv(path, index=False, sep="\t")
        case "parquet":
            frame.to_parquet(path)
        case ending:
            frame.to_json(path, orient="records", lines=ending == "jsonl")
    return path


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "tsv", "parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, ending: str) -> None:
    assert read_rows(write(tmp_path / f"rows.{ending}", ROWS)).to_list() == ROWS


def test_a_json_file_may_hold_one_object_a_line_or_wrap_its_array(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text("\n\n".join(json.dumps(row) for row in ROWS))
    assert read_rows(path).to_list() == ROWS
    path.write_text(json.dumps({"version": 1, "data": ROWS}))
    assert read_rows(path).to_list() == ROWS


def test_unpaired_quotes_in_a_tsv_swallow_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.tsv"
    path.write_text('sentence\tlabel\n"He left\t1\nso be it"\t0\n"paired ""here"""\t1\n')
    assert read_rows(path)["sentence"][:] == ['"He left', 'so be it"', 'paired "here"']


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    for ending, content in (("csv", "text,label\na,1\n"), ("jsonl", '{"text": "a", "label": 1}')):
        path = tmp_path / f"rows.{ending}"
        path.write_text(content, encoding="utf-8-sig")
        assert read_rows(path).column_names == ["text", "label"]


def test_a_document_longer_than_the_csv_module_allows_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"text,label\n{'word ' * 40_000},1\n")
    assert len(read_rows(path)["text"][0]) == 200_000


def test_leading_zeros_and_words_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("code,mixed,number\n007,1,1\n012,x,-2\n")
    rows = read_rows(path)
    assert rows["code"][:] == ["007", "012"]
    assert rows["mixed"][:] == ["1", "x"]
    assert rows["number"][:] == [1, -2]


def test_declared_class_names_and_categories_survive_parquet(tmp_path: Path) -> None:
    import pandas as pd
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    declared = Dataset.from_dict({"text": ["a", "b"], "label": [1, 0]}, features=features)
    declared.to_parquet(tmp_path / "declared.parquet")
    assert read_rows(tmp_path / "declared.parquet").features["label"].names == ["no", "yes"]
    frame = pd.DataFrame({"text": ["a", "b"], "label": pd.Categorical(["x", "y"])})
    frame.to_parquet(tmp_path / "categories.parquet")
    assert read_rows(tmp_path / "categories.parquet")["label"][:] == ["x", "y"]


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("broken.jsonl", b'{"text": "a"}\n{"text": \n', "row 2"),
        ("array.jsonl", b'{"text": "a"}\n\n[1]\n', "row 3"),
        ("latin.jsonl", '{"text": "caf\xe9"}\n'.encode("latin-1"), "row 1"),
        ("broken.json", b'[{"text": "a"},\n{"text": ]', "line 2"),
        ("number.json", b"3", "top level"),
        ("numbers.json", b'[{"text": "a"}, 3]', "row 2"),
        ("mixed.jsonl", b'{"label": 1}\n{"label": 2}\n{"label": "x"}\n', "row 3, column 'label'"),
        ("long.csv", b"text,label\na,1\nb,c,2\n", "line 3"),
        ("open.csv", b'text,label\na,1\n"b,2\n', "line 3"),
        ("short.tsv", b"text\tlabel\na\n", "line 2"),
        ("twice.csv", b"text,text\na,1\n", "header"),
        ("latin.csv", "text,label\ncaf\xe9,1\n".encode("latin-1"), "latin.csv"),
        ("not.parquet", b"nothing of the kind", "not.parquet"),
        ("rows.xlsx", b"PK", "rows.xlsx"),
        ("rows.parquet.gz", b"PK", "rows.parquet.gz"),
        ("not.csv.gz", b"text,label\na,1\n", "not.csv.gz"),
        ("cut.jsonl.gz", gzip.compress(b'{"text": "a"}\n' * 99, mtime=0)[:-9], "cut.jsonl.gz"),
        ("surrogate.jsonl", rb'{"text": "a"}' b"\n" rb'{"text": "\ud83d"}', "row 2, column 'text'"),
        ("surrogate.json", rb'[{"t": ["a", "\udc00"]}]', "row 1, column 't'"),
        ("huge.jsonl", b'{"n": 1}\n{"n": 123456789012345678901234567890}', "row 2, column 'n'"),
        ("control.jsonl", b'{"text": "a"}\n{"text": "\x01"}\n', "row 2"),
        ("flag.jsonl", b'{"label": 1.5}\n{"label": 2}\n{"label": "x"}', "row 3, column 'label'"),
    ],
)
def test_a_broken_file_is_refused_with_the_place(
    tmp_path: Path, name: str, content: bytes, place: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_rows(path)
    assert caught.value.exit_code == 7
    assert str(path) in str(caught.value.where)
    assert place in str(caught.value.where)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ('{"text": "a", "label": "bad", "label": "good"}\n', "'label' twice"),
        ('{"text": "a", "of": {"x": 1, "x": 1}}\n', "'x' twice"),
        ('{"text": ' + "[" * 5000 + "]" * 5000 + "}\n", "deep"),
        ('{"text": "a", "label": ' + "9" * 5000 + "}\n", "digits"),
    ],
)
def test_json_that_is_read_in_more_than_one_way_or_not_at_all(
    tmp_path: Path, content: str, word: str
) -> None:
    for name, written in (("rows.jsonl", content), ("rows.json", f"[{content.strip()}]")):
        (tmp_path / name).write_text(written)
        with pytest.raises(DataError, match=word) as raised:
            read_rows(tmp_path / name)
        assert len(str(raised.value)) < 400


def test_an_array_in_lines_says_which_ending_it_has(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('[{"text": "a"}]')
    with pytest.raises(DataError) as raised:
        read_rows(tmp_path / "rows.jsonl")
    assert ".json" in str(raised.value.fix)


def test_decimals_of_a_database_are_numbers(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    whole, parts = [Decimal(1), None, Decimal(3)], [Decimal("0.25"), Decimal("1.00"), None]
    table = {
        "whole": pa.array(whole, pa.decimal128(20, 0)),
        "part": pa.array(parts, pa.decimal128(38, 18)),
    }
    pq.write_table(pa.table(table), tmp_path / "x.parquet")
    rows = read_rows(tmp_path / "x.parquet")
    assert rows["whole"][:] == [1, None, 3]
    assert rows["part"][:] == [0.25, 1.0, None]


def many(count: int) -> list[dict[str, Any]]:
    return [
        {"text": f"text {row} é\x00🙂", "label": row % 3, "score": row / 2} for row in range(count)
    ]


LONG = 23_456


def test_columns_of_one_name_in_parquet_are_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    cells = [pa.array(["a", "b"])] * 3
    pq.write_table(pa.Table.from_arrays(cells, ["text", "label", "label"]), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="'label' twice"):
        read_rows(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    "document",
    [
        {"text": {"0": "a", "1": "b"}, "label": {"0": "x", "1": "y"}},
        {"text": ["a", "b"], "label": ["x", "y"]},
    ],
)
def test_a_frame_written_column_by_column_is_named(tmp_path: Path, document: Any) -> None:
    path = tmp_path / "x.json"
    path.write_text(json.dumps(document))
    with pytest.raises(DataError, match="columns") as raised:
        read_rows(path)
    assert "records" in str(raised.value)


@pytest.mark.parametrize(
    "ending", ["jsonl", "json", "csv", "tsv", "parquet", "jsonl.gz", "json.gz", "csv.gz", "tsv.gz"]
)
def test_a_long_file_is_mapped_from_the_disk_and_has_the_same_rows(
    tmp_path: Path, ending: str
) -> None:
    rows = read_rows(write(tmp_path / f"rows.{ending}", many(LONG)))
    assert rows.to_list() == many(LONG)
    assert rows.cache_files
    few = read_rows(write(tmp_path / f"few.{ending}", many(10)))
    assert few.features == rows.features
    assert not few.cache_files


def test_what_only_the_last_rows_tell_holds_for_all(tmp_path: Path) -> None:
    late = {"text": "x", "label": 0.5, "extra": "seen"}
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in [*many(LONG), late]))
    rows = read_rows(path)
    assert rows["label"][:3] == [0.0, 1.0, 2.0]
    assert rows[LONG] == {"text": "x", "label": 0.5, "score": None, "extra": "seen"}
    assert rows[0]["extra"] is None
    frame = "code,number\n" + "1,1\n" * LONG + "x,1.5\n"
    (tmp_path / "rows.csv").write_text(frame)
    rows = read_rows(tmp_path / "rows.csv")
    assert (rows["code"][0], rows["number"][0]) == ("1", 1.0)
    assert (rows["code"][LONG], rows["number"][LONG]) == ("x", 1.5)


def test_another_type_far_down_is_named_by_its_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"label": 1}\n' * LONG + '{"label": null}\n{"label": "one"}\n')
    with pytest.raises(DataError, match="int and str") as caught:
        read_rows(path)
    assert f"row {LONG + 2}, column 'label'" in str(caught.value.where)


def test_line_ends_blank_lines_and_a_byte_order_mark_are_no_content(tmp_path: Path) -> None:
    for ending, comma in (("csv", ","), ("tsv", "\t")):
        path = tmp_path / f"rows.{ending}"
        lines = ["text,label", "one,1", '"two",0', "", ""]
        path.write_bytes("\r\n".join(lines).replace(",", comma).encode("utf-8-sig"))
        expected = [{"text": "one", "label": 1}, {"text": "two", "label": 0}]
        assert read_rows(path).to_list() == expected
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"text": "one"}\r\n\r\n{"text": "two"}\r\n\r\n')
    assert read_rows(path)["text"][:] == ["one", "two"]


def test_identifiers_too_long_for_a_number_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("code,number\n12345678901234567890,1\n12345678901234567891,2\n")
    assert read_rows(path)["code"][:] == ["12345678901234567890", "12345678901234567891"]


def test_lines_of_text_end_at_line_ends_alone(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_bytes("\ufeffone\u2028still one\x0c\r\n \r\ntwo\x85\n".encode())
    assert read_lines(path, "text")["text"][:] == ["one\u2028still one\x0c", "two\x85"]
