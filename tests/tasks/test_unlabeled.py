from __future__ import annotations

import numpy as np
import pytest

from glp_export.core.errors import DataError, UsageError
from glp_export.tasks import Task, blank_labels, labels_of, read_unlabeled, with_labels
from glp_export.tasks.unlabeled import read_texts, text_columns_of
from tests.tiny import write_jsonl

ONE = Task("reviews", "text-classification", ("sentence",), "label", ("bad", "good"), "accuracy")
PAIR = Task("pairs", "regression", ("first", "second"), "score", (), "spearman")


def test_a_table_gives_its_text_columns_alone(tmp_path):
    rows = [{"first": "a", "second": "b", "more": 1}, {"first": "c", "second": "d", "more": 2}]
    texts = read_unlabeled(write_jsonl(tmp_path / "texts.jsonl", rows), PAIR)
    assert texts[:] == {"text": ["a", "c"], "text_pair": ["b", "d"]}


def test_lines_are_texts_and_empty_ones_are_none(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("one\n\n  \ntwo\n", encoding="utf-8")
    assert read_unlabeled(path, ONE)[:] == {"text": ["one", "two"]}


def test_labels_have_the_type_of_the_tasks_own_rows(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("one\ntwo\n")
    labelled = with_labels(read_unlabeled(path, ONE), np.array([1, 0], dtype=np.int32), ONE)
    assert labelled.features["label"].dtype == "int64"
    assert labelled["label"][:] == [1, 0]


EMBED = Task("pairs", "sentence-embeddings", ("first", "second"), "score", (), "spearman")


def test_texts_that_are_read_alone_need_no_partner(tmp_path):
    lines = tmp_path / "texts.txt"
    lines.write_text("a\nb\n")
    rows = write_jsonl(tmp_path / "texts.jsonl", [{"first": "a"}, {"first": "b"}])
    for path in (lines, rows):
        texts = read_unlabeled(path, EMBED)
        assert texts[:] == {"text": ["a", "b"], "text_pair": [None, None]}
        assert texts.features["text_pair"].dtype == "string"
        labelled = with_labels(texts, blank_labels(texts, EMBED), EMBED)
        assert labelled.features["label"].dtype == "float64"


def test_texts_can_have_several_labels_each(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("one\ntwo\n")
    task = Task("t", "multi-label-classification", ("text",), "labels", ("a", "b"), "micro_f1")
    texts = read_unlabeled(path, task)
    assert with_labels(texts, blank_labels(texts, task), task)["label"][:] == [[0, 0], [0, 0]]
    found = labels_of(np.array([[1.0, -1.0], [2.0, 3.0]]), task)
    assert with_labels(texts, found, task)["label"][:] == [[1, 0], [1, 1]]


def test_words_and_questions_are_not_labelled_by_a_teacher(tmp_path):
    task = Task("t", "token-classification", ("tokens",), "tags", ("O", "B-x"), "seqeval_f1")
    with pytest.raises(UsageError, match="without labels cannot be learned"):
        read_unlabeled(write_jsonl(tmp_path / "texts.jsonl", [{"tokens": ["a"]}]), task)


@pytest.mark.parametrize(
    ("name", "content", "task", "message"),
    [
        ("x.jsonl", '{"text": "a"}\n', ONE, "no column 'sentence'"),
        ("x.jsonl", '{"sentence": "a"}\n{"sentence": null}\n', ONE, "row 2"),
        ("x.txt", "\n", ONE, "no rows"),
        ("x.txt", "a\n", PAIR, "reads two"),
        ("x.pdf", "a\n", ONE, "not understood"),
    ],
)
def test_files_that_will_not_do(tmp_path, name, content, task, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError) as caught:
        read_unlabeled(tmp_path / name, task)
    assert message in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_unlabeled(tmp_path / "none.txt", ONE)


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        ({"body": "a", "label": "x"}, ("body",)),
        ({"sentence2": "b", "sentence1": "a", "label": 1}, ("sentence1", "sentence2")),
        ({"id": "7", "title": "t", "context": "b", "question": "a"}, ("question", "context")),
        ({"text": "a", "text_pair": "b"}, ("text", "text_pair")),
        ({"id": "1", "tokens": ["a", "b"], "ner_tags": [0, 1]}, ("tokens",)),
    ],
)
def test_what_a_model_that_no_data_came_with_reads(tmp_path, row, columns):
    task = Task("m", "question-answering", ("text",), "label", (), "squad_f1")
    path = write_jsonl(tmp_path / "texts.jsonl", [row, row])
    assert text_columns_of(path, task) == columns
    read = Task("m", task.kind, columns, "label", (), "squad_f1")
    words = [row[name] if isinstance(row[name], str) else "a b" for name in columns]
    texts = read_texts(path, read)[:]
    assert [texts[name] for name in ("text", "text_pair")[: len(words)]] == [[w, w] for w in words]
