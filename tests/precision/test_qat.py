from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from glp_export.artifact import export_onnx, open_session, predict_onnx
from glp_export.core.machine import cpu_features, multiplies_int8
from glp_export.core.quiet import quiet
from glp_export.encoder import (
    DistillSettings,
    ModelSource,
    TrainingInputs,
    TrainSettings,
    load_model,
    load_tokenizer,
    predict,
    save_checkpoint,
)
from glp_export.precision.int8.weights import LARGEST, SEVEN_BITS
from glp_export.precision.qat import (
    quantisation_aware,
    quantised_matmuls,
    round_inputs,
    round_weight,
)
from glp_export.tasks import DataSpec, encode, load_task_data
from tests.tiny import make_checkpoint

THREADS = 1
ROWS = 64
"""As many as are predicted at once: a batch has one range of activations."""


@pytest.fixture(scope="module")
def room(data, tmp_path_factory):
    """A model in which int8 does harm, and its own answers to train on."""
    # Weights as large as trained ones: answers differ from row to row.
    checkpoint = make_checkpoint(
        tmp_path_factory.mktemp("room"),
        layers=2,
        num_labels=2,
        initializer_range=0.3,
        id2label={0: "bad", 1: "good"},
    )
    source = ModelSource(str(checkpoint))
    task_data = load_task_data(DataSpec(dataset=str(data)))
    model, tokenizer = load_model(source, task_data.task).eval(), load_tokenizer(source)
    for layer in model.bert.encoder.layer:
        attention = layer.attention
        attention.self.value.weight.data[5] *= 100
        attention.self.value.bias.data[5] *= 100
        attention.output.dense.weight.data[:, 5] /= 100
    examples = encode(task_data.fit, task_data.task, tokenizer, 32).select(range(ROWS))
    inputs = TrainingInputs(
        examples=examples,
        tokenizer=tokenizer,
        teacher_logits=predict(model, examples, tokenizer),
        settings=TrainSettings(epochs=10, learning_rate=1e-3, batch_size=16),
        distillation=DistillSettings(weight=1.0, rate=1.0, temperature=1.0),
    )
    return model, inputs


def trained(room, **options):
    model, inputs = room
    return quantisation_aware(copy.deepcopy(model), inputs, steps=LARGEST, **options)


def int8_answers(model, inputs, directory):
    """Logits of the model's dynamic int8 file."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    save_checkpoint(model, inputs.tokenizer, directory)
    source = export_onnx(directory, directory / "model.onnx", export_task="text-classification")
    path = directory / "int8.onnx"
    with quiet():
        quantize_dynamic(
            str(source.path),
            str(path),
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            weight_type=QuantType.QInt8,
        )
    if not multiplies_int8(cpu_features()):
        return exactly(path, inputs)  # this CPU's own kernel overflows where weights have 8 bits
    session = open_session(path, threads=THREADS)
    return predict_onnx(session, inputs.examples, inputs.tokenizer, batch_size=ROWS)


def exactly(path, inputs):
    """Logits by ONNX's reference evaluator, which adds in 32 bits as the standard says."""
    from onnx.reference import ReferenceEvaluator

    rows = inputs.examples.select_columns(inputs.tokenizer.model_input_names).to_list()
    batch = inputs.tokenizer.pad(rows, return_tensors="np")
    evaluator = ReferenceEvaluator(str(path))
    names = evaluator.input_names
    (logits,) = evaluator.run(None, {name: batch[name].astype(np.int64) for name in names})
    return logits


def test_the_int8_file_comes_nearer_to_the_fp32_answers(room, tmp_path):
    model, inputs = room

    def error(student, name):
        predictions = int8_answers(student, inputs, tmp_path / name)
        return np.square(predictions - inputs.teacher_logits).mean()

    before = error(model, "before")
    after = [
        error(trained((model, replace(inputs, settings=settings))), str(settings.seed))
        for settings in (replace(inputs.settings, seed=seed) for seed in range(3))
    ]
    # How much goes is the luck of the order: 0.34 to 0.54 were left over five seeds.
    assert max(after) < before * 0.75
    assert min(after) < before / 2


def test_products_round_as_the_int8_file_does(room, tmp_path):
    model, inputs = room
    with quantised_matmuls(
        model, lambda name: name in ("bert.pooler.dense", "classifier"), LARGEST
    ):
        rounded = predict(model, inputs.examples, inputs.tokenizer, batch_size=ROWS)
    built = int8_answers(model, inputs, tmp_path)
    harm = np.abs(built - inputs.teacher_logits).mean()
    # A value between two steps may go either way, and another way from there on.
    assert np.abs(rounded - built).mean() < harm / 2


def test_what_comes_back_is_a_plain_model(room):
    model, _ = room
    after = trained(room)
    assert list(after.state_dict()) == list(model.state_dict())
    assert not any("forward" in vars(module) for module in after.modules())
    assert not after.training


def test_the_same_training_gives_the_same_weights(room):
    first, second = (trained(room).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_products_that_keep_their_precision_compute_as_before(room):
    model, inputs = room
    with quantised_matmuls(model, lambda name: True):
        predictions = predict(model, inputs.examples, inputs.tokenizer)
    np.testing.assert_array_equal(predictions, inputs.teacher_logits)


def test_the_products_are_plain_again_after_a_failure(room):
    model, inputs = room
    with pytest.raises(KeyboardInterrupt), quantised_matmuls(model):
        raise KeyboardInterrupt
    np.testing.assert_array_equal(
        predict(model, inputs.examples, inputs.tokenizer), inputs.teacher_logits
    )


def test_without_answers_there_is_nothing_to_imitate(room):
    model, inputs = room
    with pytest.raises(ValueError, match="logits"):
        quantisation_aware(model, replace(inputs, teacher_logits=None))


@pytest.mark.parametrize("steps", [LARGEST, SEVEN_BITS])
def test_weights_have_symmetric_steps_a_row_and_inputs_256_over_all(steps):
    torch.manual_seed(0)
    weight, inputs = torch.randn(3, 1000), 5 + torch.rand(64, 64)
    rounded = round_weight(weight, steps)
    assert [len(row.unique()) <= 2 * steps + 1 for row in rounded] == [True] * 3
    error = (rounded - weight).abs().amax(dim=1)
    assert (error <= weight.abs().amax(dim=1) / (2 * steps) * 1.001).all()  # half a step, and fp32
    assert (round_inputs(inputs) - inputs).abs().max() <= 6 / 255 / 2 * 1.001  # 0 is in range


def test_silent_tensors_stay_silent():
    assert round_weight(torch.zeros(2, 3)).eq(0).all()
    assert round_inputs(torch.zeros(2, 3)).eq(0).all()


def test_gradients_pass_the_rounding():
    weight = torch.randn(2, 8, requires_grad=True)
    round_weight(weight).sum().backward()
    assert weight.grad.eq(1).all()
