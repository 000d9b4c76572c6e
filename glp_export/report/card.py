"""The model card: what was removed, what it cost, what it gained, and how to load the files.

The Hub's own classes write the block above it (`huggingface_hub.ModelCardData`), so that it is what
the Hub's own parser reads. Nothing in it is a path: what is on no hub has a name and no link.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.bench.winners import fastest_runtime
from glp_export.compress.compressors import sources_of
from glp_export.core import numbers
from glp_export.core.text import capital, markdown
from glp_export.encoder.model_source import EMBEDDED
from glp_export.report import snippets, structure
from glp_export.report.machine_table import machine_line
from glp_export.report.measurements import (
    RUNTIMES,
    Measurement,
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
from glp_export.report.tables import Column, Quoted, Table, columns
from glp_export.report.warnings import benchmark_warnings, metric_name
from glp_export.serve.runtimes import ONNX_RUNTIME
from glp_export.serve.runtimes import RUNTIMES as SERVED
from glp_export.tasks import KINDS

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

    from glp_export.artifact.parity_report import ParityReport
    from glp_export.artifact.vocabulary_record import VocabularyRecord
    from glp_export.bench.benchmark_file import BenchmarkFile, MetricRow
    from glp_export.compress.latency_table import LatencyTable
    from glp_export.compress.plan import Plan
    from glp_export.encoder.block_sparse_file import BlockSparseRecord
    from glp_export.precision.record import PrecisionEntry
    from glp_export.tasks.task import HubData

LOCAL_DATA = "local"
"""The Hub wants an id of the data set behind each result; this one has none there."""

# The Hub's names of our metrics, where they differ.
_HUB_METRICS = {"pearson": "pearsonr", "spearman": "spearmanr"}

_PLAIN = "model.onnx"

UNCHANGED = "unchanged"
"""In place of a way to recover: the pruned model has the weights of the unpruned one."""

_RECOVERED = {
    "distill": "distilled from the unpruned model that was fine-tuned on the task",
    "finetune": "fine-tuned from the pretrained weights",
}
_RECOVERY_NOTES = {
    "distill": "The pruned model started from the weights of the fine-tuned unpruned model and "
    "learned to imitate it, so its weights saw the examples in both trainings.",
    "finetune": "The pruned model was trained on the labels alone, as in the paper.",
}


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
        block_sparse: what a block-sparse file of the weights holds; None without one.
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
    block_sparse: BlockSparseRecord | None = None
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
        **_measured(plan, benchmark, facts),
        **snippets.of(facts),
    )


def _pruning(plan: Plan, benchmark: BenchmarkFile, facts: CardFacts) -> dict[str, Any]:
    base = base_name(plan)
    left = f"{plan.depth} of {plan.num_layers} layers" if plan.layers_only else plan.label
    table = facts.latency_table
    shipped = structure.shipped_prediction(plan, benchmark, table)
    return {
        "title": f"{base.rpartition('/')[2]}, {left}, for {plan.task}",
        "base": base,
        "removed_count": len(plan.order),
        "picture": structure.structure_picture(plan)
        if plan.inside_layers
        else structure.stack_line(plan).plain,
        "cost": cost_words(plan),
        "steps": steps_table(plan),
        "finalists": finalists_table(plan),
        "predicted": shipped and structure.prediction_words(shipped),
        "conditions": table and structure.conditions_table(table),
    }


def _measured(plan: Plan, benchmark: BenchmarkFile, facts: CardFacts) -> dict[str, Any]:
    best = recommended(benchmark)
    provider = best.any.provider if best else benchmark.baseline.provider
    versions = benchmark.machine.versions
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
        "served_in": _served_in(benchmark),
        "file": best.any.variant if best else _PLAIN,
        "machine": machine_line(benchmark.machine),
        "versions": ", ".join(
            f"{name} {versions[name]}"
            for name in ("onnxruntime", "onnxruntime-gpu", "openvino", "torch", "transformers")
            if name in versions
        ),
        **_training(facts),
        "lasted": _lasted(facts),
    }


def _served_in(benchmark: BenchmarkFile) -> str:
    """What `load` opens it in, where that is not ONNX Runtime."""
    name = fastest_runtime(benchmark, benchmark.baseline.provider)
    if name == ONNX_RUNTIME:
        return ""
    runtime = SERVED[name]
    return (
        f"It was surely fastest in {runtime.title}, so that is what opens it "
        f"(`{runtime.install}`); where it is not installed, ONNX Runtime opens its best file, "
        "with a warning."
    )


def _lasted(facts: CardFacts) -> str:
    """How long a training lasts, and at which rate."""
    passes = "1 pass" if facts.epochs == 1 else f"{facts.epochs:.3g} passes"
    if not facts.rates:
        return f"{passes} over them and the same highest learning rate ({facts.learning_rate:g})"
    rates = ", ".join(f"{rate:.2g}" for rate in facts.rates)
    chosen = f" and the best there of the learning rates {rates}" if len(facts.rates) > 1 else ""
    return f"at most {passes} over them, with the weights that were best on dev{chosen}"


def _training(facts: CardFacts) -> dict[str, str]:
    """Which models were trained on what; a model that is given as a teacher is not trained."""
    kind = KINDS[facts.kind]
    if facts.recover == UNCHANGED:
        given = "taken as it was given" if facts.as_is else "fine-tuned on the task"
        return {
            "recovered": f"with the weights of the unpruned model, which was {given},",
            "trained": "no model" if facts.as_is else "the unpruned model",
            "examples": "texts" if kind.blank else "labelled examples",
            "recovery_note": "The pruned model has the weights of the unpruned one: what stays of "
            "it answers as before, so nothing had to be recovered.",
        }
    examples = "texts" if kind.blank else "labelled examples"
    if facts.as_is and facts.recover == "distill":
        return {
            "recovered": "distilled from the unpruned model as it was given",
            "trained": "the unpruned model was taken as it was given; every other model",
            "examples": examples,
            "recovery_note": "The pruned model started from the weights of the unpruned one and "
            "learned to imitate its answers.",
        }
    return {
        "recovered": _RECOVERED.get(facts.recover, facts.recover),
        "trained": "the unpruned model was taken as it was given; every other model"
        if facts.as_is
        else "every model",
        "examples": examples,
        "recovery_note": _RECOVERY_NOTES.get(facts.recover, ""),
    }


def _other_scores(benchmark: BenchmarkFile, facts: CardFacts) -> Table | None:
    if not facts.other_scores:
        return None
    metric = metric_name(benchmark.metric)
    return Table(
        caption="Further scores.",
        columns=columns(
            *("further score on", "model", "metric", "value", "95 % interval", "examples"),
            words=("model", "metric"),
        ),
        rows=tuple(
            (
                Quoted(score.split),
                score.contender,
                metric_name(score.metric) if score.metric else metric,
                numbers.metric(score.value),
                numbers.span(score.low, score.high),
                str(score.samples),
            )
            for score in facts.other_scores
        ),
    )


def _latencies(benchmark: BenchmarkFile) -> Table:
    """One row a shape: every series' median, and the recommended file's speedups."""
    best = recommended(benchmark)
    series = all_measurements(benchmark, benchmark.baseline.provider)
    rows = []
    for shape in shapes(benchmark):
        row = best.rows.get(shape) if best else None
        medians = (
            numbers.milliseconds(one.rows[shape].p50_ms) if shape in one.rows else numbers.MISSING
            for one in series
        )
        rows.append(
            (
                shape_title(shape),
                *medians,
                ratio_words(row.speedup.vs_pytorch_unpruned if row else None),
                ratio_words(row.speedup.vs_onnxruntime_unpruned if row else None),
                _fastest(benchmark, shape),
            )
        )
    return Table(
        caption="Median milliseconds a batch, and the recommended file's speedups.",
        columns=(
            *columns("batch × length", *(_title(one) for one in series)),
            *columns("", "speedup over PyTorch unpruned", "over ONNX Runtime unpruned")[1:],
            Column("fastest file", numeric=False),
        ),
        rows=tuple(rows),
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


def _title(measurement: Measurement) -> str:
    kind = f" {measurement.kind}" if measurement.kind else ""
    return f"{measurement.any.contender}, {RUNTIMES[measurement.any.runtime]}{kind}"


def card_metadata(plan: Plan, benchmark: BenchmarkFile, facts: CardFacts) -> str:
    """The metadata as YAML, without the lines of dashes around it."""
    from huggingface_hub import ModelCardData

    linked = is_on_hub(plan)
    relation: dict[str, Any] = {"base_model_relation": "finetune"} if linked else {}
    data = ModelCardData(
        base_model=plan.base_model if linked else None,
        datasets=[facts.hub_data.id] if facts.hub_data else None,
        eval_results=_results(plan, benchmark, facts) or None,
        language=facts.language,
        library_name="transformers",
        license=facts.license,
        metrics=[hub_metric(benchmark.metric)],
        model_name="-".join((base_name(plan).rpartition("/")[2], _short_name(plan), plan.task)),
        pipeline_tag=KINDS[facts.kind].hub_task,
        tags=["onnx", "onnxruntime", _tag(plan), "glp-export"],
        **relation,
    )
    return data.to_yaml().strip()


def _short_name(plan: Plan) -> str:
    """What tells the model from others of its base: `6-layers`, or a part of the plan's id."""
    return f"{plan.depth}-layers" if plan.layers_only else plan.id[:8]


