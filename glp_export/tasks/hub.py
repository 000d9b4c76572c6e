"""Data sets of the Hugging Face hub, through `datasets`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from glp_export.core.errors import DataError
from glp_export.core.quiet import quiet_retries
from glp_export.tasks.raw import RawData, RawSplit
from glp_export.tasks.spec import DataSpec
from glp_export.tasks.task import HubData

logger = logging.getLogger(__name__)


def read_hub(
    dataset: str,
    config: str | None,
    spec: DataSpec,
    test_splits: Sequence[str],
    other_splits: Sequence[str] = (),
) -> RawData:
    """Fetch a data set, or take it from the cache.

    Args:
        dataset: its id, such as ``nyu-mll/glue``.
        config: its configuration, if it has several.
        spec: revision, cache, token and whether the network may be used.
        test_splits: names of the split that tests, the preferred one first.
        other_splits: further test sets, read where they are there.

    Raises:
        DataError: the hub cannot be reached, has no such data set, or it lacks a split.
    """
    splits = _fetch(dataset, config, spec)
    label = f"{dataset} ({config})" if config else dataset

    def split(name: str) -> RawSplit:
        return RawSplit(splits[name], f"{label}, split '{name}'")

    tests = [name for name in test_splits if name in splits]
    if "train" not in splits or not tests:
        lacking = "training" if "train" not in splits else "validation"
        raise DataError(
            f"The data set has no {lacking} split; it has {', '.join(splits)}.",
            where=label,
            fix="save its splits as files and give --train-file and --validation-file; "
            "a test set is never cut from the training examples",
        )
    return RawData(
        name="-".join([dataset.split("/")[-1], *([config] if config else [])]),
        source=label,
        train=split("train"),
        test=split(tests[0]),
        others={name: split(name) for name in other_splits if name in splits},
        hub=HubData(dataset, config, tests[0], spec.revision),
    )


def _fetch(dataset: str, config: str | None, spec: DataSpec) -> Any:
    from datasets import load_dataset
    from datasets.exceptions import DatasetNotFoundError, DatasetsError

    # Version 4 of `datasets` no longer runs code of a data set, and no longer has the option.
    own_code = {"trust_remote_code": True} if spec.trust_remote_code else {}
    if spec.offline and spec.revision:
        logger.warning("offline, the cached %s is taken; --revision cannot be checked", dataset)
    try:
        with _offline(spec.offline), quiet_retries():
            return load_dataset(
                dataset,
                config,
                revision=spec.revision,
                cache_dir=spec.cache_dir,
                token=spec.token,
                **own_code,
            )
    except DatasetNotFoundError as error:
        raise DataError(
            f"There is no data set '{dataset}' on the hub, nor a directory of that name here.",
            where=f"--dataset {dataset}",
            fix="correct the name; for a private one, give --token or log in with `hf auth login`",
        ) from error
    except ConnectionError as error:
        raise _unreachable(dataset, spec, error) from error
    except (OSError, ValueError, RuntimeError, DatasetsError) as error:
        raise DataError(
            f"The data set cannot be loaded: {str(error).strip() or type(error).__name__}",
            where=dataset if config is None else f"{dataset} ({config})",
            fix="correct --dataset-config or --revision, "
            "or give the data as files with --train-file and --validation-file",
        ) from error


def _unreachable(dataset: str, spec: DataSpec, error: Exception) -> DataError:
    import datasets

    offline = spec.offline or datasets.config.HF_HUB_OFFLINE
    absent = "" if spec.task else f"There is no directory '{dataset}' here. "
    return DataError(
        f"{absent}It is not in the cache of the hub's data sets, and the network is off (offline)."
        if offline
        else f"{absent}The hub cannot be reached: {str(error).strip()}",
        where=f"--task {spec.task}, data set {dataset}" if spec.task else f"--dataset {dataset}",
        fix="fetch it once where there is a network, "
        "or give a local copy with --dataset DIRECTORY (a train and a validation file); "
        "--task demo needs no network",
    )


@contextmanager
def _offline(wanted: bool) -> Iterator[None]:
    """Keep `datasets` off the network: it has a setting for that, but no argument."""
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = before or wanted
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before
