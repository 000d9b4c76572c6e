"""The checksum of a task's rows: caches and resumed runs tell by it whether data is the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datasets import Dataset


def rows_checksum(facts: Mapping[str, Any], splits: Mapping[str, Dataset]) -> str:
    """Sha256 over facts of a task and the rows of its splits, by name and in order."""
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, rows in splits.items():
        digest.update(name.encode())
        for batch in rows.iter(batch_size=1000):
            digest.update(json.dumps(batch, sort_keys=True).encode())
    return digest.hexdigest()


def checksum_of_test_set(rows: Dataset) -> str:
    """Sha256 over a test set: scores of two models compare where both have the same."""
    return rows_checksum({}, {"test": rows})
