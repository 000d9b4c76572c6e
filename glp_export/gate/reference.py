"""What a gate compares an artifact with: its unpruned model, rebuilt, or another artifact."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from glp_export.artifact import (
    EXPORTERS,
    ArtifactLayout,
    OnnxFile,
    export_onnx,
    one_artifact,
    optimise,
    recorded_settings,
    shipped_files,
)
from glp_export.bench import Contender, onnx_contender
from glp_export.cache.store import Cache
from glp_export.compress.plan import Plan
from glp_export.core.checksums import file_sha256
from glp_export.core.errors import UsageError
from glp_export.core.numbers import few
from glp_export.core.versions import package_versions
from glp_export.encoder import random_init_reference, task_of_model
from glp_export.gate.budget import BudgetTable
from glp_export.precision.fp16 import to_fp16
from glp_export.precision.int8 import MINIMUM_ROWS, Int8Recipe, quantise, smooth
from glp_export.precision.record import PrecisionsFile
from glp_export.tasks import KINDS, same_task

logger = logging.getLogger(__name__)

_KIND = "reference"
_FACTS = "reference.json"
_DECIDING = ("glp-export", "torch", "transformers", "optimum-onnx", "onnx", "onnxruntime")

Convert = Callable[[OnnxFile, Path, Path], OnnxFile]


def _as_exported(file: OnnxFile, output: Path, checkpoint: Path) -> OnnxFile:
    """Nothing is done to fp32: the exported file is the one."""
    return file


def _to_fp16(file: OnnxFile, output: Path, checkpoint: Path) -> OnnxFile:
    return to_fp16(file, output, "fp16", checkpoint)


def _to_smooth_int8(file: OnnxFile, output: Path, checkpoint: Path) -> OnnxFile:
    """Smoothed on random tokens: the numbers do not matter, the nodes do."""
    smoothed = smooth(file, output.with_name("smooth.onnx"), [_random_tokens(checkpoint)])
    return quantise(smoothed, output, checkpoint)


def _to_full_int8(file: OnnxFile, output: Path, checkpoint: Path) -> OnnxFile:
    recipe = Int8Recipe(scope="full", mode="static")
    return quantise(file, output, checkpoint, recipe, batches=[_random_tokens(checkpoint)])


def _to_smooth_full_int8(file: OnnxFile, output: Path, checkpoint: Path) -> OnnxFile:
    batches = [_random_tokens(checkpoint)]
    return _to_full_int8(smooth(file, output.with_name("smooth.onnx"), batches), output, checkpoint)


def _random_tokens(checkpoint: Path) -> dict[str, NDArray[np.int64]]:
    """A batch (16, 16) for a model of any vocabulary."""
    vocabulary = int(json.loads((checkpoint / "config.json").read_text())["vocab_size"])
    ids = np.random.default_rng(0).integers(0, vocabulary, (MINIMUM_ROWS, 16))
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }


CONVERSIONS: dict[str, Convert] = {
    "fp32": _as_exported,
    "fp16": _to_fp16,
    "int8": quantise,
    "smooth int8": _to_smooth_int8,
    "full int8": _to_full_int8,
    "smooth full int8": _to_smooth_full_int8,
}
"""How an fp32 file comes to a precision: from it, to where the other goes, of a checkpoint."""


def _conversion(layout: ArtifactLayout, precision: str) -> str:
    """The key of `CONVERSIONS` by which the artifact's own file of a precision was made."""
    if not layout.precisions.is_file():
        return precision
    entries = PrecisionsFile.load(layout.precisions).entries
    own = [entry for entry in entries if entry.precision == precision]
    full = "full " if any(entry.scope == "full" for entry in own) else ""
    smoothed = "smooth " if any(entry.smoothed for entry in own) else ""
    return f"{smoothed}{full}{precision}"


