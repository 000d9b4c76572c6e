"""A finished artifact as it lies on the disk: whether it is one, its files, its recorded settings.

Everything here is read from files that may come from a stranger, so nothing of it is trusted to
name a path, a data set or code that is run.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from glp_export.artifact.layout import ArtifactLayout
from glp_export.artifact.onnx_file import PLAIN, OnnxFile, describe
from glp_export.artifact.parity_report import ParityReport
from glp_export.artifact.variants import VARIANTS
from glp_export.core.errors import ModelError, UsageError
from glp_export.core.yaml_file import read_yaml
from glp_export.tasks.own_metric import is_own

OF_DATA = (
    *("text_columns", "label_column", "kind", "metric", "max_length", "seed", "offline"),
    *("dev_fraction", "max_train_samples", "max_dev_samples", "max_test_samples"),
)
"""Recorded settings that say how data is read, and name none."""

_FORMER = {"select_fraction": "dev_fraction", "max_select_samples": "max_dev_samples"}
"""What older artifacts call a setting, and its name now."""

OF_FILES = (
    *(
        "exporter",
        "opset",
        "optimize",
        "require_fusion",
        "precision",
        "int8",
        "int8_scope",
        "int8_drop",
    ),
    *("atol", "rtol", "device", "threads", "pytorch", "batch_sizes", "seq_lens"),
    *("bench_seconds", "bench_rounds", "skip_memory", "target_speedup", "latency_budget"),
)
"""Recorded settings that say how files were made and measured."""

GENERATED = "demo"
"""The one task whose data is made here, so an artifact may ask for it by itself."""


def finished_artifact(artifact: Path) -> ArtifactLayout:
    """The layout of a finished artifact, or of a directory of several.

    Raises:
        ModelError: it is none.
    """
    layout = ArtifactLayout(artifact)
    if not layout.checksums.is_file():
        raise ModelError(
            "this is no artifact of glp-export: it has no glp/SHA256SUMS",
            where=str(artifact),
            fix="give a directory that prune-and-export wrote",
        )
    return layout


def one_artifact(artifact: Path) -> ArtifactLayout:
    """The layout of a finished artifact.

    Raises:
        ModelError: it is none.
        UsageError: the directory holds several.
    """
    layout = finished_artifact(artifact)
    if layout.frontier.is_file():
        raise UsageError(
            "this directory holds several artifacts",
            where=str(artifact),
            fix=f"name one of them: {', '.join(_directories_of_sweep(layout))}",
        )
    return layout


def shipped_files(layout: ArtifactLayout) -> list[OnnxFile]:
    """The artifact's ONNX files, the plain one first."""
    known = {}
    if layout.parity.is_file():
        report = ParityReport.from_json(layout.parity.read_text())
        known = {file.variant: file.optimisation for file in report.files}
    return [
        describe(
            path,
            precision=VARIANTS[name].precision,
            optimisation=known.get(path.name, PLAIN),
        )
        for name, path in layout.shipped().items()
    ]


def recorded_settings(layout: ArtifactLayout) -> dict[str, Any]:
    """The settings of the run that made an artifact, by name; {} where it has none.

    Raises:
        ModelError: `glp/run.yaml` cannot be read, or is no mapping.
    """
    path = layout.run_config
    if not path.is_file():
        return {}
    try:
        content = read_yaml(path) or {}
    except (OSError, ValueError) as error:
        raise _broken(path, str(error)) from error
    if not isinstance(content, dict):
        raise _broken(path, "it is no mapping of names to values")
    flat: dict[str, Any] = {}
    for name, value in content.items():  # one level of sections is allowed, and read as if flat
        flat.update(value if isinstance(value, dict) else {str(name): value})
    named = ((str(name).replace("-", "_"), value) for name, value in flat.items())
    return {_FORMER.get(name, name): value for name, value in named}


def data_settings(layout: ArtifactLayout) -> dict[str, Any]:
    """The recorded settings that say how data is read.

    None of them names a path, a data set or code: those are the caller's alone to give. A metric
    that is a function of the caller's is code.

    Raises:
        ModelError: as of `recorded_settings`.
    """
    recorded = recorded_settings(layout)
    own = is_own(str(recorded.get("metric")))
    names = [name for name in OF_DATA if name in recorded and not (own and name == "metric")]
    return {name: recorded[name] for name in names}


def trusted_settings(layout: ArtifactLayout) -> dict[str, Any]:
    """The recorded settings that another command may take over without being asked.

    Beside `data_settings` they are those of files and measurements, and the generated task.

    Raises:
        ModelError: as of `recorded_settings`.
    """
    recorded = recorded_settings(layout)
    taken = data_settings(layout) | {name: recorded[name] for name in OF_FILES if name in recorded}
    return taken | ({"task": GENERATED} if recorded.get("task") == GENERATED else {})


def _broken(path: Path, reason: str) -> ModelError:
    return ModelError(
        f"the recorded settings cannot be read: {reason}",
        where=str(path),
        fix="copy the artifact again, or make it again",
    )


def _directories_of_sweep(layout: ArtifactLayout) -> list[str]:
    """Where the artifacts of a sweep lie: as the frontier lists them, each once."""
    try:
        points = json.loads(layout.frontier.read_text(encoding="utf-8"))["points"]
        names = [str(point["directory"]) for point in points if point.get("directory")]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        names = [path.parent.parent.name for path in layout.root.glob("*/glp/SHA256SUMS")]
    return [str(layout.root / name) for name in dict.fromkeys(names)]
