"""What the Hub reads of a card: its metadata, in the Hub's own classes and words.

Nothing in it is a path: what is on no hub has a name and no link.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.core.text import capital
from glp_export.encoder.model_source import EMBEDDED
from glp_export.report.words import metric_name
from glp_export.tasks import KINDS

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

    from glp_export.bench.benchmark_file import BenchmarkFile
    from glp_export.compress.plan import Plan
    from glp_export.report.card_facts import CardFacts

_METRICS = {"pearson": "pearsonr", "spearman": "spearmanr"}
"""The Hub's names of our metrics, where they differ."""


def card_metadata(plan: Plan, benchmark: BenchmarkFile, facts: CardFacts) -> str:
    """The metadata as YAML, without the lines of dashes around it."""
    from huggingface_hub import ModelCardData

    linked = is_on_hub(plan)
    own = f"{plan.depth}-layers" if plan.layers_only else plan.id[:8]
    relation: dict[str, Any] = {"base_model_relation": "finetune"} if linked else {}
    data = ModelCardData(
        base_model=plan.base_model if linked else None,
        datasets=[facts.hub_data.id] if facts.hub_data else None,
        eval_results=_results(plan, benchmark, facts) or None,
        language=facts.language,
        library_name="transformers",
        license=facts.license,
        metrics=[_METRICS.get(benchmark.metric, benchmark.metric)],
        model_name="-".join((base_name(plan).rpartition("/")[2], own, plan.task)),
        pipeline_tag=KINDS[facts.kind].hub_task,
        tags=["onnx", "onnxruntime", _tag(plan), "glp-export"],
        **relation,
    )
    return data.to_yaml().strip()


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


def _results(plan: Plan, benchmark: BenchmarkFile, facts: CardFacts) -> list[EvalResult]:
    """The scores of the files that ship, on the test split and on further ones."""
    from huggingface_hub import EvalResult

    hub, task = facts.hub_data, KINDS[facts.kind].hub_task
    where: dict[str, Any] = (
        {
            "dataset_type": hub.id,
            "dataset_name": hub.id.rpartition("/")[2],
            "dataset_config": hub.config,
            "dataset_revision": hub.revision,
        }
        if hub  # else an id is wanted all the same
        else {"dataset_type": "local", "dataset_name": plan.task}
    )
    scored = [
        (hub.split if hub else "test", row.value, benchmark.metric, row.precision)
        for row in benchmark.metrics
        if row.contender == "pruned"
    ] + [
        (score.split, score.value, score.metric or benchmark.metric, "fp32")
        for score in facts.other_scores
        if score.contender == "pruned"
    ]
    return [
        EvalResult(
            task_type=task,
            task_name=task.replace("-", " ").title(),
            dataset_split=split,
            metric_type=_METRICS.get(metric, metric),
            metric_value=value,
            metric_name=capital(metric_name(metric))
            + ("" if precision == "fp32" else f" ({precision})"),
            verified=False,
            **where,
        )
        for split, value, metric, precision in scored
    ]
