"""What a budget may say."""

from __future__ import annotations

from generate.markdown import code, table
from glp_export.gate.budget import OPTIMISATIONS, PLACES, PRECISIONS
from glp_export.gate.budget_line import KEYS


def budget_keys() -> str:
    """The keys with their operators, and the names of the tables."""
    shape = {"latency": " at 1x128", "size": "", "accuracy": ""}
    rows = (
        (code(f"{name} {key.operator} NUMBER{shape[key.kind]}"), key.meaning)
        for name, key in KEYS.items()
    )
    tables = ", ".join(code(f"[{device}.{one}]") for device in PLACES for one in PRECISIONS)
    levels = ", ".join(map(code, OPTIMISATIONS))
    return f"{table(('line', 'meaning'), rows)}\nTables: {tables}. `unpruned` is one of {levels}.\n"
