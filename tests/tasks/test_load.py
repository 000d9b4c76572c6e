from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from glp_export.core.errors import DataError, UsageError
from glp_export.tasks import DataSpec, TaskData, load_task_data, require_enough
from tests.tasks.helpers import labelled, two_files
from tests.tiny import write_jsonl


def load(directory: Path, **words: Any) -> TaskData:
    return load_task_data(DataSpec(dataset=str(directory), **words))


def test_a_directory_becomes_a_task_with_three_splits(data: Path) -> None:
    loaded = load(data)
    assert loaded.task.labels == ("bad", "good")
    assert loaded.task.num_labels == 2
    assert loaded.task.label2id == {"bad": 0, "good": 1}
    assert loaded.task.id2label == {0: "bad", 1: "good"}
    assert (loaded.task.kind, loaded.task.metric) == ("text-classification", "accuracy")
    assert [len(loaded.fit), len(loaded.select), len(loaded.test)] == [102, 18, 40]
    assert loaded.fit.column_names == ["text", "label"]
    assert len(loaded.train) == 120


def test_every_row_keeps_its_own_label(data: Path) -> None:
    loaded = load(data)
    for split, file in ((loaded.train, "train.jsonl"), (loaded.test, "validation.jsonl")):
        written = [json.loads(line) for line in (data / file).read_text().splitlines()]
        read = [(row["text"], loaded.task.labels[row["label"]]) for row in split]
        assert sorted(read) == sorted((row["text"], row["label"]) for row in written)


def test_the_same_words_give_the_same_data_and_another_seed_does_not(data: Path) -> None:
    first, again, other = load(data), load(data), load(data, seed=42)
    assert first.checksum == again.checksum
    assert len(first.checksum) == 64
    assert first.fit["text"][:] == again.fit["text"][:]
    assert first.checksum != other.checksum
    assert sorted(first.train["text"][:]) == sorted(other.train["text"][:])


def test_the_checksum_tells_one_changed_word(tmp_path: Path) -> None:
    rows = labelled(["a", "b"] * 10)
    before = load(two_files(tmp_path / "before", rows, rows)).checksum
    changed = [*rows[:-1], {**rows[-1], "text": "another"}]
    assert load(two_files(tmp_path / "after", rows, changed)).checksum != before


def test_limits_cut_every_split_and_keep_every_label(tmp_path: Path) -> None:
    rows = labelled([f"class {row % 7}" for row in range(210)])
    loaded = load(
        two_files(tmp_path, rows, rows),
        max_train_samples=70,
        max_dev_samples=7,
        max_test_samples=14,
    )
    assert [len(loaded.fit), len(loaded.select), len(loaded.test)] == [60, 7, 14]
    assert set(loaded.fit["label"][:]) == set(loaded.test["label"][:]) == set(range(7))


def test_labels_and_columns_do_not_change_with_a_limit(tmp_path: Path) -> None:
    rows = labelled([str(row % 12) for row in range(120)])
    directory = two_files(tmp_path, rows, rows)
    assert load(directory).task == load(directory, max_train_samples=24).task


def test_the_share_held_back_can_be_chosen(data: Path) -> None:
    assert len(load(data, dev_fraction=0.5).select) == 60


def test_a_pair_of_texts_becomes_two_columns(tmp_path: Path) -> None:
    rows = [{"q": f"q{n}", "a": f"a{n}", "label": n % 2} for n in range(20)]
    loaded = load(two_files(tmp_path, rows, rows), text_columns=("a", "q"))
    assert loaded.test.column_names == ["text", "text_pair", "label"]
    assert loaded.test[0] == {"text": "a0", "text_pair": "q0", "label": 0}
    assert loaded.task.text_columns == ("a", "q")


def test_numbers_with_fractions_are_a_regression(tmp_path: Path) -> None:
    rows = labelled([n / 4 for n in range(40)])
    loaded = load(two_files(tmp_path, rows, rows))
    assert (loaded.task.kind, loaded.task.metric) == ("regression", "spearman")
    assert (loaded.task.labels, loaded.task.num_labels) == ((), 1)
    assert loaded.test["label"][:4] == [0.0, 0.25, 0.5, 0.75]


def test_whole_numbers_are_classes_unless_regression_is_asked_for(tmp_path: Path) -> None:
    rows = labelled([n % 5 for n in range(40)])
    directory = two_files(tmp_path, rows, rows)
    assert load(directory).task.labels == ("0", "1", "2", "3", "4")
    assert load(directory, kind="regression").test["label"][:3] == [0.0, 1.0, 2.0]


def test_glue_lends_columns_label_order_and_metric_to_local_data(tmp_path: Path) -> None:
    labels = ["equivalent", "not_equivalent"] * 10
    rows = [
        {"sentence1": f"a{n}", "sentence2": f"b{n}", "note": "x", "label": label}
        for n, label in enumerate(labels)
    ]
    task = load(two_files(tmp_path, rows, rows), task="mrpc").task
    assert (task.name, task.metric) == ("mrpc", "f1")
    assert task.text_columns == ("sentence1", "sentence2")
    # F1 is of id 1, and GLUE's positive class is "equivalent"; the alphabet says otherwise.
    assert task.labels == ("not_equivalent", "equivalent")


def test_stsb_with_whole_scores_only_is_still_a_regression(tmp_path: Path) -> None:
    rows = [{"sentence1": f"a{n}", "sentence2": "b", "label": n % 5} for n in range(20)]
    task = load(two_files(tmp_path, rows, rows), task="stsb").task
    assert (task.kind, task.metric) == ("regression", "spearman")


