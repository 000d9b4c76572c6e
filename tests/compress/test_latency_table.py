from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from glp_export.bench.timing import Timing
from glp_export.compress.budget import TimeBudget
from glp_export.compress.latency_fit import corrected, corrected_by_choices, fit_table
from glp_export.compress.latency_measurement import (
    _clock,
    _run,
    measure_table,
    measure_whole,
    times_of,
)
from glp_export.compress.latency_probes import ProbeMaker, plan_probes, probe_model
from glp_export.compress.latency_table import (
    Conditions,
    LatencyTable,
    WholeModel,
)
from glp_export.core.errors import DataError, UsageError
from glp_export.core.shape import LayerShape, ModelShape
from tests.tiny import auto_class_of, make_config

HEADS, NEURONS = 12, 1536


def shape(*pairs: tuple[int, int]) -> ModelShape:
    layers = tuple(LayerShape(heads=h, head_size=32, neurons=n) for h, n in pairs)
    return ModelShape(layers=layers, vocabulary=1000, hidden_size=384)


BASE = shape(*[(HEADS, NEURONS)] * 6)


def conditions(**other: Any) -> Conditions:
    values = {
        "device": "a processor",
        "runtime": "onnxruntime",
        "provider": "CPUExecutionProvider",
        "precision": "fp32",
        "form": "none",
        "threads": 1,
        "batch_size": 1,
        "sequence_length": 32,
        "family": "bert",
        "versions": {},
    }
    return Conditions(**{**values, **other})


def invented_ms(model: ModelShape, *, first_token: bool = False, small: float = 0.0) -> float:
    """What models take on a machine whose times add up; a share `small` less where few are left."""
    total = 0.1
    top = max((n for n, layer in enumerate(model.layers) if layer.heads), default=0)
    for number, layer in enumerate(model.layers):
        attention = 0.12 + 0.05 * layer.heads if layer.heads else 0.02
        feed_forward = 0.06 + 0.0007 * layer.neurons if layer.neurons else 0.01
        share = 0.1 if first_token and number >= top else 1.0
        total += share * (attention + feed_forward)
    width = sum(layer.neurons for layer in model.layers) / (6 * NEURONS)
    return total * (1 - small * (1 - width))


def table_of(*, first_token: bool = False, small: float = 0.0) -> LatencyTable:
    probes = plan_probes(BASE, separate_top=first_token)
    models = [
        WholeModel(shape=own, milliseconds=invented_ms(own, first_token=first_token, small=small))
        for own in probes.shapes
    ]
    return fit_table(
        conditions(),
        BASE,
        models,
        heads=probes.heads,
        neurons=probes.neurons,
        separate_top=first_token,
    )


MIXED = (
    shape((3, 700), (12, 64), (1, 0), (5, 1000)),
    shape((0, 900), (7, 32), (12, 1536)),
    shape((2, 100), (6, 500), (0, 300)),
    shape((1, 10)),
)


@pytest.mark.parametrize("first_token", [False, True])
def test_times_that_add_up_are_found(first_token: bool) -> None:
    table = table_of(first_token=first_token)
    assert table.worst_error < 0.02
    for own in (BASE, *MIXED):
        expected = invented_ms(own, first_token=first_token)
        assert table.predict(own) == pytest.approx(expected, rel=0.03)
    for times in (table.attention, table.feed_forward, table.topmost_feed_forward):
        assert list(times.milliseconds) == sorted(times.milliseconds)


def test_whole_models_correct_a_table() -> None:
    # Small models are faster than the sum of their parts, since caches hold them.
    table = table_of()
    measured = [
        WholeModel(shape=own, milliseconds=2 * invented_ms(own, small=0.2))
        for own in (BASE, shape(*[(4, 512)] * 6), shape(*[(2, 256)] * 6))
    ]
    assert max(table.errors(measured)) > 0.1
    better = corrected(table, measured)
    assert better.worst_error == max(better.errors(measured)) < 0.05
    assert better.id != table.id
    assert better.measured[-3:] == tuple(measured)
    with pytest.raises(UsageError):
        corrected(table, measured[1:])