def unpruned_reference(
    layout: ArtifactLayout, own: Contender, table: BudgetTable, cache: Cache
) -> Contender:
    """The unpruned model of an artifact's shape, with random weights, as a contender.

    Nothing is fetched, since a product takes as long with other numbers: the shape comes from
    config.json, the depth from plan.json.

    Args:
        layout: of the artifact.
        own: the contender that it is compared with.
        table: says at which precision and level.
        cache: where it is kept for the next gate.

    Raises:
        DataError: the artifact has no plan.
        ModelError: the model cannot be exported.
        UsageError: no reference can be made at this precision.
    """
    if table.precision not in CONVERSIONS:
        raise UsageError(
            f"no unpruned model can be rebuilt at {table.precision} here",
            where=f"[{table.name}]",
            fix="give the unpruned artifact with --against",
        )
    if table.precision == "int8" and table.unpruned != "none":
        raise UsageError(
            f"an int8 file is made of the plain graph, not of one at {table.unpruned}",
            where=f"[{table.name}]",
            fix="take the line `unpruned` out of that table",
        )
    plan = Plan.load(layout.plan)
    layers, vocabulary = plan.num_layers, plan.base_vocabulary
    conversion = _conversion(layout, table.precision)
    versions = package_versions()
    facts = {
        "config": file_sha256(layout.config),
        "layers": layers,
        "vocabulary": vocabulary,
        "auto_class": own.auto_class,
        "precision": conversion,
        "optimisation": table.unpruned,
        "exporter": _exporter(layout),
        "versions": {name: versions[name] for name in _DECIDING if name in versions},
    }
    directory = cache.get_or_make(
        _KIND, facts, lambda directory: _make(directory, layout, plan, own, table, conversion)
    )
    made = json.loads((directory / _FACTS).read_text())
    path = directory / made["file"]
    return replace(
        own,
        contender="unpruned",
        # What the artifact's own speedups are over, in whichever runtime it is itself.
        runtime="onnxruntime",
        layers=layers,
        parameters=made["parameters"],
        path=path,
        variant=path.name,
        bytes=made["bytes"],
    )


def _exporter(layout: ArtifactLayout) -> str:
    """The exporter that the artifact was made with, since another may write a slower graph."""
    name = str(recorded_settings(layout).get("exporter", "auto"))
    if name in EXPORTERS and not EXPORTERS[name].available():
        logger.warning(
            "the artifact was exported by %s, which is not installed; its unpruned model is "
            "exported by another, so their ratio may differ a little: %s",
            name,
            EXPORTERS[name].install_hint,
        )
        return "auto"
    return name


def other_artifact(against: Path, layout: ArtifactLayout, own: Contender) -> Contender:
    """The file of another artifact at the same precision, as a contender.

    Raises:
        ModelError: it is no artifact.
        UsageError: it is of another task, or has no file at this precision.
    """
    theirs = one_artifact(against)
    mine, other = task_of_model(layout.root), task_of_model(against)
    if not same_task(mine, other):
        raise UsageError(
            f"the reference is of another task: {_words(other.kind, other.labels)}",
            where=f"--against {against}",
            fix=f"give an artifact for {_words(mine.kind, mine.labels)}",
        )
    files = shipped_files(theirs)
    same = [file for file in files if file.precision == own.precision]
    if not same:
        raise UsageError(
            f"the reference has no file at {own.precision}, only "
            f"{', '.join(sorted({file.precision for file in files})) or 'none'}",
            where=f"--against {against}",
            fix="compare like with like: give an artifact with that precision",
        )
    # `unpruned` is the role of whatever ratios are over.
    return onnx_contender(
        "unpruned",
        same[-1],
        against,
        own.provider,
        own.threads,
        auto_class=own.auto_class,
        runtime=own.runtime,
    )


def _make(
    directory: Path,
    layout: ArtifactLayout,
    plan: Plan,
    own: Contender,
    table: BudgetTable,
    conversion: str,
) -> None:
    """Build, export, optimise and convert; the weights of the checkpoint itself are not kept."""
    export_task = next(k.export_task for k in KINDS.values() if k.auto_class == own.auto_class)
    with TemporaryDirectory(prefix="reference-", dir=directory) as scratch:
        reference = random_init_reference(
            layout.root,
            plan.num_layers,
            own.auto_class,
            Path(scratch) / "reference",
            vocabulary=plan.base_vocabulary,
        )
        file = export_onnx(
            reference,
            directory / "model.onnx",
            export_task=export_task,
            exporter=_exporter(layout),
            threads=1,
        )
        if table.unpruned != "none":
            file = optimise(file, table.unpruned, directory / "model_optimized.onnx", reference)
        file = CONVERSIONS[conversion](file, directory / f"model_{table.precision}.onnx", reference)
        parameters = onnx_contender(
            "unpruned", file, reference, own.provider, own.threads
        ).parameters
    made = {"file": file.path.name, "bytes": file.bytes, "parameters": parameters}
    (directory / _FACTS).write_text(json.dumps(made))
    for left in set(directory.glob("*.onnx*")):
        if not left.name.startswith(file.path.name):
            left.unlink()


def _words(kind: str, labels: tuple[str, ...]) -> str:
    return f"{kind} with the labels {few(labels)}" if labels else kind