def _tag(plan: Plan) -> str:
    if plan.inside_layers:
        return "structured-pruning"
    if plan.factors is not None:
        return "kronecker-factors"
    if plan.blocks is not None:
        return "block-sparse"
    return "layer-pruning" if plan.order else "vocabulary-trimming"


def base_name(plan: Plan) -> str:
    """The base model as a reader elsewhere knows it: a hub id, or the last part of a path."""
    return plan.base_model if is_on_hub(plan) else Path(plan.base_model).name


def is_on_hub(plan: Plan) -> bool:
    """Whether the base model is one of the hub: only local ones have a checksum in the plan."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    name = plan.base_model
    if plan.checksum is not None or name == EMBEDDED or Path(name).exists():
        return False
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True


def hub_metric(metric: str) -> str:
    """The Hub's name of a metric."""
    return _HUB_METRICS.get(metric, metric)


def _results(plan: Plan, benchmark: BenchmarkFile, facts: CardFacts) -> list[EvalResult]:
    """The scores of the files that ship, on the test split and on further ones."""
    own = facts.hub_data.split if facts.hub_data else "test"
    title = capital(metric_name(benchmark.metric))
    results = [
        _result(plan, facts, own, row.value, _row_title(title, row), benchmark.metric)
        for row in benchmark.metrics
        if row.contender == "pruned"
    ]
    for score in facts.other_scores:
        if score.contender == "pruned":
            metric = score.metric or benchmark.metric
            title = capital(metric_name(metric))
            results.append(_result(plan, facts, score.split, score.value, title, metric))
    return results


def _row_title(metric: str, row: MetricRow) -> str:
    return metric if row.precision == "fp32" else f"{metric} ({row.precision})"


def _result(
    plan: Plan, facts: CardFacts, split: str, value: float, title: str, metric: str
) -> EvalResult:
    from huggingface_hub import EvalResult

    hub = facts.hub_data
    task = KINDS[facts.kind].hub_task
    where: dict[str, Any] = (
        {
            "dataset_type": hub.id,
            "dataset_name": hub.id.rpartition("/")[2],
            "dataset_config": hub.config,
            "dataset_revision": hub.revision,
        }
        if hub
        else {"dataset_type": LOCAL_DATA, "dataset_name": plan.task}
    )
    return EvalResult(
        task_type=task,
        task_name=task.replace("-", " ").title(),
        dataset_split=split,
        metric_type=hub_metric(metric),
        metric_value=value,
        metric_name=title,
        verified=False,
        **where,
    )
