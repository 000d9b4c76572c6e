"""Data as users have it: files in a directory, and data sets in the hub's cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.tiny import write_jsonl


def two_files(
    directory: Path, train: Sequence[dict[str, Any]], validation: Sequence[dict[str, Any]]
) -> Path:
    write_jsonl(directory / "train.jsonl", list(train))
    write_jsonl(directory / "validation.jsonl", list(validation))
    return directory


def labelled(labels: Sequence[Any], **more: Any) -> list[dict[str, Any]]:
    """One row a label, with a text of its own."""
    return [{"text": f"text {row}", "label": label, **more} for row, label in enumerate(labels)]


def cache_hub_dataset(cache: Path, dataset: str, config: str, splits: Mapping[str, Any]) -> None:
    """Leave a data set in the cache as a download by `datasets` would have left it."""
    from datasets import DatasetInfo, SplitDict, SplitInfo
    from datasets.arrow_writer import ArrowWriter

    name = dataset.split("/")[-1]
    place = cache / dataset.replace("/", "___") / config / "0.0.0" / ("0" * 40)
    place.mkdir(parents=True)
    infos = SplitDict(dataset_name=name)
    for split, rows in splits.items():
        with ArrowWriter(path=str(place / f"{name}-{split}.arrow"), features=rows.features) as file:
            file.write_table(rows.data.table)
            file.finalize()
        infos.add(SplitInfo(split, num_examples=len(rows), dataset_name=name))
    info = DatasetInfo(
        features=rows.features,
        splits=infos,
        config_name=config,
        dataset_name=name,
        version="0.0.0",
    )
    info.write_to_directory(str(place))
