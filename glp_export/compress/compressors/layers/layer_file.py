"""The layer files that the paper's authors publish: one layer a line, in the order of removal.

They are in the folder `layer_files` of the repository deepopinion/greedy-layer-pruning.
"""

from __future__ import annotations

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
