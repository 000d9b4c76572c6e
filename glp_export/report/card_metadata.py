"""The block above the model card that the Hub reads: what it is, made of what, and how good.

The Hub's own classes write it (`huggingface_hub.ModelCardData`), so that it is what the Hub's
own parser reads. Nothing in it is a path: what is on no hub has a name and no link.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.report.card_facts import CardFacts
from glp_export.report.warnings import metric_name
from glp_export.tasks import KINDS

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

    from glp_export.bench.benchmark_file import BenchmarkFile, MetricRow
    from glp_export.compress.plan import Plan

EMBEDDED = "demo"
"""The embedded encoder; a name that could be one on the hub."""

LOCAL_DATA = "local"
"""The Hub wants an id of the data set behind each result; this one has none there."""

# The Hub's names of our metrics, where they differ.
_HUB_METRICS = {"pearson": "pearsonr", "spearman": "spearmanr"}
_HUB_TAGS = ("onnx", "onnxruntime", "layer-pruning", "glp-export")


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
        model_name=f"{base_name(plan).rpartition('/')[2]}-{plan.depth}-layers-{plan.task}",
        pipeline_tag=KINDS[facts.kind].hub_task,
        tags=list(_HUB_TAGS),
        **relation,
    )
    return data.to_yaml().strip()


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
    title = _capital(benchmark.metric)
    own = facts.hub_data.split if facts.hub_data else "test"
    results = [
        _result(plan, facts, own, row.value, _title(title, row), benchmark.metric)
        for row in benchmark.metrics
        if row.contender == "pruned"
    ]
    return results + [
        _result(
            plan,
            facts,
            score.split,
            score.value,
            _capital(score.metric or benchmark.metric),
            score.metric or benchmark.metric,
        )
        for score in facts.other_scores
        if score.contender == "pruned"
    ]


def _capital(metric: str) -> str:
    name = metric_name(metric)
    return name[0].upper() + name[1:]


def _title(metric: str, row: MetricRow) -> str:
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
