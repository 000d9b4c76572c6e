"""Pruning a live model: the search and the training of the main job, between two modules."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.compress.plan import Plan
from glp_export.config.files import resolve
from glp_export.config.sections import NO_RIVAL
from glp_export.core.errors import DataError, ModelError, UsageError
from glp_export.core.notebook import facts_html
from glp_export.core.progress import Progress
from glp_export.core.scratch import scratch_directory
from glp_export.encoder import ModelSource, load_model
from glp_export.workflows.context import make_context
from glp_export.workflows.stages.search import choose_plans, require_search
from glp_export.workflows.stages.training import train_contenders

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PARTS = ("train", "validation")
_UNITS = ("ms", "us", "s")


@dataclass(frozen=True, repr=False)
class Compressed:
    """A pruned and trained model.

    Attributes:
        model: the compact module, in eval mode on the CPU.
        plan: what was removed; `plan.apply` does the same to the unpruned model.
        tokenizer: of both.
    """

    model: PreTrainedModel
    plan: Plan
    tokenizer: PreTrainedTokenizerBase

    def __repr__(self) -> str:
        return f"Compressed({self.plan.label}, {type(self.model).__name__})"

    def _repr_html_(self) -> str:
        parameters = sum(one.numel() for one in self.model.parameters())
        return facts_html(
            "compressed model",
            {
                "model": type(self.model).__name__,
                "left": self.plan.label,
                "parameters": f"{parameters:,}",
                "plan": self.plan.id,
            },
        )


def compress(
    model: PreTrainedModel,
    data: Any,
    target: str | float | None,
    tokenizer: PreTrainedTokenizerBase | None,
    settings: Mapping[str, Any],
    progress: Progress,
) -> Compressed:
    """Prune a live model for a task and recover its accuracy; see `glp_export.compress`.

    Raises:
        GlpError: see `glp_export.core.errors`.
    """
    for given, name in ((model, "model"), (tokenizer, "tokenizer")):
        if not hasattr(given, "save_pretrained") and (given is not None or name == "model"):
            raise UsageError(
                f"{name} is a {type(given).__name__}, not a live {name} of transformers",
                where=name,
                fix="give what from_pretrained returns; prune_and_export takes names",
            )
    tokenizer = tokenizer or _tokenizer_of(model)
    with scratch_directory("glp-compress-") as scratch:
        place = scratch
        model.save_pretrained(place / "model")
        tokenizer.save_pretrained(place / "model")
        given = {"distilled": NO_RIVAL, **settings, **_of_target(target)}
        config = resolve({**given, **_of_data(data, place / "data"), "model": str(place / "model")})
        if len(config.targets.speedups) > 1 or config.compress.depths or config.compress.sweep:
            raise UsageError("one call makes one model", fix="ask for one target or depth")
        with progress.stage("read data and model"):
            context = make_context(config)
        require_search(context)
        work = place / "work"
        found = choose_plans(context, work, progress)
        trained = train_contenders(context, found, work, progress)
        (checkpoint,) = (one.checkpoint for one in trained if one.contender == "pruned")
        source = ModelSource(str(checkpoint), offline=True)
        return Compressed(load_model(source, context.data.task).eval(), found[-1].plan, tokenizer)


def _tokenizer_of(model: PreTrainedModel) -> PreTrainedTokenizerBase:
    """The tokenizer of the place that the model came from.

    Raises:
        ModelError: there is none.
    """
    from transformers import AutoTokenizer

    name = model.name_or_path
    try:
        if name:
            return AutoTokenizer.from_pretrained(name)
    except (OSError, ValueError):
        pass
    raise ModelError(
        "the model does not say where its tokenizer is", where=name or None, fix="give tokenizer="
    )


def _of_target(target: str | float | None) -> dict[str, Any]:
    """The setting that a target is: a latency has a unit of time."""
    if target is None:
        return {}
    amount = str(target).partition("@")[0].strip()
    return {"latency_budget" if amount.endswith(_UNITS) else "target_speedup": str(target)}


def _of_data(data: Any, place: Path) -> dict[str, Any]:
    """The settings that name the data; rows in memory are written down first.

    Raises:
        DataError: it is neither a name nor a mapping with both parts.
    """
    if isinstance(data, str | Path):
        return {"dataset": str(data)}
    if not isinstance(data, Mapping) or not set(PARTS) <= set(data):
        raise DataError(
            f"data of type {type(data).__name__} is not known here",
            where="data",
            fix='give a hub id, a directory, or {"train": rows, "validation": rows}',
        )
    place.mkdir(parents=True)
    for part in PARTS:
        with (place / f"{part}.jsonl").open("w", encoding="utf-8") as stream:
            for row in _rows(data[part]):
                stream.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")
    return {"dataset": str(place)}


def _rows(table: Any) -> Iterable[Mapping[str, Any]]:
    """Rows of a pandas frame, a dataset or a list; labels of a dataset by their names."""
    if hasattr(table, "to_dict") and hasattr(table, "columns"):
        records: list[dict[str, Any]] = table.to_dict("records")
        return records
    features = getattr(table, "features", None) or {}
    names = {name: one.int2str for name, one in features.items() if hasattr(one, "int2str")}
    return (
        {name: names[name](value) if name in names else value for name, value in row.items()}
        for row in table
    )
