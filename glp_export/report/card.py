"""The model card: what was removed, what it cost, what it gained, and how to load the files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.bench.winners import fastest_runtime
from glp_export.compress.compressors import sources_of
from glp_export.core import numbers
from glp_export.core.text import capital, markdown
from glp_export.report import structure
from glp_export.report.hub_metadata import base_name, card_metadata
from glp_export.report.machine_table import machine_line
from glp_export.report.measurements import (
    RUNTIMES,
    all_measurements,
    ratio_words,
    recommended,
    shape_title,
    shapes,
)
from glp_export.report.model_tables import (
    calibration_words,
    changed_words,
    class_drop_words,
    files_table,
    parity_rows,
    precisions_table,
    scores_table,
)
from glp_export.report.pruning import cost_words, finalists_table, steps_table
from glp_export.report.rendering import render
from glp_export.report.summary import summary_lines
from glp_export.report.table import device_name
from glp_export.report.tables import Column, Quoted, Table
from glp_export.report.warnings import benchmark_warnings, metric_name
from glp_export.serve.runtimes import ONNX_RUNTIME
from glp_export.serve.runtimes import RUNTIMES as SERVED
from glp_export.tasks import KINDS

if TYPE_CHECKING:
    from glp_export.artifact.parity_report import ParityReport
    from glp_export.artifact.vocabulary_record import VocabularyRecord
    from glp_export.bench.benchmark_file import BenchmarkFile
    from glp_export.compress.latency_table import LatencyTable
    from glp_export.compress.plan import Plan
    from glp_export.precision.record import PrecisionEntry
    from glp_export.tasks.task import HubData

UNCHANGED = "unchanged"
"""In place of a way to recover: the pruned model has the weights of the unpruned one."""


@dataclass(frozen=True)
class OtherScore:
    """A model's score on a further test set, such as MNLI's mismatched one.

    Attributes:
        split: the set's name.
        contender: `unpruned`, `pruned` or `distilled`.
        value: the task's metric.
        low: lower end of its 95 % bootstrap interval.
        high: its upper end.
        samples: examples in the set.
        metric: by its name; empty for the task's.
    """

    split: str
    contender: str
    value: float
    low: float
    high: float
    samples: int
    metric: str = ""


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """How the artifact was made and how it is loaded.

    Attributes:
        kind: kind of task, `text-classification` or `regression`.
        auto_class: the transformers class that loads the weights.
        ort_class: the optimum class that loads the ONNX file.
        labels: in the order of their ids; () for regression.
        max_length: longest input in tokens.
        data: hub id or path of the data.
        data_notes: what makes scores on it doubtful.
        recover: `distill` or `finetune`, of the pruned model; `unchanged` where nothing was to
            be recovered.
        as_is: whether the unpruned model is the one that was given, unchanged.
        epochs: of the final training of every model.
        learning_rate: highest, of that training.
        rates: that were tried on dev instead, where dev ended the training too.
        train_examples: that every model was trained on.
        origins: contender to what it was made from, in words.
        precisions: the lower ones that were to be made.
        other_scores: on further test sets, where the task has them.
        command: the command line that made the artifact.
        exporter: that wrote the ONNX files.
        opset: of the plain one.
        text_pair: whether the model reads two texts at a time.
        mask_token: what hides a token from the model, empty where nothing is hidden.
        license: identifier for the card's metadata, None if it is not known.
        language: codes likewise.
        hub_data: the data set on the hub that `data` is; None for data of one's own.
        latency_table: that the plan was chosen by; None where none was.
        vocabulary: where tokens went, how many and what that does; None where all are left.
        transfer: what auxiliary tasks were used for, a line each; () where none was named.
    """

    kind: str
    auto_class: str
    ort_class: str
    labels: tuple[str, ...]
    max_length: int
    data: str
    recover: str
    epochs: float
    learning_rate: float
    train_examples: int
    as_is: bool = False
    rates: tuple[float, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    precisions: tuple[PrecisionEntry, ...] = ()
    other_scores: tuple[OtherScore, ...] = ()
    command: str = ""
    exporter: str = ""
    opset: int = 0
    text_pair: bool = False
    data_notes: tuple[str, ...] = ()
    mask_token: str = ""
    license: str | None = None
    language: str | list[str] | None = None
    hub_data: HubData | None = None
    latency_table: LatencyTable | None = None
    vocabulary: VocabularyRecord | None = None
    transfer: tuple[str, ...] = ()


def write_card(
    path: Path,
    *,
    plan: Plan,
    benchmark: BenchmarkFile,
    parity: ParityReport,
    facts: CardFacts,
) -> None:
    """Write the model card of an artifact.

    Args:
        path: `README.md` of the artifact; the code in the card runs from its directory.
        plan: what was removed.
        benchmark: scores and latencies of all models.
        parity: of the pruned model's files.
        facts: everything else.
    """
    path.write_text(card_text(plan, benchmark, parity, facts), encoding="utf-8")


def card_text(plan: Plan, benchmark: BenchmarkFile, parity: ParityReport, facts: CardFacts) -> str:
    """The card as Markdown with its YAML front matter."""
    entries = [("", entry) for entry in facts.precisions]
    return render(
        "card.md.jinja",
        facts=facts,
        kind=KINDS[facts.kind],
        unchanged=facts.recover == UNCHANGED,
        plan=plan,
        sources=sources_of([plan]),
        metadata=card_metadata(plan, benchmark, facts),
        labels=numbers.few(facts.labels),
        warnings=[
            *(markdown(note, 1000) for note in facts.data_notes),
            *benchmark_warnings(benchmark, every_difference=True),
        ],
        transfer=[markdown(capital(line), 1000) for line in facts.transfer],
        parity=parity_rows((file.label, file) for file in parity.files),
        precisions=precisions_table(entries, benchmark.metric),
        optimised=len(parity.in_onnxruntime) > 1,
        **_pruning(plan, benchmark, facts),
        **_measured(benchmark, facts),
    )


def _pruning(plan: Plan, benchmark: BenchmarkFile, facts: CardFacts) -> dict[str, Any]:
    base = base_name(plan)
    left = f"{plan.depth} of {plan.num_layers} layers" if plan.layers_only else plan.label
    table = facts.latency_table
    shipped = structure.shipped_prediction(plan, benchmark, table)
    return {
        "title": f"{base.rpartition('/')[2]}, {left}, for {plan.task}",
        "base": base,
        "picture": structure.structure_picture(plan)
        if plan.inside_layers
        else structure.stack_line(plan).plain,
        "cost": cost_words(plan),
        "steps": steps_table(plan),
        "finalists": finalists_table(plan),
        "predicted": shipped and structure.prediction_words(shipped),
        "conditions": table and structure.conditions_table(table),
    }


def _measured(benchmark: BenchmarkFile, facts: CardFacts) -> dict[str, Any]:
    best = recommended(benchmark)
    provider = best.any.provider if best else benchmark.baseline.provider
    versions = benchmark.machine.versions
    runtime = fastest_runtime(benchmark, benchmark.baseline.provider)
    return {
        "metric": metric_name(benchmark.metric),
        "summary": summary_lines(benchmark),
        "scores": scores_table(benchmark, facts.origins or {"": ""}),
        "other_scores": _other_scores(benchmark, facts),
        "samples": " or ".join(str(n) for n in sorted({row.samples for row in benchmark.metrics})),
        "changed": [
            f"{changed_words(row)} in {row.precision}"
            for row in benchmark.differences
            if row.less == "unpruned" and row.changed is not None
        ],
        "class_drop": class_drop_words(benchmark),
        "calibration": calibration_words(benchmark),
        "latencies": _latencies(benchmark),
        "files": files_table(benchmark, every_model=True),
        "device": device_name(benchmark, provider),
        "provider": provider,
        "runtime": None if runtime == ONNX_RUNTIME else SERVED[runtime],
        "file": best.any.variant if best else "model.onnx",
        "machine": machine_line(benchmark.machine),
        "versions": ", ".join(
            f"{name} {versions[name]}"
            for name in ("onnxruntime", "onnxruntime-gpu", "openvino", "torch", "transformers")
            if name in versions
        ),
    }


def _other_scores(benchmark: BenchmarkFile, facts: CardFacts) -> Table:
    return Table.of(
        "Further scores.",
        (
            {
                "further score on": Quoted(score.split),
                "model": score.contender,
                "metric": metric_name(score.metric or benchmark.metric),
                "value": numbers.metric(score.value),
                "95 % interval": numbers.span(score.low, score.high),
                "examples": str(score.samples),
            }
            for score in facts.other_scores
        ),
        words=("model", "metric"),
    )


def _latencies(benchmark: BenchmarkFile) -> Table:
    """One row a shape: every series' median, and the recommended file's speedups."""
    best = recommended(benchmark)
    series = all_measurements(benchmark, benchmark.baseline.provider)
    rows = []
    for shape in shapes(benchmark):
        found = best.rows[shape].speedup if best and shape in best.rows else None
        rows.append(
            (
                shape_title(shape),
                *(one.median(shape) or numbers.MISSING for one in series),
                ratio_words(found and found.vs_pytorch_unpruned),
                ratio_words(found and found.vs_onnxruntime_unpruned),
                _fastest(benchmark, shape),
            )
        )
    titles = (
        *(
            " ".join(filter(None, (f"{one.any.contender}, {RUNTIMES[one.any.runtime]}", one.kind)))
            for one in series
        ),
        *("speedup over PyTorch unpruned", "over ONNX Runtime unpruned"),
    )
    return Table(
        "Median milliseconds a batch, and the recommended file's speedups.",
        (
            Column("batch × length", numeric=False),
            *map(Column, titles),
            Column("fastest file", numeric=False),
        ),
        tuple(rows),
    )


def _fastest(benchmark: BenchmarkFile, shape: str) -> str:
    """The winner at a shape, "significantly" where its lead over the runner-up excludes 1."""
    for winner in benchmark.winners:
        if (winner.provider, winner.shape) == (benchmark.baseline.provider, shape):
            significant = winner.lead is not None and winner.lead.low > 1
            other = winner.runtime in SERVED and winner.runtime != ONNX_RUNTIME
            where = f" in {RUNTIMES[winner.runtime]}" if other else ""
            return f"`{winner.variant}`{where}{', significantly' if significant else ''}"
    return numbers.MISSING
