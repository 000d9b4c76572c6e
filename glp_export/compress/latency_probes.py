"""Measuring a latency table: random models of many shapes, exported and run side by side."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.bench.timing import Timing, Turns, warm_up
from glp_export.compress.latency_fit import fit_table
from glp_export.compress.latency_table import Conditions, LatencyTable, WholeModel
from glp_export.core.errors import UsageError
from glp_export.core.machine import SharingMonitor
from glp_export.core.shape import Kept, LayerShape, ModelShape

if TYPE_CHECKING:
    from onnxruntime import InferenceSession
    from transformers import PreTrainedModel

    from glp_export.bench.contenders import Feeds

Make = Callable[[ModelShape, Path], Path]
"""Writes the file that would ship of a model of a shape into a directory, weights at random."""

Progress = Callable[[str, int, int], None]
"""Called with a stage, units done and units in all."""

_VOCABULARY = 2048
"""Words of a probe: a look-up takes as long in a small table, and the file is written faster."""

_PROBED_BYTES = 64_000_000
"""Weights of layers past which no cache holds a model, so that more layers only repeat it."""

QUICK = Timing(min_rounds=7, max_rounds=15, seconds=10.0, turn_seconds=0.04, max_runs=4)
"""For a table: medians of a few rounds, since every time is fitted to many models."""


@dataclass(frozen=True)
class ProbeMaker:
    """Makes files of random models of a family.

    Attributes:
        config: transformers' configuration of the unpruned model.
        auto_class: class of transformers, "AutoModelForSequenceClassification".
        export_task: task in optimum's words, "text-classification".
        precision: "fp32" or "int8".
        form: of fp32 "none" or a key of `optimise.LEVELS`, of int8 a key of `FORMS`.
    """

    config: Any
    auto_class: str
    export_task: str
    precision: str = "fp32"
    form: str = "none"

    def __call__(self, shape: ModelShape, directory: Path) -> Path:
        """Write the file.

        Raises:
            ModelError: the family cannot be exported, or where its heads are is not known.
            UsageError: the shape is not one that it can be cut to.
        """
        from glp_export.artifact.exporters.torchscript import export
        from glp_export.artifact.modules import exportable
        from glp_export.artifact.onnx_file import describe, read_graph, write_graph
        from glp_export.artifact.optimise import optimise
        from glp_export.core.quiet import quiet
        from glp_export.precision.int8.quantise import quantise
        from glp_export.precision.int8.recipe import Int8Recipe

        model = probe_model(self.config, self.auto_class, shape)
        with quiet():
            model.config.save_pretrained(directory)
            raw = directory / "raw.onnx"
            with exportable(model) as ready:
                export(ready, raw, export_task=self.export_task, opset=None)
            # The tracer leaves one file a weight past some size: one graph is read and written.
            source = describe(write_graph(read_graph(raw, weights=True), directory / "plain.onnx"))
            if self.precision == "int8":
                recipe = Int8Recipe(form=self.form)
                return quantise(source, directory / "int8.onnx", directory, recipe).path
            if self.form != "none":
                return optimise(source, self.form, directory / "form.onnx", directory).path
            return source.path


def probe_model(config: Any, auto_class: str, shape: ModelShape) -> PreTrainedModel:
    """A random model of a shape, in eval mode, with a small vocabulary.

    Its layers are the lowest of the unpruned model's, cut to their widths.

    Raises:
        ModelError: where its heads and neurons are is not known.
        UsageError: it has more layers or units than the configuration.
    """
    import torch
    import transformers

    from glp_export.encoder.compaction import compact
    from glp_export.encoder.families import auto_class_for
    from glp_export.encoder.layer_stack import find_layer_stack, remove_layers
    from glp_export.encoder.sublayers import shape_of

    small = copy.deepcopy(config)
    small._attn_implementation = "eager"
    tokens = [value for name, value in small.to_dict().items() if name.endswith("_token_id")]
    if all(not isinstance(token, int) or token < _VOCABULARY for token in tokens):
        small.vocab_size = min(small.vocab_size, _VOCABULARY)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = getattr(transformers, auto_class_for(auto_class, small)).from_config(small)
    stack = find_layer_stack(model)
    if shape.depth < stack.num_layers:
        model = remove_layers(model, range(shape.depth, stack.num_layers))
    kept = Kept.of((range(layer.heads), range(layer.neurons)) for layer in shape.layers)
    if kept.shape(shape_of(model)).layers != shape_of(model).layers:
        model = compact(model, kept)
    return model.eval()


@dataclass(frozen=True)
class Probes:
    """What is measured for a table.

    Attributes:
        shapes: the unpruned model first.
        heads: counts of the table.
        neurons: counts of the table.
    """

    shapes: tuple[ModelShape, ...]
    heads: tuple[int, ...]
    neurons: tuple[int, ...]


def plan_probes(base: ModelShape, *, separate_top: bool) -> Probes:
    """The shapes to measure: enough to tell every part of the table from the others.

    Each sublayer alone at every count, both together, and fewer layers; one layer alone in all
    these where the topmost one with heads has times of its own.

    Raises:
        UsageError: the layers differ, so that one table does not hold for all.
    """
    if len(set(base.layers)) > 1:
        raise UsageError(
            "a latency table is measured for layers that are alike",
            fix="give the unpruned model",
        )
    full = base.layers[0]
    heads = _grid(full.heads, 1)
    neurons = _grid(full.neurons, max(1, full.neurons // 24))
    depth = _probed_depth(base)
    whole = (full.heads, full.neurons)
    pairs = [(h, full.neurons) for h in heads[:-1]] + [(full.heads, n) for n in neurons[:-1]]
    both = [(heads[p], neurons[p]) for p in range(1, len(heads) - 1)]
    # A layer without heads is above the topmost one with heads, unless that one is above it.
    top = [whole] if separate_top else []
    layers = [[pair] * (depth - len(top)) + top for pair in pairs + both]
    fewer = sorted({depth, max(1, depth // 2), 1} - {base.depth}, reverse=True)
    layers += [[whole] * count for count in fewer]
    # As what is chosen will be: half of everything, and a quarter, at the full depth.
    halves = ((full.heads // parts, full.neurons // parts) for parts in (2, 4))
    layers += [[(max(1, h), max(1, n))] * base.depth for h, n in halves]
    if separate_top:
        layers += [[pair] for pair in pairs if pair[0]] + [[whole, (0, full.neurons)]]
    return Probes(
        (base, *(_shape(base, pairs_of) for pairs_of in layers)),
        heads,
        neurons,
    )


def _grid(units: int, least: int) -> tuple[int, ...]:
    return tuple(sorted({0, least, math.ceil(units / 3), math.ceil(2 * units / 3), units}))


def _probed_depth(base: ModelShape) -> int:
    layer = base.layers[0]
    columns = 4 * layer.heads * layer.head_size + 2 * layer.neurons
    wanted = math.ceil(_PROBED_BYTES / (4 * columns * base.hidden_size))
    return min(base.depth, max(2, wanted))


def _shape(base: ModelShape, pairs: Sequence[tuple[int, int]]) -> ModelShape:
    size = base.layers[0].head_size
    layers = tuple(LayerShape(heads=h, head_size=size, neurons=n) for h, n in pairs)
    return base.model_copy(update={"layers": layers})


def measure_table(
    make: Make,
    base: ModelShape,
    conditions: Conditions,
    directory: Path,
    *,
    separate_top: bool,
    timing: Timing | None = None,
    progress: Progress | None = None,
) -> LatencyTable:
    """Measure a table on this machine.

    Args:
        make: writes the file of a shape.
        base: the unpruned model.
        conditions: what is measured; provider, threads and input shape are taken from it.
        directory: scratch for the files.
        separate_top: the form computes less of the topmost layer than of the others.
        timing: how long and how carefully.
        progress: called with a stage, units done and units in all.

    Raises:
        DeviceError: the provider is missing or fell back.
        ModelError: the family cannot be cut or exported.
    """
    probes = plan_probes(base, separate_top=separate_top)
    models = measure_whole(
        make, probes.shapes, conditions, directory, timing=timing, progress=progress
    )
    return fit_table(
        conditions,
        base,
        models,
        heads=probes.heads,
        neurons=probes.neurons,
        separate_top=separate_top,
    )


FASTEST_COUNTS = (
    "the fastest runs of each model count, which are less sure than medians; measure again on an "
    "idle machine"
)
"""What others on the machine do to the times of `measure_whole`."""


def measure_whole(
    make: Make,
    shapes: Sequence[ModelShape],
    conditions: Conditions,
    directory: Path,
    *,
    timing: Timing | None = None,
    progress: Progress | None = None,
) -> list[WholeModel]:
    """Export models of some shapes and run them interleaved; their times in milliseconds.

    What slows all of them in a round cancels: a model's time is the median over the rounds of its
    share in the round, times the median round. Where other processes used the machine, it is what
    its fastest runs take: see `times_of`.

    Raises:
        DeviceError: the provider is missing or fell back.
        ModelError: the family cannot be cut or exported.
    """
    from glp_export.artifact.session import open_session

    sessions = []
    for number, shape in enumerate(shapes):
        if progress:
            progress("export models for the latency table", number, len(shapes))
        own = directory / f"probe-{number}"
        own.mkdir(parents=True, exist_ok=True)
        path = make(shape, own)
        sessions.append(
            open_session(path, provider=conditions.provider, threads=conditions.threads)
        )
        for file in own.iterdir():  # loaded
            file.unlink()
    vocabulary = min(_VOCABULARY, *(shape.vocabulary for shape in shapes))
    monitor, clock = SharingMonitor(), _clock(conditions)
    turns = _run(sessions, _feeds(conditions, vocabulary), clock, timing or QUICK, progress)
    blocks = [turn.blocks for turn in turns]
    times = times_of(blocks, shared=bool(monitor.notes()), fastest=_FASTEST[clock])
    return [
        WholeModel(shape=shape, milliseconds=float(time))
        for shape, time in zip(shapes, times, strict=True)
    ]


_FASTEST = {time.thread_time_ns: 0.1, time.perf_counter_ns: 0.0}
"""Share of the runs beside other processes that is faster than what counts, by the clock.

