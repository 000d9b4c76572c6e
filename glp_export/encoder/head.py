"""The last layer of a checkpoint's head, whose rows have to follow the labels of the data."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from glp_export.core.errors import ModelError
from glp_export.core.text import plain
from glp_export.tasks import KINDS, Task, TaskKind
from glp_export.tasks.kinds import has_head
from glp_export.tasks.label_names import match_labels

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

logger = logging.getLogger(__name__)

_MOST_SHOWN = 20
_LOST = "to keep its head, write the labels of the data as the checkpoint has them"


def labels_of_config(content: Mapping[str, Any], config: Any, where: str) -> tuple[str, ...]:
    """The labels of a checkpoint, in the order of their ids.

    Args:
        content: of its config.json.
        config: what transformers makes of it; it names labels that the file does not.
        where: the checkpoint, for an error.

    Raises:
        ModelError: ids that are not 0, 1, … without a gap.
    """
    names = content.get("id2label") or {}
    if not names and isinstance(content.get("label2id"), dict):
        names = {index: name for name, index in content["label2id"].items()}
    names = names or config.id2label
    try:
        by_id = {int(index): str(name) for index, name in names.items()}
    except (AttributeError, TypeError, ValueError):
        by_id = {}
    if sorted(by_id) != list(range(len(by_id))) or not by_id:
        raise ModelError(
            "the labels of the checkpoint have no ids from 0 on: id2label has "
            f"{plain(', '.join(map(str, names)))}",
            where=f"{where}, config.json",
            fix="write every id from 0 on into id2label, as many as the head has rows",
        )
    return tuple(by_id[index] for index in range(len(by_id)))


def other_head(config: Any, kind: TaskKind) -> str | None:
    """What a checkpoint's head is for, where its configuration says that it is of another kind.

    Args:
        config: as it was saved, before a task is written into it.
        kind: of the task that is to be done.

    Returns:
        The class of the head, or the kind of problem that it was trained on; None where nothing
        speaks against the task.
    """
    names = config.architectures or ()
    if not (kind.fits_head and names):
        return None
    if not has_head(kind, names):
        heads = (name for name in names for one in KINDS.values() if has_head(one, (name,)))
        return next(heads, None)
    said = config.problem_type
    return said if said and kind.problem_type and said != kind.problem_type else None


def fit_head(
    model: PreTrainedModel,
    task: Task,
    labels: Sequence[str],
    loading: Any,
    where: str,
    *,
    other: str | None = None,
    doubtful: bool = True,
) -> bool:
    """Bring the head's rows into the order of the task's labels, or begin a new head.

    A head is new where the checkpoint has none, or one for other labels or another kind of task;
    that is said in a warning. Only the last layer is new then: layers before it know nothing of
    labels.

    Args:
        model: as `from_pretrained` loaded it, with as many outputs as the task has.
        task: its labels are those of the data.
        labels: of the checkpoint.
        loading: what `from_pretrained` says of the weights.
        where: the checkpoint, for an error.
        other: what the checkpoint's head is for, where that is another kind of task.
        doubtful: whether labels that cannot be told from one another are an error; else a new head
            is begun.

    Returns:
        Whether the head is the checkpoint's own.

    Raises:
        ModelError: labels that cannot be told from one another, or a head that does not fit its
            own configuration.
    """
    found = output_layer(model)
    if found is None:
        return True
    name, layer = found
    if f"{name}.weight" in loading["missing_keys"]:
        return False
    dropped = f"{name}.weight" in mismatched_names(loading)
    if other is not None:
        if not dropped:
            _begin_anew(model, layer)
        _say(f"{where} has a head for another kind of task ({other}): a new head is begun")
        return False
    if not (KINDS[task.kind].named and task.labels):
        if dropped:
            _say(f"{where} has a head of other outputs than {task.kind} needs: a new head is begun")
        return not dropped
    match = match_labels(labels, task.labels)
    unclear = match.verdict in ("unnamed", "overlapping")
    if unclear and doubtful:
        raise _unclear(match.verdict, labels, task, where)
    if not unclear and dropped == (len(labels) == len(task.labels)):
        raise ModelError(
            f"config.json names {len(labels)} labels, and the head has another number of rows",
            where=where,
            fix="write as many labels into id2label as the head has rows",
        )
    if match.verdict == "same":
        if match.rows != tuple(range(len(match.rows))):
            _reorder(layer, match.rows)
            _say(f"{where}: the head's rows now have the order of the data's labels")
        return True
    if not dropped:
        _begin_anew(model, layer)
    _say(
        f"{where} has a head for {_listed(labels)}, the data has {_listed(task.labels)}: "
        f"a new head is begun; {_LOST}"
    )
    return False


def output_layer(model: PreTrainedModel) -> tuple[str, nn.Module] | None:
    """The layer that makes the logits, with its name; None where the model has no head."""
    encoder = f"{model.base_model_prefix}."
    rows = model.config.num_labels
    made = [
        (name, module)
        for name, module in model.named_modules()
        if not f"{name}.".startswith(encoder)
        and getattr(getattr(module, "weight", None), "ndim", 0) == 2
        and module.weight.shape[0] == rows
    ]
    return made[-1] if made else None


def mismatched_names(loading: Any) -> set[str]:
    """Tensors of another shape; some versions of transformers add the two shapes to a name."""
    return {key if isinstance(key, str) else key[0] for key in loading["mismatched_keys"]}


def _reorder(layer: Any, rows: Sequence[int]) -> None:
    import torch

    with torch.no_grad():
        for parameter in (layer.weight, getattr(layer, "bias", None)):
            if parameter is not None:
                parameter.copy_(parameter[list(rows)].clone())


def _begin_anew(model: PreTrainedModel, layer: Any) -> None:
    """As transformers initialises a linear layer."""
    import torch

    with torch.no_grad():
        layer.weight.normal_(0.0, getattr(model.config, "initializer_range", 0.02))
        if getattr(layer, "bias", None) is not None:
            layer.bias.zero_()


def _unclear(verdict: str, labels: Sequence[str], task: Task, where: str) -> ModelError:
    unnamed = verdict == "unnamed"
    return ModelError(
        ("the checkpoint does not name its labels" if unnamed else "some labels are the same only")
        + f": it has {_listed(labels)}, the data {_listed(task.labels)}",
        where=f"{where}, and column '{plain(task.label_column)}' of the data",
        fix=("write their names into id2label of its config.json" if unnamed else _RENAME)
        + "; or train a new head: --teacher finetune",
    )


_RENAME = "rename or remove the labels that differ, so that both have the same"


def _listed(labels: Sequence[str]) -> str:
    shown = ", ".join(f"'{plain(label)}'" for label in labels[:_MOST_SHOWN])
    more = len(labels) - _MOST_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


@cache
def _say(text: str) -> None:
    """Once: a run loads its model many times."""
    logger.warning("%s", text)
