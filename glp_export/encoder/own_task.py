"""What a checkpoint says of the task that it was fine-tuned for."""

from __future__ import annotations

from glp_export.encoder.checkpoint import read_config
from glp_export.encoder.head import labels_of_config
from glp_export.encoder.model_source import ModelSource, explained
from glp_export.tasks import KINDS, Task, kind_of_config


def own_task(source: ModelSource, kind: str | None = None) -> Task | None:
    """The kind of task and the labels of a checkpoint's head, as its configuration names them.

    Args:
        source: where it is.
        kind: that was asked for, where the head could be for several.

    Returns:
        None where its head is for no kind that is known here, or for another one than was asked
        for; the columns of the task are those of no data.

    Raises:
        ModelError: there is no configuration, or its labels have no ids from 0 on.
    """
    from transformers import PretrainedConfig

    config = read_config(source)
    with explained(source, "configuration"):
        content, _ = PretrainedConfig.get_config_dict(source.location, **source.arguments())
    found = kind_of_config(config)
    if found is None or kind not in (None, found.name):
        return None
    labels = labels_of_config(content, config, source.name) if found.named else ()
    return Task(
        name=KINDS[found.name].name,
        kind=found.name,
        text_columns=("text",),
        label_column="",
        labels=labels,
        metric=found.metric_for(labels),
    )
