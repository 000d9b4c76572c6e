"""Where the model and the data that a configuration names come from."""

from __future__ import annotations

from pathlib import Path

from glp_export.config.sections import DataOptions, ModelOptions
from glp_export.encoder import ModelSource
from glp_export.tasks import DataSpec


def model_source(options: ModelOptions, name: str) -> ModelSource:
    """Where a model of that name is fetched from, in this run."""
    return ModelSource(
        name=name,
        revision=options.revision if name == options.model else None,
        cache_dir=options.cache_dir,
        token=options.token,
        offline=options.offline,
        trust_remote_code=options.trust_remote_code,
    )


def data_spec(data: DataOptions, model: ModelOptions, seed: int) -> DataSpec:
    """The data that a configuration names; it is fetched as the model is."""
    return DataSpec(
        task=data.task,
        dataset=data.dataset,
        dataset_config=data.dataset_config,
        train_file=_text(data.train_file),
        validation_file=_text(data.validation_file),
        text_columns=data.text_columns,
        label_column=data.label_column,
        metric=data.metric,
        kind=data.kind,
        dev_fraction=data.dev_fraction,
        max_train_samples=data.max_train_samples,
        max_dev_samples=data.max_dev_samples,
        max_test_samples=data.max_test_samples,
        seed=seed,
        offline=model.offline,
        cache_dir=model.cache_dir,
        token=model.token,
        trust_remote_code=model.trust_remote_code,
    )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
