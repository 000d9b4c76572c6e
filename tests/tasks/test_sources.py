from __future__ import annotations

from glp_export.tasks import DataSpec, TaskData, load_task_data


def demo(**words: int) -> TaskData:
    return load_task_data(DataSpec(task="demo", **words))


def test_the_demo_needs_no_data_and_is_a_task_like_any_other() -> None:
    data = demo()
    assert data.task.name == "demo"
    assert data.task.kind == "text-classification"
    assert data.task.num_labels >= 2
    assert min(len(data.fit), len(data.select), len(data.test)) >= 100
    assert "demo" in data.source


def test_the_seed_splits_the_demo_and_does_not_make_another() -> None:
    first, other = demo(seed=1), demo(seed=2)
    assert first.test["text"][:] == other.test["text"][:]
    assert sorted(first.train["text"][:]) == sorted(other.train["text"][:])
    assert first.fit["text"][:] != other.fit["text"][:]
