"""One trial, run on a tiny real encoder."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

from glp_export.compress.search.context import TrialContext, run_trial
from glp_export.compress.search.trial import Trial
from glp_export.encoder import (
    RECOVERIES,
    DistillSettings,
    ModelSource,
    TrainingInputs,
    TrainSettings,
    load_model,
    load_tokenizer,
    predict,
    predict_with_features,
    remove_layers,
)
from glp_export.tasks import DataSpec, encode, load_task_data
from tests.tiny import make_checkpoint


@pytest.fixture(scope="module")
def context(data, tmp_path_factory) -> TrialContext:
    names = {0: "bad", 1: "good"}
    classifier = make_checkpoint(tmp_path_factory.mktemp("named"), num_labels=2, id2label=names)
    loaded = load_task_data(DataSpec(dataset=str(data)))
    tokenizer = load_tokenizer(ModelSource(str(classifier)))
    teacher = load_model(ModelSource(str(classifier)), loaded.task)
    fit, select = (encode(rows, loaded.task, tokenizer, 32) for rows in (loaded.fit, loaded.select))
    inputs = TrainingInputs(
        examples=fit,
        tokenizer=tokenizer,
        teacher_logits=predict(teacher, fit, tokenizer),
        settings=TrainSettings(epochs=2, learning_rate=1e-3, batch_size=8),
        distillation=DistillSettings(),
    )
    return TrialContext(teacher, inputs, RECOVERIES["distill"], loaded.task, select, True, 1)


def test_the_same_trial_has_the_same_outcome(context):
    first, second = (run_trial(context, Trial((1, 2), 32)) for _ in range(2))
    assert first.logits.tobytes() == second.logits.tobytes()
    assert first.losses.tobytes() == second.losses.tobytes()
    assert first.candidate.trial == Trial((1, 2), 32)


def test_an_untrained_candidate_answers_as_the_ancestor_without_the_layers(context):
    cut = remove_layers(context.ancestor, (0,))
    expected = predict(cut, context.select, context.inputs.tokenizer)
    assert run_trial(context, Trial((0,), 0)).logits == pytest.approx(expected)


def test_a_training_and_its_seed_change_the_answers(context):
    untrained, trained, other = (
        run_trial(context, trial).logits
        for trial in (Trial((0,), 0), Trial((0,), 32), Trial((0,), 32, repeat=1))
    )
    assert not np.allclose(untrained, trained)
    assert not np.allclose(trained, other)


def test_trials_leave_the_ancestor_as_it_was(context):
    before = predict(context.ancestor, context.select, context.inputs.tokenizer)
    run_trial(context, Trial((3,), 32))
    after = predict(context.ancestor, context.select, context.inputs.tokenizer)
    assert before.tobytes() == after.tobytes()


def test_features_are_of_the_last_layer_and_the_logits_those_of_predict(context):
    model, tokenizer = context.ancestor, context.inputs.tokenizer
    logits, features = predict_with_features(model, context.select, tokenizer)
    assert logits == pytest.approx(predict(model, context.select, tokenizer))
    assert features.shape == (len(context.select), 2 * model.config.hidden_size)


def test_a_refitted_head_forgives_what_the_own_head_cannot(context):
    """With its head turned round a model is wrong where it was right, and knows as much."""
    model = copy.deepcopy(context.ancestor)
    straight = run_trial(context, Trial((1,), 0)).candidate
    model.classifier.weight.data.neg_()
    model.classifier.bias.data.neg_()
    turned = run_trial(replace(context, ancestor=model), Trial((1,), 0)).candidate
    assert turned.score == pytest.approx(1 - straight.score)
    assert turned.loss == pytest.approx(straight.loss)


def test_without_refitting_there_is_a_score_alone(context):
    outcome = run_trial(replace(context, refit=False), Trial((1,), 0))
    assert outcome.losses is None
    assert outcome.candidate.loss is None


def test_parts_of_the_examples_begin_with_the_same_examples(context):
    short, long = context.inputs.part(8), context.inputs.part(24)
    assert short.examples["input_ids"][:] == long.examples["input_ids"][:8]
    assert (short.teacher_logits == long.teacher_logits[:8]).all()
    assert short.settings.epochs == 1


def test_a_part_larger_than_the_examples_goes_through_it_again(context):
    rows = len(context.inputs.examples)
    assert context.inputs.part(3 * rows).settings.epochs == pytest.approx(3)
    assert context.inputs.part(0) is None
    assert context.inputs.part(None).settings == context.inputs.settings
