"""benchmark.json: the models, the schema in the package and the file agree; errors are named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from glp_export.bench import BenchmarkFile
from glp_export.bench.schema import SCHEMA_FILE, schema, schema_text
from glp_export.core.errors import DataError, UsageError
from tests.report.helpers import make_sweep

INTERVAL = {"value": 2.0, "low": 1.9, "high": 2.1}
NAMES = {
    "contender": "unpruned",
    "runtime": "pytorch",
    "provider": "CPUExecutionProvider",
    "precision": "fp32",
    "variant": "model.safetensors",
    "form": None,
    "plan_id": "unpruned",
    "model_shape": None,
    "rival_of": None,
    "layers": 12,
    "parameters": 109_000_000,
    "bytes": 438_000_000,
}
EXAMPLE: dict[str, Any] = {
    "schema_version": 2,
    "machine": {
        "cpu": "Some CPU",
        "logical_cores": 4,
        "usable_cores": 2,
        "features": ["avx2"],
        "memory_gb": 23.5,
        "os": "Linux",
        "python": "3.11.7",
        "gpu": None,
        "providers": ["CPUExecutionProvider"],
        "versions": {"torch": "2.13.0"},
        "load_average": 0.1,
        "notes": [],
    },
    "task": "rte",
    "metric": "accuracy",
    "baseline": NAMES,
    "metrics": [
        {
            "contender": "pruned",
            "precision": "fp32",
            "plan_id": "0123456789abcdef",
            "model_shape": None,
            "rival_of": None,
            "layers": 6,
            "value": 0.7,
            "low": 0.65,
            "high": 0.75,
            "samples": 277,
            "chance": None,
            "calibration_error": None,
        }
    ],
    "rows": [
        {
            **NAMES,
            "shape": "8x128",
            "batch_size": 8,
            "sequence_length": 128,
            "threads": 2,
            "hints": {},
            "p50_ms": 1100.0,
            "p90_ms": 1150.0,
            "p95_ms": 1180.0,
            "p99_ms": 1200.0,
            "mean_ms": 1110.0,
            "sequences_per_second": 7.2,
            "peak_memory_mb": None,
            "samples": 40,
            "speedup": {
                "vs_pytorch_unpruned": INTERVAL,
                "vs_onnxruntime_unpruned": None,
                "vs_onnxruntime_fp32_unpruned": None,
            },
        }
    ],
    "winners": [
        {
            "contender": "pruned",
            "plan_id": "0123456789abcdef",
            "model_shape": None,
            "rival_of": None,
            "layers": 6,
            "provider": "CPUExecutionProvider",
            "shape": "8x128",
            "runtime": "onnxruntime",
            "precision": "int8",
            "variant": "model_quantized.onnx",
            "p50_ms": 150.0,
            "runner_up": "model.onnx",
            "lead": INTERVAL,
            "over_onnxruntime": None,
        }
    ],
    "test_rows": "5f" * 32,
    "targets": [
        {
            "target": "2× at 8×128",
            "kept": True,
            "unit": "x",
            "value": 2.1,
            "low": 2.0,
            "high": 2.2,
            "file": "model.onnx",
            "plan_id": "6-layers",
        }
    ],
    "differences": [
        {
            "contender": "pruned",
            "precision": "int8",
            "plan_id": "0123456789abcdef",
            "model_shape": None,
            "rival_of": None,
            "layers": 6,
            "less": "unpruned",
            "value": -0.004,
            "low": -0.02,
            "high": 0.01,
            "changed": None,
            "classes": [],
        }
    ],
}


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def changed(path: str, value: Any) -> dict[str, Any]:
    """The example with one field replaced, or taken away if the value is ..."""
    made = json.loads(json.dumps(EXAMPLE))
    *parents, last = path.split(".")
    place: Any = made
    for key in parents:
        place = place[int(key)] if key.isdigit() else place[key]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return made


def test_the_schema_in_the_package_is_the_models() -> None:
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), (
        "run python -m glp_export.bench.schema"
    )
    jsonschema.Draft202012Validator.check_schema(schema())


def test_an_example_validates_and_comes_back_unchanged(tmp_path: Path) -> None:
    jsonschema.validate(EXAMPLE, json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    loaded = BenchmarkFile.load(write(tmp_path / "in.json", EXAMPLE))
    saved = loaded.save(tmp_path / "glp" / "benchmark.json")
    assert json.loads(saved.read_text()) == EXAMPLE
    assert BenchmarkFile.load(saved) == loaded


def test_a_file_of_schema_1_tells_models_by_their_layers(tmp_path: Path) -> None:
    content = json.loads(json.dumps({**EXAMPLE, "schema_version": 1}))
    content["rows"][0] |= {"contender": "pruned", "layers": 6}
    for rows in ([content["baseline"]], content["metrics"], content["rows"]):
        for row in rows:
            for name in ("plan_id", "model_shape", "rival_of"):
                row.pop(name, None)
    loaded = BenchmarkFile.load(write(tmp_path / "in.json", content))
    assert loaded.schema_version == 2
    assert {(row.plan_id, row.model_shape) for row in loaded.metrics} == {("6-layers", None)}
    assert loaded.of_plan("6-layers").metrics == loaded.metrics


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("rows.0.p50_ms", ..., r"rows\.0\.p50_ms"),
        ("rows.0.p50_ms", -1.0, r"rows\.0\.p50_ms"),
        ("rows.0.contender", "quantised", r"rows\.0\.contender"),
        ("rows.0.colour", "red", r"rows\.0\.colour"),
        ("rows", [], "rows"),
        ("baseline", ..., "baseline"),
        ("machine.cpu", ..., "machine"),
        ("metrics.0.samples", "many", r"metrics\.0\.samples"),
        ("schema_version", 3, "schema version 3"),
        ("schema_version", ..., "schema version None"),
    ],
)
def test_a_field_that_is_wrong_is_named(tmp_path: Path, path: str, value: Any, named: str) -> None:
    with pytest.raises(DataError, match=named) as caught:
        BenchmarkFile.load(write(tmp_path / "benchmark.json", changed(path, value)))
    assert caught.value.exit_code == 7
    assert str(tmp_path) in str(caught.value)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(changed(path, value), schema())


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"a": 1}'])
def test_a_file_that_is_no_benchmark_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(DataError):
        BenchmarkFile.load(write(tmp_path / "benchmark.json", content))


def models(rows: Any) -> set[tuple[str, int]]:
    return {(row.contender, row.layers) for row in rows}


def test_the_part_of_one_depth_is_that_model_and_what_it_is_compared_with() -> None:
    whole = make_sweep((4, 3, 2))
    part = whole.of_plan("3-layers")
    assert (
        models(part.rows)
        == models(part.metrics)
        == {
            ("unpruned", 6),
            ("pruned", 3),
            ("distilled", 3),
        }
    )
    assert part.machine == whole.machine
    assert [row for row in whole.rows if row in part.rows] == list(part.rows)
    assert part.of_plan("3-layers") == part


def test_a_rival_from_elsewhere_belongs_to_every_depth() -> None:
    whole = make_sweep((4, 3))
    own = [row for row in whole.rows if (row.contender, row.layers) != ("distilled", 4)]
    scores = [row for row in whole.metrics if (row.contender, row.layers) != ("distilled", 4)]
    rival = whole.model_copy(update={"rows": tuple(own), "metrics": tuple(scores)})
    for depth in (4, 3):
        part = rival.of_plan(f"{depth}-layers")
        expected = {("unpruned", 6), ("pruned", depth), ("distilled", 3)}
        assert models(part.rows) == models(part.metrics) == expected


def test_a_depth_that_was_not_measured_is_refused() -> None:
    with pytest.raises(UsageError, match="5-layers") as caught:
        make_sweep((4, 3)).of_plan("5-layers")
    assert "3-layers, 4-layers" in str(caught.value)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        BenchmarkFile.load(tmp_path / "nothing.json")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(DataError, match="cannot be read"):
        BenchmarkFile.load(tmp_path / "binary.json")
