"""Pruning a live model: the search and the training of the main job, between two modules."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
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
from glp_export.tasks.encoding import quiet_datasets
from glp_export.workflows.context import make_context
from glp_export.workflows.stages.recovery_start import tokenizer_of
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
        plan: what was removed; `plan.apply` does the same to the unpruned model, and
            `plan.expand(model)` is what `save_pretrained` can write.
        tokenizer: of the compact module; the given one unless tokens went.
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
        given = {"distilled": NO_RIVAL, **settings, **_of_target(target, settings)}
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
        compact, plan = load_model(source, context.data.task).eval(), found[-1].plan
        whole = plan.kept_tokens is None
        return Compressed(compact, plan, tokenizer if whole else tokenizer_of(context, plan))


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


def _of_target(target: str | float | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The setting that a target is: a latency has a unit of time.

    Raises:
        UsageError: it is among the settings too.
    """
    if target is None:
        return {}
    amount = str(target).partition("@")[0].strip()
    name = "latency_budget" if amount.endswith(_UNITS) else "target_speedup"
    if settings.get(name) is not None:
        raise UsageError(f"target and {name} say the same twice", where=name, fix="leave one away")
    return {name: str(target)}


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
        _write(data[part], place / part, f"data['{part}']")
    return {"dataset": str(place)}


def _write(table: Any, path: Path, where: str) -> None:
    """Write rows as a file: those of a dataset as Parquet, which keeps the names of its labels.

    Raises:
        DataError: they are no rows.
    """
    from datasets import Dataset, IterableDataset

    if isinstance(table, IterableDataset):
        table = Dataset.from_list(list(table), features=table.features)
    if isinstance(table, Dataset):
        with quiet_datasets():
            table.with_format(None).to_parquet(path.with_suffix(".parquet"))
        return
    with path.with_suffix(".jsonl").open("w", encoding="utf-8") as stream:
        for number, row in enumerate(_records(table, where), start=1):
            if not isinstance(row, Mapping):
                raise _no_rows(f"a row is a {type(row).__name__}", f"{where}, row {number}")
            named = {str(name): value for name, value in row.items()}
            stream.write(json.dumps(named, default=_as_json) + "\n")


def _records(table: Any, where: str) -> Iterable[Any]:
    """The rows of a pandas frame, without a value where it has none, or of anything else."""
    if hasattr(table, "to_dict") and hasattr(table, "columns"):
        if not table.columns.is_unique:
            name = table.columns[table.columns.duplicated()][0]
            raise _no_rows(f"the frame has two columns named {name!r}", where)
        records: list[Any] = table.astype(object).where(table.notna(), None).to_dict("records")
        return records
    if not isinstance(table, Iterable):
        raise _no_rows(f"it is a {type(table).__name__}", where)
    return table


def _no_rows(fault: str, where: str) -> DataError:
    return DataError(
        f"This is no list of rows: {fault}.",
        where=where,
        fix='give a dataset, a pandas frame, or a list such as [{"text": "…", "label": "…"}, …]',
    )


def _as_json(value: Any) -> Any:
    """What JSON has for a value: numbers and lists of arrays and tensors, texts of bytes."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Decimal):  # as databases have numbers
        return float(value)
    # Bytes that are no UTF-8 are found where the rows are read.
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else str(value)