CPU time goes on by itself alone, but caches are lost to others; of the wall clock the fastest run
is the one that waited least. Beside one to four processes on the same core, speedups of six models
in fp32 and int8 were within 9 % of those on the idle core by CPU time, and up to 50 % too high by
the wall clock: a long run never ends before its turn on the core does, and a short one may."""


def _clock(conditions: Conditions) -> Callable[[], int]:
    """Of the calling thread alone where it is the one that computes."""
    alone = conditions.threads == 1 and conditions.provider == "CPUExecutionProvider"
    return time.thread_time_ns if alone else time.perf_counter_ns


def times_of(
    blocks: Sequence[Sequence[Sequence[float]]], *, shared: bool, fastest: float = 0.0
) -> NDArray[np.float64]:
    """What each model takes, in milliseconds, from its runs by round.

    Args:
        blocks: milliseconds of every model, every round, every run.
        shared: whether other processes used the machine meanwhile; they stretch medians by several
            times, and seldom each of some dozens of runs that take milliseconds.
        fastest: share of the runs that is faster than what counts then.
    """
    if shared:
        return np.array([np.quantile(np.concatenate(own), fastest) for own in blocks])
    rounds = np.array([[np.median(block) for block in own] for own in blocks])
    level = np.exp(np.log(rounds).mean(0, keepdims=True))
    times: NDArray[np.float64] = np.median(rounds / level, axis=1) * np.median(level)
    return times


def _run(
    sessions: Sequence[InferenceSession],
    feeds: Feeds,
    clock: Callable[[], int],
    timing: Timing,
    progress: Progress | None,
) -> list[Turns]:
    """The turns of every session, run interleaved."""
    import random

    turns = [Turns(_runner(session), [feeds], timing, clock=clock) for session in sessions]
    dropped, runs = warm_up(turns, timing)
    order = random.Random(timing.seed)
    start, done = time.perf_counter(), 0
    while done < timing.min_rounds or (
        done < timing.max_rounds and time.perf_counter() - start < timing.seconds
    ):
        if progress:
            progress("measure the latency table", done, timing.max_rounds)
        for turn in order.sample(turns, len(turns)):
            turn.take(done, dropped, runs)
        done += 1
    return turns


def _feeds(conditions: Conditions, vocabulary: int) -> Feeds:
    """Random tokens, none of them padding, whose id is a low one."""
    size = (conditions.batch_size, conditions.sequence_length)
    ids = np.random.default_rng(0).integers(vocabulary // 2, vocabulary, size)
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }


def _runner(session: InferenceSession) -> Any:
    names = [node.name for node in session.get_inputs()]

    def run(feeds: Feeds) -> Any:
        return session.run(None, {name: feeds[name] for name in names})

    return run
