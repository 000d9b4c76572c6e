"""Training that ends when it should: how long, at which rate, with which weights."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from glp_export.encoder import (
    RECOVERIES,
    DistillSettings,
    ModelSource,
    TrainingInputs,
    TrainSettings,
    Watch,
    distill,
    finetune,
    load_model,
    predict,
    schedule_for,
)
from glp_export.encoder.schedule import Looks, Schedule
from glp_export.encoder.watched_training import lowest_of_the_best
from glp_export.tasks import score
from glp_export.workflows.final_training import watch_on_dev
from tests.encoder.starts import fresh

SHORT = Schedule(updates=24, every=4, least=12, patience=2, rates=(3e-3, 1e4), tried=8)


def test_more_classes_and_more_rows_ask_for_more_updates() -> None:
    few, many = (schedule_for(1500, 265, 32, classes, (1e-4,)) for classes in (6, 77))
    assert many.updates > 3 * few.updates
    assert schedule_for(100_000, 9999, 32, 2, (1e-4,)).updates == 9375  # three passes
    assert few.least == few.updates // 2
    unsure = schedule_for(85, 15, 32, 6, (1e-4,))  # a few rows of dev end nothing
    assert unsure.least == unsure.updates
    assert few.most == few.updates  # one rate is not tried
    assert schedule_for(1500, 265, 32, 6, (1e-4, 2e-4)).most == few.updates + 2 * few.tried


def test_it_ends_after_its_patience_and_never_in_its_first_half() -> None:
    looks = Looks(replace(SHORT, least=20))
    ended = [looks.add(value) and looks.ends for value in (0.5, 0.6, 0.6)]
    assert ended == [False, False, False]
    assert not looks.add(0.4)
    assert not looks.add(float("nan"))
    assert looks.ends  # 20 updates, and two looks since the later one of equals


def test_the_best_weights_on_dev_are_kept_and_the_better_rate_is_found(encoder, room, caplog):
    task, tokenizer, fit, select = room
    seen: list[dict[str, torch.Tensor]] = []
    scores = iter([0.0, 0.1, 0.9, 0.2, 0.3, 0.4, 0.5])  # the first before any training

    def judge(model):
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return next(scores)

    steps = []
    with caplog.at_level("INFO", "glp_export"):
        model = finetune(
            fresh(encoder, task),
            fit,
            tokenizer,
            TrainSettings(batch_size=16),
            lambda done, total: steps.append((done, total)),
            Watch(SHORT, select, judge, float),
        )
    # 16 updates of 24: two looks without a better one; their mean is far below.
    assert len(seen) == 6
    assert all(torch.equal(seen[2][name], value) for name, value in model.state_dict().items())
    assert "learning rate 0.00211078" in caplog.text  # 0.003 of 8 updates is too high for 24
    assert steps == [(step, 40) for step in range(1, 33)]


def test_the_lowest_rate_is_taken_that_dev_does_not_tell_from_the_best() -> None:
    noise = np.random.default_rng(0).normal(0, 0.2, 30)
    best, alike, worse = np.full(30, 0.35), 0.36 + noise - noise.mean(), np.full(30, 0.5)
    assert lowest_of_the_best({1.0: worse, 2.0: alike, 4.0: best}) == 2.0
    assert lowest_of_the_best({1.0: worse, 4.0: best}) == 4.0
    assert lowest_of_the_best({1.0: np.full(30, np.nan), 4.0: best}) == 4.0
    assert lowest_of_the_best({1.0: best[:1], 2.0: best[:1] - 0.01}) == 2.0  # one part: no noise
    assert lowest_of_the_best({1.0: np.full(30, np.nan)}) is None


def test_no_rate_is_tried_below_one_that_did_worse(encoder, room, caplog):
    task, tokenizer, fit, _ = room
    schedule = replace(SHORT, rates=(1e-9, 1e-8, 3e-3), tried=80)
    steps = []
    with caplog.at_level("INFO", "glp_export"):
        finetune(
            fresh(encoder, task),
            fit,
            tokenizer,
            TrainSettings(batch_size=16),
            lambda done, total: steps.append((done, total)),
            Watch(schedule, fit, lambda model: 0.5, float),  # what it learns from: there it falls
        )
    assert "0.003 " in caplog.text
    assert "1e-08 " in caplog.text
    assert "1e-09 " not in caplog.text
    assert steps[0] == (1, 24 + 3 * 80)


def test_the_mean_of_the_looks_is_kept_where_dev_does_not_tell_it_from_the_best(encoder, room):
    task, tokenizer, fit, select = room
    looks: list[dict[str, torch.Tensor]] = []
    scores = iter([0.0, 0.5, 0.6, 0.58, 0.59, 0.56])

    def judge(model):
        looks.append({name: value.clone() for name, value in model.state_dict().items()})
        return next(scores)

    settings = TrainSettings(batch_size=16)
    model = finetune(
        fresh(encoder, task), fit, tokenizer, settings, watch=Watch(SHORT, select, judge, float)
    )
    for name, value in model.state_dict().items():  # four looks: a plain mean
        wanted = torch.stack([one[name].double() for one in looks[1:5]]).mean(0)
        assert torch.allclose(value.double(), wanted, atol=1e-6), name


def test_what_dev_leaves_in_doubt_depends_on_the_score(encoder, room):
    task, tokenizer, fit, select = room
    kept = {}
    for noise in (0.1, 0.3):
        scores, asked = iter([0.0, 0.5, 0.4, 0.3, 0.2, 0.25]), []

        def doubt(answers, noise=noise, asked=asked):
            asked.append(answers)
            return noise

        looks = []

        def judge(model, looks=looks, scores=scores):
            looks.append(model.classifier.weight.detach().clone())
            return next(scores)

        watch = Watch(SHORT, select, judge, float, noise=doubt)
        settings = TrainSettings(batch_size=16)
        model = finetune(fresh(encoder, task), fit, tokenizer, settings, watch=watch)
        assert asked == [0.5]  # of the best look
        kept[noise] = torch.equal(model.classifier.weight, looks[1])
    assert kept == {0.1: True, 0.3: False}


def test_the_standard_error_of_a_share_is_that_of_its_rows(encoder, room):
    task, tokenizer, _, select = room
    model = fresh(encoder, task)
    watch = watch_on_dev(SHORT, task, select, tokenizer, "cpu")
    answers = watch.answers(model)
    share = watch.score(answers)
    assert watch.noise(answers) == pytest.approx(
        math.sqrt(share * (1 - share) / len(select)), rel=0.25
    )


def test_a_mean_that_has_no_score_is_not_kept(encoder, room):
    task, tokenizer, fit, select = room
    scores = iter([0.0, 0.5, 0.6, 0.5, 0.4, float("nan")])
    looks: list[torch.Tensor] = []

    def judge(model):
        looks.append(model.classifier.weight.detach().clone())
        return next(scores)

    settings = TrainSettings(batch_size=16)
    model = finetune(
        fresh(encoder, task), fit, tokenizer, settings, watch=Watch(SHORT, select, judge, float)
    )
    assert torch.equal(model.classifier.weight, looks[2])


def test_a_training_that_only_makes_it_worse_on_dev_changes_nothing(encoder, room):
    task, tokenizer, fit, select = room
    before = {name: value.clone() for name, value in fresh(encoder, task).state_dict().items()}
    scores = iter([0.9, *[0.8] * 8])
    short = Schedule(updates=4, every=2, least=2, patience=1, rates=(3e-3,), tried=0)
    watch = Watch(short, select, lambda model: next(scores), float)
    settings = TrainSettings(batch_size=16, learning_rate=3e-3)
    model = finetune(fresh(encoder, task), fit, tokenizer, settings, watch=watch)
    assert len(list(scores)) < 8, "it was looked at while it was trained"
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_what_was_at_chance_before_its_training_is_not_kept(encoder, room):
    task, tokenizer, fit, select = room
    before = fresh(encoder, task).classifier.weight.detach().clone()
    asked = []

    def above_chance(answers):
        asked.append(answers)
        return False

    scores = iter([0.9, *[0.1] * 8])  # by luck
    short = Schedule(updates=4, every=2, least=2, patience=1, rates=(3e-3,), tried=0)
    watch = Watch(short, select, lambda model: next(scores), float, above_chance=above_chance)
    settings = TrainSettings(batch_size=16, learning_rate=3e-3)
    model = finetune(fresh(encoder, task), fit, tokenizer, settings, watch=watch)
    assert asked == [0.9]
    assert not torch.equal(model.classifier.weight, before)


def test_an_untrained_head_is_not_above_chance_and_a_trained_one_is(encoder, room):
    task, tokenizer, fit, select = room
    watch = watch_on_dev(SHORT, task, select, tokenizer, "cpu")
    model = fresh(encoder, task)
    assert not watch.above_chance(watch.answers(model))
    settings = TrainSettings(epochs=12, batch_size=8, learning_rate=3e-3)
    assert watch.above_chance(watch.answers(finetune(model, fit, tokenizer, settings)))
    assert not watch.above_chance(np.full((len(select), 2), np.nan, dtype=np.float32))


def test_a_student_is_watched_by_the_same_rule_and_the_same_seed_gives_the_same(encoder, room):
    task, tokenizer, fit, select = room
    teacher = fresh(encoder, task)
    answers = [predict(teacher, rows, tokenizer) for rows in (fit, select)]
    truth = np.asarray(select["labels"][:])

    def train():
        watch = Watch(
            SHORT,
            select,
            lambda model: predict(model, select, tokenizer),
            lambda said: score(task, said, truth),
            answers[1],
        )
        student = load_model(ModelSource(str(encoder)), task)
        settings = TrainSettings(batch_size=16)
        distillation = DistillSettings()
        return distill(
            student, answers[0], fit, tokenizer, settings, distillation, watch=watch
        ).state_dict()

    torch.manual_seed(1)
    first = train()
    torch.manual_seed(1)
    second = train()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_student_that_learns_labels_is_watched_by_them(encoder, room, caplog):
    task, tokenizer, fit, select = room
    student = fresh(encoder, task)
    answers = [predict(student, rows, tokenizer) for rows in (fit, select)]
    watch = Watch(SHORT, select, lambda model: 0.5, float, answers[1])
    settings = TrainSettings(batch_size=16)
    inputs = TrainingInputs(fit, tokenizer, answers[0], settings, DistillSettings(), watch)
    with caplog.at_level("INFO", "glp_export"):
        RECOVERIES["finetune"].train(student, inputs, None)
    assert "learning rate 0.00211078" in caplog.text


def test_what_is_left_at_chance_is_trained_once_more_and_longer(encoder, room, caplog):
    task, tokenizer, fit, dev = room
    truth, asked = np.asarray(dev["labels"][:]), []

    def on_dev(model):
        return score(task, predict(model, dev, tokenizer), truth)

    def learned(answers):
        asked.append(answers)
        return False

    short = replace(SHORT, rates=(1e-9,), longer=2)  # nothing is learned at this rate
    watch = Watch(short, dev, on_dev, float, learned=learned)
    seen = []
    settings = TrainSettings(learning_rate=1e-9, batch_size=8)
    told = lambda done, most: seen.append((done, most))  # noqa: E731
    with caplog.at_level("WARNING"):
        finetune(fresh(encoder, task), fit, tokenizer, settings, told, watch=watch)
    assert len(asked) == 1
    assert "trained once more, for 48" in caplog.text
    assert seen[-1][0] <= seen[-1][1] == 24 + 48
    assert short.again().most == 2 * short.most
