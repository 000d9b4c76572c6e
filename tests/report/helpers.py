"""A whole benchmark, plan and parity report, made of plausible numbers."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console, RenderableType

from glp_export.artifact.parity_report import FileParity, ParityReport, Probe
from glp_export.bench.benchmark_file import BenchmarkFile
from glp_export.bench.benchmark_rows import (
    Baseline,
    DifferenceRow,
    Interval,
    MetricRow,
    Row,
    Share,
    Speedup,
)
from glp_export.compress.edits import RemoveLayers, width_edits
from glp_export.compress.latency_table import (
    Conditions,
    LatencyTable,
    SublayerTimes,
    WholeModel,
)
from glp_export.compress.plan import Candidate, Cost, Plan, Step
from glp_export.core.machine import Machine
from glp_export.core.shape import Kept, LayerShape, ModelShape
from glp_export.report import CardFacts

SHAPES = {"1x32": (1, 32), "8x128": (8, 128), "1xtask": (1, 14), "8xtask": (8, 21)}
# contender, runtime, variant, layers, milliseconds a token
SERIES = (
    ("pruned", "onnxruntime", "model.onnx", 3, 0.10),
    ("pruned", "onnxruntime", "model_optimized.onnx", 3, 0.09),
    ("pruned", "pytorch", "model.safetensors", 3, 0.20),
    ("unpruned", "pytorch", "model.safetensors", 6, 0.40),
    ("unpruned", "onnxruntime", "model.onnx", 6, 0.20),
    ("distilled", "onnxruntime", "model.onnx", 3, 0.10),
)
MACHINE = Machine(
    cpu="Test CPU",
    logical_cores=8,
    usable_cores=2,
    features=("avx2", "avx512f", "avx512_vnni"),
    memory_gb=16.0,
    os="Linux 6.1 x86_64",
    python="3.11.9",
    gpu=None,
    providers=("CPUExecutionProvider",),
    versions={"torch": "2.9", "onnxruntime": "1.23", "numpy": "2.3"},
)


def make_row(
    contender: str, runtime: str, variant: str, layers: int, token: float, shape: str
) -> Row:
    batch, length = SHAPES[shape]
    p50 = token * batch * length
    return Row(
        contender=contender,  # type: ignore[arg-type]
        runtime=runtime,  # type: ignore[arg-type]
        provider="CPUExecutionProvider",
        precision="fp32",
        variant=variant,
        layers=layers,
        parameters=layers * 2_000_000,
        bytes=layers * 8_000_000,
        shape=shape,
        batch_size=batch,
        sequence_length=length,
        threads=2,
        p50_ms=p50,
        p90_ms=p50 * 1.1,
        p99_ms=p50 * 1.3,
        mean_ms=p50,
        sequences_per_second=1000 * batch / p50,
        peak_memory_mb=None,
        samples=100,
        speedup=Speedup(
            vs_pytorch_unpruned=interval(0.40 / token),
            vs_onnxruntime_unpruned=interval(0.20 / token),
            vs_onnxruntime_fp32_unpruned=interval(0.20 / token),
        ),
    )


def interval(value: float) -> Interval:
    return Interval(value=value, low=value * 0.97, high=value * 1.03)


def make_benchmark(**changes: Any) -> BenchmarkFile:
    rows = tuple(make_row(*measurement, shape) for measurement in SERIES for shape in SHAPES)
    fields: dict[str, Any] = {
        "machine": MACHINE,
        "task": "trec",
        "metric": "accuracy",
        "baseline": Baseline(**{name: getattr(rows[12], name) for name in Baseline.model_fields}),
        "metrics": tuple(
            MetricRow(
                contender=name,  # type: ignore[arg-type]
                precision="fp32",
                layers=layers,
                value=value,
                low=value - 0.025,
                high=value + 0.02,
                samples=500,
            )
            for name, layers, value in (
                ("unpruned", 6, 0.924),
                ("pruned", 3, 0.888),
                ("distilled", 3, 0.884),
            )
        ),
        "rows": rows,
    }
    return BenchmarkFile(**{**fields, **changes})


def make_sweep(depths: tuple[int, ...] = (4, 3, 2), **changes: Any) -> BenchmarkFile:
    """One unpruned model of 6 layers, and a pruned and a distilled one of every depth."""
    measurement = [*SERIES[3:5]]
    scores = {("unpruned", 6): 0.924}
    for depth in depths:
        token = 0.20 * depth / 6
        measurement += [
            ("pruned", "pytorch", "model.safetensors", depth, 2 * token),
            ("pruned", "onnxruntime", "model.onnx", depth, token),
            ("pruned", "onnxruntime", "model_optimized.onnx", depth, 0.95 * token),
            ("distilled", "onnxruntime", "model.onnx", depth, token),
        ]
        scores["pruned", depth] = 0.9 + 0.005 * depth
        scores["distilled", depth] = 0.8
    metrics = tuple(
        MetricRow(
            contender=name,  # type: ignore[arg-type]
            precision="fp32",
            layers=layers,
            value=value,
            low=value - 0.01,
            high=value + 0.01,
            samples=500,
        )
        for (name, layers), value in scores.items()
    )
    rows = tuple(make_row(*each, shape) for each in measurement for shape in SHAPES)
    return make_benchmark(**{"rows": rows, "metrics": metrics, **changes})


def less_unpruned(
    layers: int, value: float, low: float, high: float, precision: str = "fp32"
) -> DifferenceRow:
    """How far the pruned model of a depth is from the unpruned one."""
    return DifferenceRow(
        precision=precision, layers=layers, less="unpruned", value=value, low=low, high=high
    )


DIFFERENCES = (
    less_unpruned(3, -0.036, -0.058, -0.014).model_copy(
        update={"changed": Share(value=0.042, low=0.027, high=0.064)}
    ),
    DifferenceRow(precision="fp32", layers=3, less="distilled", value=0.004, low=-0.012, high=0.02),
)


def make_plan(**changes: Any) -> Plan:
    def step(gone: tuple[int, ...], layer: int, scores: dict[int, float]) -> Step:
        candidates = tuple(
            Candidate(removed=tuple(sorted((*gone, other))), score=score, seconds=3.0)
            for other, score in scores.items()
        )
        return Step(removed=(layer,), score=scores[layer], sample_size=300, candidates=candidates)

    fields: dict[str, Any] = {
        "base_model": "nreimers/MiniLM-L6-H384-uncased",
        "num_layers": 6,
        "task": "trec",
        "metric": "accuracy",
        "strategy": "greedy",
        "seed": 41,
        "order": (5, 3, 1),
        "steps": (
            step((), 5, {0: 0.7, 1: 0.81, 2: 0.8, 3: 0.83, 4: 0.83, 5: 0.86}),
            step((5,), 3, {0: 0.6, 1: 0.81, 2: 0.79, 3: 0.82, 4: 0.78}),
            step((3, 5), 1, {0: 0.6, 1: 0.8, 2: 0.7, 4: 0.75}),
        ),
        "cost": Cost(trainings=15, sample_layers=90000, seconds=397.0),
    }
    return Plan.of_layers(**{**fields, **changes})


BASE_SHAPE = ModelShape(
    layers=(LayerShape(heads=4, head_size=8, neurons=64),) * 6, vocabulary=100, hidden_size=32
)


def make_structure_plan(**changes: Any) -> Plan:
    """Layer 5 gone, half the heads and a quarter of the neurons of the others, layer 0 whole."""
    kept = Kept.of(
        (range(4 if layer == 0 else 2), range(64 if layer == 0 else 48)) for layer in range(5)
    )
    gone = RemoveLayers(layers=(5,))
    finalists = (
        Candidate(removed=(5,), score=0.91, loss=0.21, examples=1024, label="structure"),
        Candidate(removed=(0, 2, 4), score=0.88, loss=0.3, examples=1024, label="layers (top)"),
    )
    final = Step(
        kind="final-round",
        removed=(5,),
        score=0.91,
        sample_size=300,
        candidates=finalists,
        lead=0.09,
        probability=0.97,
    )
    fields: dict[str, Any] = {
        "base_model": "nreimers/MiniLM-L6-H384-uncased",
        "num_layers": 6,
        "base_shape": BASE_SHAPE,
        "compressors": ("structure",),
        "edits": (gone, *width_edits(kept, gone.shape(BASE_SHAPE))),
        "task": "trec",
        "metric": "accuracy",
        "strategy": "obs",
        "seed": 41,
        "steps": (final,),
        "predicted_speedup": 2.1,
        "latency_table": make_latency_table().id,
    }
    return Plan(**{**fields, **changes})


def make_latency_table() -> LatencyTable:
    """Of the base shape at 1×32, fitted to the unpruned model and one of half its layers."""
    times = {
        name: SublayerTimes(counts=(0, 1, units), milliseconds=(0.0, 0.1, 0.5))
        for name, units in (("attention", 4), ("feed_forward", 64))
    }
    half = BASE_SHAPE.model_copy(update={"layers": BASE_SHAPE.layers[:3]})
    return LatencyTable(
        conditions=Conditions(
            device="Test CPU",
            runtime="onnxruntime",
            provider="CPUExecutionProvider",
            precision="fp32",
            form="first-token",
            threads=2,
            batch_size=1,
            sequence_length=32,
            family="bert",
            versions={},
        ),
        base=BASE_SHAPE,
        base_ms=0.4,
        **times,
        **{f"topmost_{name}": curve for name, curve in times.items()},
        measured=(
            WholeModel(shape=BASE_SHAPE, milliseconds=6.4),
            WholeModel(shape=half, milliseconds=3.3),
        ),
        worst_error=0.03,
    )


def make_structure_benchmark(plan: Plan | None = None, **changes: Any) -> BenchmarkFile:
    """The usual benchmark, its pruned model that of a structure plan."""
    plan = plan or make_structure_plan()
    made = make_benchmark(**changes)
    own = {"plan_id": plan.id, "model_shape": plan.shape, "layers": plan.depth}
    base = {"model_shape": BASE_SHAPE}

    def renamed(row: Any) -> Any:
        update = own if row.contender == "pruned" else base if row.contender == "unpruned" else {}
        return row.model_copy(update=update)

    return made.model_copy(
        update={
            "baseline": made.baseline.model_copy(update=base),
            **{
                name: tuple(map(renamed, getattr(made, name)))
                for name in ("rows", "metrics", "differences")
            },
        }
    )


def make_parity(**changes: Any) -> ParityReport:
    fields: dict[str, Any] = {
        "variant": "model.onnx",
        "precision": "fp32",
        "optimisation": "none",
        "provider": "CPUExecutionProvider",
        "samples": 64,
        "max_abs": 1.5e-6,
        "mean_abs": 2e-7,
        "spread": 1.2,
        "label_agreement": 1.0,
        "disagreements": (),
        "non_finite": 0,
        "probes": (Probe("batch 1", 1, 9, 3e-7), Probe("maximum", 2, 64, 9e-7)),
        "atol": 1e-4,
        "rtol": 1e-3,
        "failures": (),
    }
    plain = FileParity(**{**fields, **changes})
    optimised = FileParity(**{**fields, "variant": "model_optimized.onnx", "optimisation": "O2"})
    return ParityReport((plain, optimised))


def make_facts(**changes: Any) -> CardFacts:
    fields: dict[str, Any] = {
        "kind": "text-classification",
        "labels": ("bad", "good"),
        "max_length": 32,
        "data": "data/trec",
        "recover": "distill",
        "epochs": 3.0,
        "learning_rate": 1e-4,
        "train_examples": 2000,
        "origins": {"unpruned": "MiniLM-L6", "distilled": "alternate layers of MiniLM-L6"},
        "command": "glp-export prune-and-export -m minilm --dataset data/trec --depth 3 -o out",
    }
    return CardFacts(**{**fields, **changes})


def printed(view: RenderableType, width: int = 80) -> str:
    """What a person sees on a terminal of this width, without colour."""
    console = Console(file=io.StringIO(), width=width, force_terminal=False, color_system=None)
    console.print(view)
    return console.file.getvalue()  # type: ignore[attr-defined]
