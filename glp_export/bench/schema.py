"""The JSON Schema of benchmark.json: `python -m glp_export.bench.schema` writes it anew."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from glp_export.bench.benchmark_file import BenchmarkFile

SCHEMA_FILE = Path(__file__).with_name("benchmark.schema.json")


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the file."""
    made = BenchmarkFile.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def schema_text() -> str:
    """The schema as it stands in `benchmark.schema.json`."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
