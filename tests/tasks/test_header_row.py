"""Tables without a header line: no row of theirs is lost in silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from glp_export.core.errors import DataError
from glp_export.tasks import DataSpec, Task, load_task_data
from tests.tiny import rows


def write(path: Path, header: str, columns: tuple[str, ...], separator: str = ",") -> Path:
    number = {"good": "1", "bad": "0"}
    made = [
        {**row, "number": number[row["label"]], "score": f"{len(row['text'])}.5"}
        for row in rows(40)
    ]
    lines = [header] if header else []
    lines += [separator.join(row[name] for name in columns) for row in made]
    path.write_text("\n".join(lines) + "\n")
    return path


def load(directory: Path, **spec: object) -> object:
    return load_task_data(DataSpec(dataset=str(directory), **spec))


def both(directory: Path, header: str, columns: tuple[str, ...], ending: str = "csv") -> Path:
    separator = "\t" if ending == "tsv" else ","
    for name in ("train", "validation"):
        write(directory / f"{name}.{ending}", header, columns, separator)
    return directory


@pytest.mark.parametrize("ending", ["csv", "tsv"])
@pytest.mark.parametrize(
    "columns", [("text", "number"), ("number", "text"), ("text", "score"), ("text", "label")]
)
def test_a_first_row_is_not_taken_for_names(
    tmp_path: Path, columns: tuple[str, ...], ending: str
) -> None:
    with pytest.raises(DataError, match="--text-columns"):
        load(both(tmp_path, "", columns, ending))


def test_a_first_text_is_not_taken_for_a_name(tmp_path: Path) -> None:
    path = write(tmp_path / "texts.csv", "", ("text",))
    own = Task("m", "text-classification", ("text",), "", ("good", "bad"), "accuracy")
    with pytest.raises(DataError, match="names of the columns"):
        load_task_data(DataSpec(dataset=str(path)), own)


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("0,1", ("text", "number")),
        ("what people say of us.,label", ("text", "label")),
        ("review,stars", ("text", "number")),
    ],
)
def test_odd_names_are_names(tmp_path: Path, header: str, columns: tuple[str, ...]) -> None:
    data = load(both(tmp_path, header, columns))
    assert len(data.test) == 40


def test_who_names_columns_gets_them(tmp_path: Path) -> None:
    named = {"text_columns": ("what is said here now?",), "label_column": "7"}
    both(tmp_path, "what is said here now?,7", ("text", "number"))
    assert len(load(tmp_path, **named).test) == 40
