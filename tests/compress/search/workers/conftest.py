from __future__ import annotations

import pytest
from datasets import load_from_disk

from glp_export.compress.search.context import TrialContext
from glp_export.encoder import (
    RECOVERIES,
    DistillSettings,
    ModelSource,
    TrainingInputs,
    TrainSettings,
    load_model,
    load_tokenizer,
    predict,
)
from glp_export.tasks import DataSpec, encode, load_task_data


@pytest.fixture(scope="module")
def context(encoder, data, tmp_path_factory):
    """A tiny BERT that imitates itself; examples in memory-mapped files, as the hub's are."""
    loaded = load_task_data(DataSpec(dataset=str(data)))
    source = ModelSource(str(encoder))
    tokenizer, ancestor = load_tokenizer(source), load_model(source, loaded.task)
    fit, select = (
        on_disk(encode(part, loaded.task, tokenizer, 64), tmp_path_factory.mktemp("rows"))
        for part in (loaded.fit, loaded.select)
    )
    inputs = TrainingInputs(
        examples=fit.select(range(48)),
        tokenizer=tokenizer,
        teacher_logits=predict(ancestor, fit.select(range(48)), tokenizer),
        settings=TrainSettings(epochs=1, learning_rate=1e-3, batch_size=8),
        distillation=DistillSettings(),
    )
    return TrialContext(ancestor, inputs, RECOVERIES["distill"], loaded.task, select, True, 1)


def on_disk(rows, directory):
    rows.save_to_disk(directory)
    return load_from_disk(str(directory))
