"""The files that the paper's authors publish: layer orders and the scores behind them.

A layer file has one layer a line, in the order of removal. A log has one line a step,
`step;{layer: score, …}` (repository deepopinion/greedy-layer-pruning, folder `layer_files`).
"""

from __future__ import annotations

import ast
from pathlib import Path

from glp_export.core.errors import DataError, quoted, reason_of

_DIGITS = 4


def read_layer_file(path: Path) -> tuple[int, ...]:
    """Read an order of removal.

    Raises:
        DataError: no such file, nothing in it, or a line that is no layer number.
    """
    order: list[int] = []
    for number, line in _numbered_lines(path):
        if not line.isdecimal() or len(line) > _DIGITS:
            raise DataError(
                f"not a layer number: {quoted(line)!r}",
                where=f"{path}, line {number}",
                fix="a layer file has one layer number a line, in the order of removal",
            )
        order.append(int(line))
    if not order:
        raise DataError("the layer file is empty", where=str(path), fix="give one with layers")
    return tuple(order)


def read_log(path: Path) -> list[dict[int, float]]:
    """Read the scores of every step's candidates: layer to score.

    Raises:
        DataError: no such file, or a line that is no `step;{layer: score}`.
    """
    steps = []
    for number, line in _numbered_lines(path):
        try:
            scores = ast.literal_eval(line.partition(";")[2])
            steps.append({int(layer): float(score) for layer, score in scores.items()})
        except (SyntaxError, ValueError, AttributeError) as error:
            raise DataError(
                f"not a step with its scores: {line[:60]!r}",
                where=f"{path}, line {number}",
                fix="a log line reads `0;{0: 0.695, 1: 0.663}`",
            ) from error
    return steps


def _numbered_lines(path: Path) -> list[tuple[int, str]]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"the file cannot be read: {reason_of(error)}",
            where=str(path),
            fix="give an artifact, a plan.json, or a layer file with one layer number a line",
        ) from error
    return [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