def test_a_table_is_corrected_until_what_it_chooses_is_as_fast_as_it_says() -> None:
    asked: list[int] = []

    def choose(table: LatencyTable) -> list[ModelShape]:
        """The widest uniform shape that is three times as fast."""
        counts = [(max(1, n // 128), n) for n in range(32, NEURONS + 1, 32)]
        fast = [own for own in counts if table.speedup(shape(*[own] * 6)) >= 3]
        return [shape(*[fast[-1]] * 6)]

    def measure(shapes: Any) -> list[WholeModel]:
        asked.append(len(shapes))
        slower = 1 + 0.5 * len(asked)  # the machine's clock changes between rounds
        return [
            WholeModel(shape=own, milliseconds=slower * invented_ms(own, small=0.2))
            for own in shapes
        ]

    table = corrected_by_choices(table_of(), choose, measure)
    assert len(asked) == 2
    assert table.worst_error <= 0.05
    (chosen,) = choose(table)
    real = invented_ms(BASE, small=0.2) / invented_ms(chosen, small=0.2)
    assert real == pytest.approx(table.speedup(chosen), rel=0.05)


def test_a_choice_that_is_too_slow_within_the_tolerance_is_made_again() -> None:
    found: list[float] = []

    def choose(table: LatencyTable) -> list[ModelShape]:
        """The widest uniform shape of two heads that is three times as fast, with a margin."""
        counts = [(2, n) for n in range(8, NEURONS + 1, 8)]
        fast = [own for own in counts if table.speedup(shape(*[own] * 6)) >= 3.09]
        return [shape(*[fast[-1]] * 6)]

    def measure(shapes: Any) -> list[WholeModel]:
        """All but the unpruned model take 4 % longer than the table says."""
        times = [invented_ms(own) * (1.0 if own == BASE else 1.04) for own in shapes]
        found.append(times[0] / times[1])
        return [
            WholeModel(shape=own, milliseconds=time)
            for own, time in zip(shapes, times, strict=True)
        ]

    def enough(models: Any) -> bool:
        time = TimeBudget(1, 32, speedup=3.0)
        return time.kept_by(models[1].milliseconds, models[0].milliseconds)

    corrected_by_choices(table_of(), choose, measure)
    assert len(found) == 1
    assert found[0] < 3
    corrected_by_choices(table_of(), choose, measure, enough=enough)
    assert len(found) == 3
    assert found[-1] >= 3


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    table = table_of()
    again = LatencyTable.load(table.save(tmp_path / "table.json"))
    assert again == table
    assert again.id == table.id
    assert len(table.id) == 64
    (tmp_path / "broken.json").write_text('{"schema_version": 1}')
    with pytest.raises(DataError, match="conditions"):
        LatencyTable.load(tmp_path / "broken.json")


def test_a_table_for_something_else_is_refused() -> None:
    table = table_of()
    table.require(BASE, conditions(device="another", versions={"onnxruntime": "1"}))
    with pytest.raises(DataError, match="int8"):
        table.require(BASE, conditions(precision="int8"))
    with pytest.raises(DataError, match="12 layers"):
        table.require(shape(*[(HEADS, NEURONS)] * 12), conditions())
    with pytest.raises(UsageError):
        table.predict(shape((24, 100)))
    with pytest.raises(UsageError):
        plan_probes(shape((1, 2), (3, 4)), separate_top=False)


@pytest.mark.parametrize("family", ["bert", "distilbert", "t5"])
def test_a_probe_has_the_shape_that_is_asked_for(family: str) -> None:
    from glp_export.encoder.sublayers import shape_of

    config = make_config(family, 3, num_labels=2)
    wanted = shape((2, 16), (0, 8)).layers
    wanted = tuple(layer.model_copy(update={"head_size": 8}) for layer in wanted)
    model = probe_model(
        config, auto_class_of(family), shape().model_copy(update={"layers": wanted})
    )
    assert shape_of(model).layers == wanted
    assert config.vocab_size == model.config.vocab_size


CLASSIFIER = "AutoModelForSequenceClassification"
BRIEF = Timing(3, 3, 0.1, turn_seconds=0.001, max_runs=1, pause_s=0)


def test_a_table_of_real_models(tmp_path: Path) -> None:
    make = ProbeMaker(tiny_config(), CLASSIFIER, "text-classification")
    table = measure_table(
        make,
        TINY,
        conditions(sequence_length=8),
        tmp_path,
        separate_top=False,
        timing=BRIEF,
    )
    one_layer = TINY.model_copy(update={"layers": TINY.layers[:1]})
    assert table.predict(TINY) > table.predict(one_layer)
    assert table.measured[0].shape == TINY
    assert not list(tmp_path.rglob("*.onnx"))


def test_int8_models_with_emptied_sublayers_run(tmp_path: Path) -> None:
    make = ProbeMaker(tiny_config(), CLASSIFIER, "text-classification", "int8", "first-token")
    emptied = [layer.model_copy(update=gone) for layer, gone in zip(TINY.layers, GONE, strict=True)]
    shapes = [TINY, TINY.model_copy(update={"layers": tuple(emptied)})]
    own = conditions(precision="int8", form="first-token", sequence_length=8)
    models = measure_whole(make, shapes, own, tmp_path, timing=BRIEF)
    assert [model.shape for model in models] == shapes


LAYER = LayerShape(heads=4, head_size=8, neurons=64)
TINY = ModelShape(layers=(LAYER, LAYER), vocabulary=23, hidden_size=32)
GONE: tuple[dict[str, int], ...] = ({"heads": 0}, {"neurons": 0})


def tiny_config() -> Any:
    return make_config("bert", 2, num_labels=2)


def test_beside_other_processes_the_fastest_runs_tell_models_apart() -> None:
    """Preempted runs take several times as long; a few of some dozens are left alone."""
    generator = np.random.default_rng(0)
    true = np.array([1.0, 2.0, 4.0])
    quiet = true[:, None, None] * generator.uniform(0.99, 1.01, (3, 12, 4))
    stretched = quiet * np.where(generator.random(quiet.shape) < 0.8, 6.0, 1.0)
    assert times_of(quiet.tolist(), shared=False) == pytest.approx(true, rel=0.02)
    assert times_of(stretched.tolist(), shared=True) == pytest.approx(true, rel=0.02)


@pytest.mark.skipif(os.name != "posix", reason="a thread's time is counted in steps of 16 ms")
def test_runs_of_one_thread_are_timed_by_its_cpu_time() -> None:
    """Waiting is no work: a run that rests in between is as fast as one that does not."""

    class Resting:
        def get_inputs(self) -> list[Any]:
            return []

        def run(self, names: None, feeds: Any) -> None:
            sum(range(20_000))
            time.sleep(0.02)

    found = {}
    for threads in (1, 2):
        clock = _clock(conditions(threads=threads))
        (turns,) = _run([cast(Any, Resting())], {}, clock, BRIEF, None)
        (found[threads],) = times_of([turns.blocks], shared=False)
    assert found[1] < 10 < 20 <= found[2]
