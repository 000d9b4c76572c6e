from __future__ import annotations

import numpy as np
import pytest
import torch

from glp_export.core.shape import Kept
from glp_export.encoder import (
    DistillSettings,
    HiddenStates,
    ModelSource,
    TrainSettings,
    distill,
    finetune,
    load_tokenizer,
    predict,
)
from glp_export.encoder.batches import Collator, forward
from glp_export.encoder.compaction import compact
from glp_export.tasks import DataSpec, encode, load_task_data, score
from glp_export.tasks.kinds.learning import soft_cross_entropy
from tests.encoder.starts import fresh

SETTINGS = TrainSettings(epochs=15, learning_rate=3e-3, batch_size=16)


@pytest.fixture(scope="module")
def room(encoder, data):
    """Task data, tokenizer and encoded training rows."""
    tokenizer = load_tokenizer(ModelSource(str(encoder)))
    task_data = load_task_data(DataSpec(dataset=str(data)))
    return task_data, tokenizer, encode(task_data.train, task_data.task, tokenizer, 32)


def test_finetuning_learns_the_training_examples(encoder, room):
    data, tokenizer, train = room
    model = finetune(fresh(encoder, data.task), train, tokenizer, SETTINGS)
    logits = predict(model, train, tokenizer)
    majority = max(np.bincount(train["labels"])) / len(train)
    assert score(data.task, logits, train["labels"]) > majority + 0.1


def test_the_same_seed_gives_the_same_weights(encoder, room):
    data, tokenizer, train = room
    once = TrainSettings(epochs=1, learning_rate=1e-3)
    first, second = (
        finetune(fresh(encoder, data.task), train, tokenizer, once).state_dict() for _ in range(2)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_progress_reaches_the_last_step(encoder, room):
    data, tokenizer, train = room
    steps = []
    finetune(
        fresh(encoder, data.task),
        train,
        tokenizer,
        TrainSettings(epochs=1, learning_rate=1e-3),
        lambda done, total: steps.append((done, total)),
    )
    assert steps[-1][0] == steps[-1][1] == len(steps)


def test_a_distilled_student_imitates_its_teacher(encoder, room):
    data, tokenizer, train = room
    teacher = finetune(fresh(encoder, data.task), train, tokenizer, SETTINGS)
    wanted = predict(teacher, train, tokenizer)
    student = fresh(encoder, data.task)
    before = np.abs(predict(student, train, tokenizer) - wanted).mean()
    distill(student, wanted, train, tokenizer, SETTINGS, DistillSettings(weight=1.0, rate=1.0))
    assert np.abs(predict(student, train, tokenizer) - wanted).mean() < before / 2


def test_soft_cross_entropy_is_zero_for_equal_answers_and_grows_with_the_difference():
    teacher = torch.tensor([[2.0, -1.0]])
    assert soft_cross_entropy(teacher, teacher, 2.0).item() == pytest.approx(0.0, abs=1e-6)
    near, far = torch.tensor([[1.5, -1.0]]), torch.tensor([[-2.0, 1.0]])
    assert soft_cross_entropy(near, teacher, 2.0) < soft_cross_entropy(far, teacher, 2.0)


def test_answers_come_in_the_order_of_the_rows(encoder, room):
    data, tokenizer, train = room
    model = fresh(encoder, data.task)
    together = predict(model, train, tokenizer, batch_size=7)
    alone = predict(model, train.select([5]), tokenizer)
    # Padding changes the order in which fp32 sums are formed, no more.
    np.testing.assert_allclose(together[5], alone[0], atol=1e-5)


@pytest.mark.parametrize(
    ("fine_tuning", "rate", "expected"),
    [(2e-5, 4, 8e-5), (5e-4, 4, 5e-4), (2e-3, 4, 2e-3), (3e-4, 4, 5e-4), (2e-3, 0.5, 1e-3)],
)
def test_a_student_is_hurried_up_to_a_limit_and_never_slowed_unasked(fine_tuning, rate, expected):
    from glp_export.encoder.distillation import _learning_rate

    assert _learning_rate(fine_tuning, rate) == pytest.approx(expected)


def test_a_student_that_imitates_them_comes_nearer(encoder, room):
    data, tokenizer, train = room
    teacher = fresh(encoder, data.task).eval()
    wanted = predict(teacher, train, tokenizer)
    kept = Kept.of([([0], range(8))] * teacher.config.num_hidden_layers)
    given = Collator(tokenizer)([train[row] for row in range(8)])
    hidden = HiddenStates.of(teacher, range(teacher.config.num_hidden_layers), 4)
    found, short = [], TrainSettings(epochs=2, learning_rate=1e-3, batch_size=16)
    for imitated in (None, hidden):
        student = compact(teacher, kept)
        distill(student, wanted, train, tokenizer, short, DistillSettings(), hidden_states=imitated)
        with torch.no_grad():
            outputs = forward(student, given, output_hidden_states=True)
            found.append(float(hidden.distance(outputs, given)))
    assert found[1] < 0.5 * found[0]
