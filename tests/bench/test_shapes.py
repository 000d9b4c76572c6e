"""What contenders are fed: full-length random tokens, and batches of the task's own lengths."""

from __future__ import annotations

import numpy as np
import pytest
from datasets import Dataset

from glp_export.bench import shape_grid, task_workloads
from glp_export.core.errors import DataError, UsageError
from tests.contenders import fake_contender
from tests.tiny import make_tokenizer, rows


def encoded(texts: list[str]) -> Dataset:
    tokenizer = make_tokenizer()
    made = tokenizer(texts)
    return Dataset.from_dict({**made, "labels": [0] * len(texts)})


def test_the_grid_has_every_size_at_every_length() -> None:
    contender = fake_contender(vocab_size=30, pad_token_id=7)
    workloads = shape_grid([contender], [1, 8], [4, 16])
    assert [w.shape.name for w in workloads] == ["1x4", "1x16", "8x4", "8x16"]
    for workload in workloads:
        [feeds] = workload.batches
        size = (workload.shape.batch_size, workload.shape.sequence_length)
        assert all(array.shape == size and array.dtype == np.int64 for array in feeds.values())
        assert feeds["attention_mask"].all()
        assert not feeds["token_type_ids"].any()


def test_ids_stay_in_every_vocabulary_and_off_every_padding_id() -> None:
    contenders = [
        fake_contender(vocab_size=12, pad_token_id=0),
        fake_contender(vocab_size=90, pad_token_id=1),
        fake_contender(vocab_size=90, pad_token_id=None),
    ]
    [workload] = shape_grid(contenders, [16], [64])
    assert set(np.unique(workload.batches[0]["input_ids"])) == set(range(2, 12))


def test_the_seed_decides_the_tokens() -> None:
    first, same, other = (
        shape_grid([fake_contender()], [2], [8], seed=seed)[0].batches[0]["input_ids"]
        for seed in (1, 1, 2)
    )
    assert (first == same).all()
    assert (first != other).any()


def test_a_length_that_a_contender_cannot_read_is_refused() -> None:
    contenders = [fake_contender(max_length=512), fake_contender("short.onnx", max_length=64)]
    with pytest.raises(UsageError, match=r"short.onnx.*64 tokens, not 128"):
        shape_grid(contenders, [1], [32, 128])


@pytest.mark.parametrize(("sizes", "lengths"), [([0], [8]), ([1], [-3]), ([], [8])])
def test_sizes_start_at_one(sizes: list[int], lengths: list[int]) -> None:
    with pytest.raises(UsageError, match="start at 1"):
        shape_grid([fake_contender()], sizes, lengths)


def test_task_batches_hold_each_row_once_before_any_comes_again() -> None:
    texts = [row["text"] for row in rows(30, seed=4)]
    data = encoded(texts)
    [workload] = task_workloads(data, make_tokenizer(), [3], batches=10)
    assert len(workload.batches) == 10
    seen = sorted(
        tuple(ids[mask.astype(bool)].tolist())
        for feeds in workload.batches
        for ids, mask in zip(feeds["input_ids"], feeds["attention_mask"], strict=True)
    )
    assert seen == sorted(tuple(ids) for ids in data["input_ids"])


def test_task_batches_are_padded_to_their_own_longest() -> None:
    data = encoded([row["text"] for row in rows(40, seed=5)])
    [workload] = task_workloads(data, make_tokenizer(), [4], batches=8)
    lengths = [feeds["input_ids"].shape[1] for feeds in workload.batches]
    assert len(set(lengths)) > 1
    assert all(
        feeds["attention_mask"].sum(axis=1).max() == n
        for feeds, n in zip(workload.batches, lengths, strict=True)
    )
    assert workload.shape.sequence_length == round(float(np.mean(lengths)))
    assert workload.shape.name == "4xtask"


def test_few_rows_are_used_again_to_fill_a_batch() -> None:
    data = encoded(["the cat is good", "a dog"])
    [workload] = task_workloads(data, make_tokenizer(), [5])
    assert [feeds["input_ids"].shape[0] for feeds in workload.batches] == [5]


def test_another_tokenizer_gets_the_same_texts() -> None:
    texts = [row["text"] for row in rows(12)]
    longer = encoded([text + " and very very good" for text in texts])
    [workload] = task_workloads(
        encoded(texts), make_tokenizer(), [1], own={"distilled": (longer, make_tokenizer())}
    )
    own = workload.batches_of("distilled")
    assert len(own) == len(workload.batches) == 12
    for feeds, others in zip(workload.batches_of("pruned"), own, strict=True):
        assert others["input_ids"].shape[1] == feeds["input_ids"].shape[1] + 4


def test_no_rows_or_other_rows_are_refused() -> None:
    data = encoded(["the cat is good", "a dog"])
    with pytest.raises(DataError, match="no rows"):
        task_workloads(data.select([]), make_tokenizer(), [1])
    with pytest.raises(DataError, match="distilled has 1 rows"):
        task_workloads(
            data, make_tokenizer(), [1], own={"distilled": (data.select([0]), make_tokenizer())}
        )
