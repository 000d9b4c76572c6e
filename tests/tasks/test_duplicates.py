from __future__ import annotations

import numpy as np
import pytest

from glp_export.tasks import DataSpec, TaskData, load_task_data, read_unlabeled
from glp_export.tasks.duplicates import imitated_in_words
from tests.tasks.helpers import labelled, two_files
from tests.tiny import write_jsonl

GOOD = ["a", "b"] * 20


def load(directory, **words) -> TaskData:
    return load_task_data(DataSpec(dataset=str(directory), **words))


def test_nothing_is_said_of_texts_of_their_own(tmp_path):
    test = [{**row, "text": f"other {row['text']}"} for row in labelled(GOOD)]
    assert load(two_files(tmp_path, labelled(GOOD), test)).notes == ()


def test_test_texts_that_were_trained_on_are_counted_and_kept(tmp_path):
    test = [*labelled(GOOD)[:3], {"text": "new", "label": "a"}]
    data = load(two_files(tmp_path, labelled(GOOD), test))
    assert len(data.notes) == 1
    assert "3 of 4 test examples repeat the text of a training example" in data.notes[0]
    assert len(data.test) == 4


def test_repeated_training_texts_are_counted_once_less(tmp_path):
    rows = labelled(GOOD)
    repeated = [*rows, rows[0], rows[0], {**rows[1], "label": "a"}]
    data = load(two_files(tmp_path, repeated, [{"text": "new", "label": "a"}]))
    assert len(data.notes) == 1
    assert "3 of 43 training examples repeat the text of another" in data.notes[0]
    assert len(data.train) == 43


def test_of_a_pair_both_texts_have_to_repeat(tmp_path):
    rows = [{"q": f"q {n // 4}", "a": f"a {n % 4}", "label": n % 2} for n in range(40)]
    test = [{"q": "q 0", "a": "a 0", "label": 0}, {"q": "a 0", "a": "q 0", "label": 0}]
    (note,) = load(two_files(tmp_path, rows, test)).notes
    assert note.startswith("1 of 2 test examples")


def test_every_test_set_is_looked_at(tmp_path):
    rows = [{"premise": f"p{n}", "hypothesis": "h", "label": n % 3} for n in range(30)]
    write_jsonl(tmp_path / "train.jsonl", rows)
    write_jsonl(tmp_path / "validation_matched.jsonl", [{**row, "premise": "x"} for row in rows])
    write_jsonl(tmp_path / "validation_mismatched.jsonl", rows[:6])
    (note,) = load(tmp_path, task="mnli").notes
    assert note.startswith("6 of 6 validation_mismatched examples")


def test_held_out_texts_that_are_imitated_on_are_counted(tmp_path):
    data = load(two_files(tmp_path, labelled(GOOD), [{"text": n, "label": "a"} for n in "xyz"]))
    (tmp_path / "more.txt").write_text("x\nz\nnew\n")
    texts = read_unlabeled(tmp_path / "more.txt", data.task)
    (note,) = imitated_in_words(texts, {"dev": data.select, "test": data.test})
    assert note.startswith("2 of 3 test examples stand among the texts of --unlabeled")
    pairs = texts.add_column("text_pair", ["a", "b", "c"])
    assert imitated_in_words(pairs, {"test": data.test}) == ()


@pytest.mark.parametrize("count", [999, 2500])
def test_batches_of_rows_are_put_together_in_order(tmp_path, count):
    train = labelled(["a", "b"] * (count // 2 + 1))
    chosen = np.random.default_rng(0).permutation(count)[: count // 3]
    data = load(two_files(tmp_path, train, [train[row] for row in chosen]))
    assert data.notes[0].startswith(f"{count // 3} of {count // 3} test examples")
