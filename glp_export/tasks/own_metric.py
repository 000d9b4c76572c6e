"""A metric of the user's own: `--metric module:function`, a function of predictions and labels."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import math
import sys
from collections.abc import Callable
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.errors import DataError, UsageError
from glp_export.tasks.metrics import Metric

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS_SCORED = ("text-classification", "regression", "multi-label-classification")
"""Kinds whose predictions and labels are arrays with a row for each text."""

_TABLES = ("multi-label-classification",)
"""Those of them whose rows have a column for each label, for a single one too."""

WEIGHTS = "sample_weight"
"""The argument of a function that counts rows several times by itself, as in scikit-learn."""

_FIX = "give a function (predictions, labels) -> float; larger is better"


def is_own(name: str | None) -> bool:
    """Whether a metric's name says where a function of the user's is: `module:function`."""
    return name is not None and ":" in name


def own_metric(name: str, kind: str) -> Metric:
    """The metric that a function of the user's computes.

    `function(predictions, labels)` gets arrays with a row for each text: ids `(texts,)` int64 of
    the labels, numbers `(texts,)` float64, or ones and zeros `(texts, labels)`. It returns a
    number; larger is better. With an argument `sample_weight` it is told how often each row counts
    in a resample; without one the rows are repeated.

    Args:
        name: `module:function`; the module is looked for in the working directory too.
        kind: of task.

    Raises:
        UsageError: there is no such function, or the kind's answers are no arrays.
    """
    if kind not in KINDS_SCORED:
        raise UsageError(
            f"a metric of your own scores {', '.join(KINDS_SCORED)}; the task is {kind}",
            where=f"--metric {name}",
            fix="leave --metric away, or name one of the kind's own",
        )
    function = load_function(name)
    weighs = WEIGHTS in inspect.signature(function).parameters

    def compute(predictions: Any, labels: Any) -> float:
        return _number(name, function, np.asarray(predictions), np.asarray(labels))

    def tallied(tally: NDArray[Any], counts: NDArray[np.float64]) -> NDArray[np.float64]:
        labels, predictions = (_rows(half, kind) for half in np.split(tally, 2))
        if weighs:
            values = [
                _number(name, function, predictions, labels, **{WEIGHTS: drawn}) for drawn in counts
            ]
        else:
            repeated = (np.repeat(np.arange(len(labels)), drawn.astype(int)) for drawn in counts)
            values = [_number(name, function, predictions[i], labels[i]) for i in repeated]
        return np.array(values)

    return Metric(name, kind, compute, tallied, tally=_columns)


@cache
def load_function(name: str) -> Callable[..., Any]:
    """Import the function that `module:function` names.

    Raises:
        UsageError: there is no such module or function, or importing it fails.
    """
    module, _, attribute = name.partition(":")
    where = f"--metric {name}"
    try:
        with _working_directory_first():
            found = getattr(importlib.import_module(module), attribute, None)
    except (Exception, SystemExit) as error:
        raise UsageError(
            f"the module {module!r} cannot be imported: {type(error).__name__}: {error}",
            where=where,
            fix="start in the module's directory, or install it",
        ) from error
    if not callable(found):
        raise UsageError(f"{module} has no function {attribute!r}", where=where, fix=_FIX)
    try:
        inspect.signature(found).bind(None, None)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{attribute} does not take predictions and labels", where=where, fix=_FIX
        ) from error
    return found


def code_of(name: str) -> str:
    """Checksum of the function's source: another function of that name scores otherwise."""
    try:
        source = inspect.getsource(load_function(name))
    except (OSError, TypeError):  # a built-in, or a callable object
        source = name
    return hashlib.sha256(source.encode()).hexdigest()


def check_perfect(metric: Metric, labels: NDArray[Any]) -> None:
    """Call a metric once, on labels as their own predictions, before anything is trained.

    Raises:
        DataError: it fails, or returns no finite number.
    """
    metric.compute(labels, labels)


@contextmanager
def _working_directory_first() -> Iterator[None]:
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _number(name: str, function: Callable[..., Any], *arrays: Any, **weights: Any) -> float:
    try:
        value = float(function(*arrays, **weights))
    except (Exception, SystemExit) as error:
        raise DataError(
            f"the metric failed on {len(arrays[0])} texts: {type(error).__name__}: {error}",
            where=f"--metric {name}",
            fix="correct the function; it gets arrays with a row for each text",
        ) from error
    if not math.isfinite(value):
        raise DataError(
            f"the metric is {value} on {len(arrays[0])} texts",
            where=f"--metric {name}",
            fix="return a finite number, for a resample without one of the labels too",
        )
    return value


def _columns(predictions: Any, labels: Any) -> NDArray[Any]:
    """Labels, then predictions, with a column for each text."""
    both = (np.asarray(one) for one in (labels, predictions))
    return np.vstack([one.reshape(len(one), -1).T for one in both])


def _rows(half: NDArray[Any], kind: str) -> NDArray[Any]:
    return half.T if kind in _TABLES else half[0]
