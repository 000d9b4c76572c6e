"""The support table: how outcomes become cells, and that the page is what was recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from tests.families import TESTED
from tests.support import Cell, render, write

DOCS = Path(__file__).parents[2] / "docs"
FOUR, FIVE = "transformers 4.57", "transformers 5"
CELL = Cell("families", "BERT", "export", FIVE, "passed")


def page(*cells: Cell) -> list[str]:
    stacks = {FOUR: {"onnx": "1.20"}, FIVE: {"onnx": "1.20"}}
    record = {"stacks": stacks, "cells": [vars(cell) for cell in cells]}
    return render(record).splitlines()


def test_the_page_is_what_was_recorded() -> None:
    record = json.loads((DOCS / "support.json").read_text(encoding="utf-8"))
    assert (DOCS / "support.md").read_text(encoding="utf-8") == render(record)


def test_both_stacks_are_in_it_and_nothing_fails() -> None:
    record = json.loads((DOCS / "support.json").read_text(encoding="utf-8"))
    assert list(record["stacks"]) == [FOUR, FIVE]
    cells = [Cell(**value) for value in record["cells"]]
    assert [cell for cell in cells if cell.outcome == "failed"] == []
    for stack in (FOUR, FIVE):
        rows = {c.row for c in cells if (c.table, c.stack) == ("families", stack)}
        assert rows >= set(TESTED)


def test_one_word_where_stacks_agree_and_one_each_where_not() -> None:
    four = replace(CELL, stack=FOUR)
    assert "| BERT | yes |" in page(four, CELL)
    assert "| BERT | 4.57: —<br>5: yes |" in page(CELL)
    refused = replace(four, outcome="skipped", note="no such thing")
    lines = page(refused, CELL)
    assert "| BERT | 4.57: no (1)<br>5: yes |" in lines
    assert lines[-1] == "1. no such thing"
    assert "| BERT | 4.57: **fails**<br>5: yes |" in page(replace(four, outcome="failed"), CELL)


def test_several_tests_stand_behind_a_cell() -> None:
    failed, left_out = replace(CELL, outcome="failed"), replace(CELL, outcome="skipped", note="why")
    assert CELL.joined(failed).outcome == failed.joined(CELL).outcome == "failed"
    assert CELL.joined(CELL).tests == 2
    partly = CELL.joined(left_out)
    assert (partly.outcome, partly.says, partly.note) == ("passed", "yes", "why")
    assert left_out.joined(CELL) == partly
    assert CELL.joined(replace(CELL, says="all but 0")).says == "all but 0"


def test_a_run_of_some_tests_leaves_the_others_cells(tmp_path: Path) -> None:
    path = tmp_path / "support.json"
    write(path, FIVE, {"onnx": "1"}, [CELL, replace(CELL, row="MPNet")])
    write(path, FOUR, {"onnx": "2"}, [replace(CELL, stack=FOUR)])
    write(path, FIVE, {"onnx": "3"}, [replace(CELL, outcome="failed")])
    record = json.loads(path.read_text())
    assert record["stacks"] == {FOUR: {"onnx": "2"}, FIVE: {"onnx": "3"}}
    outcomes = {(cell["row"], cell["stack"]): cell["outcome"] for cell in record["cells"]}
    assert outcomes == {
        ("BERT", FIVE): "failed",
        ("MPNet", FIVE): "passed",
        ("BERT", FOUR): "passed",
    }