def test_local_mnli_has_two_test_sets(tmp_path: Path) -> None:
    rows = [{"premise": f"p{n}", "hypothesis": "h", "label": n % 3} for n in range(30)]
    write_jsonl(tmp_path / "train.jsonl", rows)
    write_jsonl(tmp_path / "validation_matched.jsonl", rows[:9])
    write_jsonl(tmp_path / "validation_mismatched.jsonl", rows[:6])
    loaded = load(tmp_path, task="mnli")
    assert len(loaded.test) == 9
    assert {name: len(rows) for name, rows in loaded.other_tests.items()} == {
        "validation_mismatched": 6
    }


def test_a_glue_task_over_data_without_its_columns_says_which_are_there(tmp_path: Path) -> None:
    rows = labelled(["entailment", "not_entailment"] * 10)
    with pytest.raises(DataError, match="no column 'sentence1'; the columns are text"):
        load(two_files(tmp_path, rows, rows), task="rte")


def test_an_empty_text_is_allowed(tmp_path: Path) -> None:
    rows = labelled(["a", "b"] * 10)
    rows[3]["text"] = ""
    assert "" in load(two_files(tmp_path, rows, rows)).train["text"][:]


GOOD = ["a", "b"] * 30
FRACTIONS = [n / 4 for n in range(40)]


@pytest.mark.parametrize(
    ("train", "validation", "fault", "where"),
    [
        (GOOD, ["a", "b", "c"], "Label 'c' does not occur", "validation.jsonl, row 3"),
        (GOOD, ["a", None], "no label", "validation.jsonl, row 2"),
        (["a", None, "b"], GOOD, "no label", "train.jsonl, row 2"),
        (["a", "", "b"], GOOD, "no label", "train.jsonl, row 2"),
        (["a"] * 9, ["a"], "nothing to tell apart", "train.jsonl"),
        ([f"id {n}" for n in range(60)], ["id 1"], "60 different labels", "train.jsonl"),
        ([{"is": "a"}, {"is": "b"}], GOOD, "A label is a dict", "train.jsonl, row 1"),
        ([["a"], ["b", "a"]] * 9, GOOD, "no list of labels", "validation.jsonl, row 1"),
        (["a", "b"], GOOD, "leave none to choose by", "train.jsonl"),
        (FRACTIONS, [0.5, float("nan")], "finite number", "validation.jsonl, row 2"),
        ([*FRACTIONS, float("inf")], [0.5], "finite number", "train.jsonl, row 41"),
        ([*FRACTIONS, None], [0.5], "no label", "train.jsonl, row 41"),
        (FRACTIONS, ["high"], "finite number", "validation.jsonl, row 1"),
    ],
)
def test_labels_that_cannot_be_used_are_named_by_row(
    tmp_path: Path, train: list[Any], validation: list[Any], fault: str, where: str
) -> None:
    directory = two_files(tmp_path, labelled(train), labelled(validation))
    with pytest.raises(DataError) as caught:
        load(directory)
    assert caught.value.exit_code == 7
    assert fault in caught.value.what
    assert where in str(caught.value.where)
    assert caught.value.fix


def test_a_regression_asked_for_over_words_or_one_number_is_refused(tmp_path: Path) -> None:
    words = two_files(tmp_path / "words", labelled(GOOD), labelled(GOOD))
    with pytest.raises(DataError, match="this one is 'a'"):
        load(words, kind="regression")
    ones = two_files(tmp_path / "ones", labelled([1] * 9), labelled([1]))
    with pytest.raises(DataError, match="nothing to learn"):
        load(ones, kind="regression")


@pytest.mark.parametrize(
    ("row", "fault", "where"),
    [
        ({"text": None, "label": "a"}, "no text", "row 61, column 'text'"),
        ({"label": "a"}, "no text", "row 61, column 'text'"),
        ({"text": 5, "label": "a"}, "different types", "row 61, column 'text'"),
    ],
)
def test_a_row_without_text_is_named(
    tmp_path: Path, row: dict[str, Any], fault: str, where: str
) -> None:
    directory = two_files(tmp_path, [*labelled(GOOD), row], labelled(GOOD))
    with pytest.raises(DataError, match=fault) as caught:
        load(directory)
    assert where in str(caught.value.where)


def test_columns_that_only_the_training_file_has_are_named(tmp_path: Path) -> None:
    other = [{"sentence": "a", "label": "a"}]
    with pytest.raises(DataError, match="no column 'text'") as caught:
        load(two_files(tmp_path, labelled(GOOD), other))
    assert "validation.jsonl" in str(caught.value.where)


@pytest.mark.parametrize(
    ("labels", "metric", "offer"),
    [
        ([f"class {n % 6}" for n in range(60)], "f1", "accuracy or macro_f1"),
        (GOOD, "spearman", "f1"),
        (FRACTIONS, "accuracy", "pearson or spearman"),
    ],
)
def test_a_metric_that_does_not_fit_is_answered_with_those_that_do(
    tmp_path: Path, labels: list[Any], metric: str, offer: str
) -> None:
    directory = two_files(tmp_path, labelled(labels), labelled(labels))
    with pytest.raises(UsageError, match="does not fit") as caught:
        load(directory, metric=metric)
    assert offer in str(caught.value.fix)


def test_a_metric_that_fits_is_taken(data: Path) -> None:
    assert load(data, metric="f1").task.metric == "f1"


def test_fewer_training_rows_than_labels_are_refused(tmp_path: Path) -> None:
    rows = labelled([f"class {n % 6}" for n in range(60)])
    with pytest.raises(UsageError, match="cannot show 6 labels"):
        load(two_files(tmp_path, rows, rows), max_train_samples=5)


def test_less_than_a_batch_is_refused(data: Path) -> None:
    loaded = load(data)
    require_enough(loaded, 102)
    with pytest.raises(DataError, match="102 examples to train on are fewer than one batch of 103"):
        require_enough(loaded, 103)
