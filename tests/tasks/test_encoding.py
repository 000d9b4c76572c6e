from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glp_export.core.errors import UsageError
from glp_export.tasks import DataSpec, encode, load_task_data
from tests.tasks.helpers import labelled, two_files
from tests.tiny import make_tokenizer


def test_rows_keep_their_order_and_are_not_padded(data: Path) -> None:
    loaded = load_task_data(DataSpec(dataset=str(data)))
    tokenizer = make_tokenizer()
    encoded = encode(loaded.test, loaded.task, tokenizer, 64)
    assert {"input_ids", "attention_mask", "labels", "length"} <= set(encoded.column_names)
    assert "text" not in encoded.column_names
    assert encoded["labels"][:] == loaded.test["label"][:]
    for row, text in zip(encoded, loaded.test["text"][:], strict=True):
        assert row["input_ids"] == tokenizer(text)["input_ids"]
        assert row["length"] == len(row["input_ids"]) == sum(row["attention_mask"])


def test_pairs_are_encoded_together(tmp_path: Path) -> None:
    rows = [{"a": "the cat", "b": "is good", "label": n % 2} for n in range(20)]
    loaded = load_task_data(DataSpec(dataset=str(two_files(tmp_path, rows, rows))))
    tokenizer = make_tokenizer()
    encoded = encode(loaded.test, loaded.task, tokenizer, 64)
    expected = tokenizer("the cat", "is good")
    assert encoded[0]["input_ids"] == expected["input_ids"]
    assert encoded[0]["token_type_ids"] == expected["token_type_ids"]


@pytest.mark.parametrize(("asked", "longest"), [(6, 6), (500, 10)])
def test_the_shorter_of_both_limits_holds(tmp_path: Path, asked: int, longest: int) -> None:
    rows = [{"text": "the cat " * 40, "label": n % 2} for n in range(20)]
    loaded = load_task_data(DataSpec(dataset=str(two_files(tmp_path, rows, rows))))
    encoded = encode(loaded.test, loaded.task, make_tokenizer(max_length=10), asked)
    assert set(encoded["length"][:]) == {longest}


def test_no_room_for_text_is_refused(data: Path) -> None:
    loaded = load_task_data(DataSpec(dataset=str(data)))
    with pytest.raises(UsageError, match="no room for text") as caught:
        encode(loaded.test, loaded.task, make_tokenizer(), 2)
    assert "--max-length 2" in str(caught.value.where)


def test_an_empty_text_is_two_special_tokens(tmp_path: Path) -> None:
    rows = labelled(["a", "b"] * 10)
    rows[0]["text"] = ""
    loaded = load_task_data(DataSpec(dataset=str(two_files(tmp_path, rows, rows))))
    assert encode(loaded.test, loaded.task, make_tokenizer(), 64)[0]["length"] == 2


def test_labels_have_the_type_that_the_loss_wants(data: Path, tmp_path: Path) -> None:
    rows = labelled([n / 4 for n in range(20)])
    numbers = load_task_data(DataSpec(dataset=str(two_files(tmp_path, rows, rows))))
    classes = load_task_data(DataSpec(dataset=str(data)))
    for loaded, kind in ((classes, np.int64), (numbers, np.float32)):
        encoded = encode(loaded.test, loaded.task, make_tokenizer(), 64).with_format("numpy")
        assert encoded["labels"][:].dtype == kind


def test_no_progress_bar_appears_and_the_users_setting_stays(
    data: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import datasets

    datasets.enable_progress_bars()
    loaded = load_task_data(DataSpec(dataset=str(data)))
    encode(loaded.fit, loaded.task, make_tokenizer(), 64)
    assert capfd.readouterr().err == ""
    assert not datasets.are_progress_bars_disabled()
