"""The model card: what was removed, what it cost, what it gained, and how to load the files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.core import numbers
from glp_export.core.text import markdown
from glp_export.report import snippets
from glp_export.report.card_facts import CardFacts
from glp_export.report.card_metadata import base_name, card_metadata
from glp_export.report.card_tables import (
    latency_columns,
    latency_rows,
    other_score_rows,
    parity_rows,
    precision_rows,
    score_rows,
    size_rows,
    step_rows,
    summary,
)
from glp_export.report.inspect_view import cost_words, stack_line
from glp_export.report.machine_table import machine_line
from glp_export.report.measurements import recommended
from glp_export.report.rendering import render
from glp_export.report.table import device_name
from glp_export.report.warnings import benchmark_warnings, metric_name
from glp_export.tasks import KINDS

if TYPE_CHECKING:
    from glp_export.artifact.parity_report import ParityReport
    from glp_export.bench.benchmark_file import BenchmarkFile
    from glp_export.compress.plan import Plan

_PLAIN = "model.onnx"

_RECOVERED = {
    "distill": "distilled from the unpruned model that was fine-tuned on the task",
    "finetune": "fine-tuned from the pretrained weights",
}
_RECOVERY_NOTES = {
    "distill": "The pruned model started from the layers of the fine-tuned unpruned model and "
    "learned to imitate its answers, so its weights saw the examples in both trainings.",
    "finetune": "The pruned model was trained on the labels alone, as in the paper.",
}


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
        benchmark: scores and latencies of all contenders.
        parity: of the pruned model's files.
        facts: everything else.
    """
    path.write_text(card_text(plan, benchmark, parity, facts), encoding="utf-8")


def card_text(plan: Plan, benchmark: BenchmarkFile, parity: ParityReport, facts: CardFacts) -> str:
    """The card as Markdown with its YAML front matter."""
    return render(
        "card.md.jinja",
        facts=facts,
        plan=plan,
        metadata=card_metadata(plan, benchmark, facts),
        labels=numbers.few(facts.labels),
        warnings=[
            *(markdown(note, 1000) for note in facts.data_notes),
            *benchmark_warnings(benchmark, facts.differences),
        ],
        parity=parity_rows(parity),
        precisions=precision_rows(facts.precisions),
        optimised=len(parity.files) > 1,
        **_pruning(plan),
        **_measured(plan, benchmark, facts),
        **snippets.of(facts),
    )


def _pruning(plan: Plan) -> dict[str, Any]:
    base = base_name(plan)
    return {
        "title": f"{base.rpartition('/')[2]}, {plan.depth} of {plan.num_layers} layers, "
        f"for {plan.task}",
        "base": base,
        "removed_count": len(plan.order),
        "stack": stack_line(plan).plain,
        "cost": cost_words(plan),
        "steps": step_rows(plan),
    }


def _measured(plan: Plan, benchmark: BenchmarkFile, facts: CardFacts) -> dict[str, Any]:
    best = recommended(benchmark)
    provider = best.any.provider if best else benchmark.baseline.provider
    versions = benchmark.machine.versions
    return {
        "metric": metric_name(benchmark.metric),
        "summary": summary(plan, benchmark, facts),
        "scores": score_rows(benchmark, facts),
        "other_scores": other_score_rows(benchmark, facts),
        "samples": " or ".join(str(n) for n in sorted({row.samples for row in benchmark.metrics})),
        "columns": latency_columns(benchmark),
        "latencies": latency_rows(benchmark),
        "sizes": size_rows(benchmark),
        "device": device_name(benchmark, provider),
        "provider": provider,
        "file": best.any.variant if best else _PLAIN,
        "machine": machine_line(benchmark.machine),
        "versions": ", ".join(
            f"{name} {versions[name]}"
            for name in ("onnxruntime", "onnxruntime-gpu", "torch", "transformers")
            if name in versions
        ),
        **_training(facts),
        "lasted": _lasted(facts),
    }


def _lasted(facts: CardFacts) -> str:
    """How long a training lasts, and at which rate."""
    passes = "1 pass" if facts.epochs == 1 else f"{facts.epochs:.3g} passes"
    if not facts.rates:
        return f"{passes} over them and the same highest learning rate ({facts.learning_rate:g})"
    rates = ", ".join(f"{rate:.2g}" for rate in facts.rates)
    chosen = f" and the best there of the learning rates {rates}" if len(facts.rates) > 1 else ""
    return f"at most {passes} over them, with the weights that were best on `select`{chosen}"


def _training(facts: CardFacts) -> dict[str, str]:
    """Who was taught on what; a model that is given as a teacher learns nothing itself."""
    kind = KINDS[facts.kind]
    lessons = "texts" if kind.blank else "labelled examples"
    if facts.as_is and facts.recover == "distill":
        return {
            "recovered": "distilled from the unpruned model as it was given",
            "taught": "the unpruned model was taken as it was given; every other contender",
            "lessons": lessons,
            "recovery_note": "The pruned model started from the layers of the unpruned one and "
            "learned to imitate its answers.",
        }
    return {
        "recovered": _RECOVERED.get(facts.recover, facts.recover),
        "taught": "the unpruned model was taken as it was given; every other contender"
        if facts.as_is
        else "every contender",
        "lessons": lessons,
        "recovery_note": _RECOVERY_NOTES.get(facts.recover, ""),
    }
