"""The files of an artifact, from the records that write them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from generate.markdown import attributes_of, code, summary_of, table
from glp_export.artifact.parity_report import FileParity, ParityReport, Probe
from glp_export.artifact.serving import ServingSettings
from glp_export.artifact.transfer_record import AuxiliaryRecord, TransferRecord
from glp_export.bench.benchmark_file import BenchmarkFile
from glp_export.bench.frontier import Frontier
from glp_export.compress.latency_table import Conditions, LatencyTable, SublayerTimes, WholeModel
from glp_export.compress.plan import Plan
from glp_export.core.machine import Machine
from glp_export.precision.record import PrecisionsFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True)
class FileFormat:
    """A JSON file.

    Attributes:
        name: below the artifact's root.
        record: the class that writes it.
        words: what the tables do not say.
        change: makes the schema of the file out of the record's.
    """

    name: str
    record: Any
    words: str = ""
    change: Callable[[dict[str, Any]], dict[str, Any]] = lambda schema: schema

    def schema(self) -> dict[str, Any]:
        """The JSON Schema (draft 2020-12) of the whole file."""
        made = TypeAdapter(self.record).json_schema(mode="serialization")
        return {"$schema": DIALECT, **self.change(_described(made))}


def _with_digest(schema: dict[str, Any]) -> dict[str, Any]:
    """What a plan's file holds besides: it follows from the edits."""
    added = {
        "order": {
            "type": "array",
            "items": {"type": "integer"},
            "description": "whole layers that go, in the order of removal",
        },
        "id": {"type": "string", "description": "of the base model and the edits alone"},
        "digest": {
            "type": "string",
            "description": "of what was decided; an edited plan is refused",
        },
    }
    return {**schema, "properties": {**schema["properties"], **added}}


def _with_verdicts(schema: dict[str, Any]) -> dict[str, Any]:
    verdict = {"type": "boolean", "description": "whether nothing is wrong"}
    file = schema["$defs"]["FileParity"]
    file["properties"] = {**file["properties"], "passed": verdict}
    return {**schema, "properties": {"passed": verdict, **schema["properties"]}}


def _beside_optimum(schema: dict[str, Any]) -> dict[str, Any]:
    """The settings stand under a key of a file that is optimum's."""
    own = {name: value for name, value in schema.items() if name != "$defs"}
    opset = own["properties"].pop("opset")
    own["required"] = [name for name in own.get("required", ()) if name != "opset"]
    return {
        "type": "object",
        "properties": {"opset": opset, "serving": own},
        "required": ["serving"],
        "$defs": schema["$defs"],
    }


FILES = (
    FileFormat(
        "glp/plan.json", Plan, "`--plan` takes it; a prefix of `order` is a plan too.", _with_digest
    ),
    FileFormat("glp/parity.json", ParityReport, change=_with_verdicts),
    FileFormat(
        "glp/benchmark.json",
        BenchmarkFile,
        "The package has its schema as `glp_export/bench/benchmark.schema.json`. The raw samples "
        "stand beside it, in `glp/benchmark_samples.json`.",
    ),
    FileFormat("glp/frontier.json", Frontier, "Of a sweep, above its artifacts."),
    FileFormat(
        "glp/latency_table.json",
        LatencyTable,
        "`--latency-table` takes it; there where heads and neurons were chosen.",
    ),
    FileFormat("glp/precisions.json", PrecisionsFile),
    FileFormat("glp/transfer.json", TransferRecord, "There where auxiliary tasks were named."),
    FileFormat("glp/environment.json", Machine),
    FileFormat(
        "ort_config.json",
        ServingSettings,
        "These settings stand under the key `serving`; the other keys are those of optimum's "
        "`ORTConfig`, which reads the file too.",
        _beside_optimum,
    ),
)

_CLASSES: dict[str, Any] = {
    one.__name__: one
    for one in (
        *(Plan, ParityReport, FileParity, Probe, Machine, ServingSettings),
        *(LatencyTable, Conditions, SublayerTimes, WholeModel),
        *(TransferRecord, AuxiliaryRecord),
    )
}
"""Records whose fields are described in their docstrings."""


def schema_sections() -> str:
    """A section a file: a table for the record and for each that it holds."""
    shown: set[str] = set()
    return "\n".join(_section(file, shown) for file in FILES)


def _section(file: FileFormat, shown: set[str]) -> str:
    """The section of a file; what an earlier one has shown is not shown again."""
    schema = _described(TypeAdapter(file.record).json_schema(mode="serialization"))
    link = f"JSON Schema: `schemas/{Path(file.name).stem}.schema.json` beside these pages."
    parts = [f"## {file.name}", summary_of(file.record), file.words, link, _fields(schema)]
    for name, part in schema.get("$defs", {}).items():
        if name not in shown:
            parts.append(f"**{name}**: {part.get('description', '')}\n\n{_fields(part)}")
    shown.update(schema.get("$defs", {}))
    return "\n\n".join(part for part in parts if part) + "\n"


def _described(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema, with what docstrings say of fields where the fields themselves say nothing."""
    for name, part in ((schema.get("title", ""), schema), *schema.get("$defs", {}).items()):
        known = _CLASSES.get(name)
        for field, meaning in (attributes_of(known) if known else {}).items():
            if field in part.get("properties", {}):
                part["properties"][field].setdefault("description", meaning)
        if known:
            part["description"] = summary_of(known)
    return schema


def _fields(schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    rows = (
        (
            code(name),
            " or ".join(_types(field)) + ("" if name in required else ", may be left out"),
            field.get("description", ""),
        )
        for name, field in schema.get("properties", {}).items()
    )
    return table(("field", "type", "meaning"), rows)


def _types(field: dict[str, Any]) -> Iterator[str]:
    """A field's type in words."""
    if "$ref" in field:
        yield field["$ref"].rsplit("/", 1)[-1]
    elif "anyOf" in field:
        for one in field["anyOf"]:
            yield from _types(one)
    elif "const" in field or "enum" in field:
        yield ", ".join(code(value) for value in field.get("enum", [field.get("const")]))
    elif field.get("type") == "array":
        items = field.get("items") or {"type": "values"}
        yield f"list of {' or '.join(_types(items))}"
    elif isinstance(field.get("additionalProperties"), dict):
        yield f"map to {' or '.join(_types(field['additionalProperties']))}"
    else:
        yield field.get("type", "anything")
