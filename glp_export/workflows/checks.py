"""Names that are asked for, checked against the tables that hold them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from glp_export.artifact.exporters import EXPORTERS
from glp_export.bench.contenders import PYTORCH
from glp_export.compress.compressors import AUTO, keep_all_layers, names_of
from glp_export.compress.compressors.layers.strategies import STRATEGIES
from glp_export.compress.search.workers import WORKERS
from glp_export.config.run_config import COUNTS, RunConfig
from glp_export.core.errors import UsageError
from glp_export.encoder import RECOVERIES
from glp_export.precision.int8.recipe import RECIPES
from glp_export.serve.runtimes import ONNX_RUNTIME, RUNTIMES, require_runtime
from glp_export.tasks import KINDS, TaskData


def require_choices(config: RunConfig) -> None:
    """Check the names that tables hold, with the names that would do, and what they need.

    Raises:
        UsageError: there is no such name, or no model.
    """
    choices: tuple[tuple[str, str, Collection[str]], ...] = (
        ("--search", config.layers.search, STRATEGIES),
        ("--recover", config.training.recover, RECOVERIES),
        ("--workers", config.compress.workers, WORKERS),
        ("--exporter", config.export.exporter, ("auto", *EXPORTERS)),
        *(("--int8", name, RECIPES) for name in config.precision.int8),
        *(("--pytorch", name, PYTORCH) for name in config.benchmark.pytorch),
    )
    for flag, value, table in choices:
        if value not in table:
            raise UsageError(f"there is no {flag} {value}", fix=f"choose from {', '.join(table)}")
    compressors = names_of(config.compress.compress)
    _require_layers(config, compressors)
    _require_speed(config, compressors)
    size_decides = config.targets.size is not None and not config.compress.plan
    if size_decides and compressors == ("block-sparse",):
        raise UsageError(
            "a size is that of the ONNX file, which stays dense: sparse blocks make the PyTorch "
            "weights smaller, in a file of their own",
            where=f"--size-budget {config.compress.size_budget}",
            fix="ask for a share with --sparse-keep, or say --compress block-sparse,vocabulary",
        )
    if config.compress.max_drop is not None and compressors[0] not in (AUTO, "layers", "structure"):
        raise UsageError(
            f"--max-drop finds a structure or a number of layers, and --compress "
            f"{config.compress.compress} would not keep to it",
            where=f"--max-drop {config.compress.max_drop:g}",
            fix="leave one of them out: what ships is scored beside the unpruned model anyway",
        )
    WORKERS[config.compress.workers].require()
    if not config.model.model:
        raise UsageError(
            "no model was named",
            where="--model",
            fix="give a directory or hub id, or `--model demo --task demo` for a first look",
        )


def _require_layers(config: RunConfig, compressors: tuple[str, ...]) -> None:
    """Check that a number of layers is not asked of compressors that leave all layers there."""
    counts = [name for name in COUNTS if getattr(config.compress, name) not in (None, False)]
    if counts and keep_all_layers(compressors):
        asked = ",".join(compressors)
        raise UsageError(
            f"--{counts[0]} asks for fewer layers, and {asked} takes none out",
            where=f"--compress {asked}",
            fix=f"say --compress layers,{asked}",
        )


def _require_speed(config: RunConfig, compressors: tuple[str, ...]) -> None:
    """Check that a speed is not asked of what makes a model smaller and no faster by any table."""
    targets = config.targets
    if not (targets.speedups or targets.latency) or config.compress.plan:
        return
    if "block-sparse" in compressors:
        raise UsageError(
            "zero rows and columns inside blocks save storage alone: ONNX Runtime computes with "
            "dense matrices, so no speed comes of them",
            where=f"--compress {config.compress.compress}",
            fix="leave the target of speed out, or say --compress group-lasso, which takes out "
            "whole heads and neurons",
        )
    if keep_all_layers(compressors) or "kronecker" in compressors:
        raise UsageError(
            "Kronecker factors and a trimmed vocabulary make a model smaller; what time it takes "
            "is only known when it is measured",
            where=f"--compress {config.compress.compress}",
            fix="leave the target of speed out, or say --compress structure,vocabulary",
        )


def require_labels(recover: str, data: TaskData) -> None:
    """Check that a recovery by labels has some to learn.

    Raises:
        UsageError: there are none, or labels of this kind of task teach nothing.
    """
    has_loss = KINDS[data.task.kind].loss is not None and data.labelled
    if not has_loss and not RECOVERIES[recover].inherits:
        what = data.task.kind if data.labelled else "the data"
        raise UsageError(
            f"{what} has no labels to fine-tune on: a model learns it from its teacher",
            where=f"--recover {recover}",
            fix="leave it away, or say --recover distill",
        )


def wanted_runtimes(names: Sequence[str], device: str) -> tuple[tuple[str, ...], bool]:
    """The runtimes beside ONNX Runtime, and whether they were asked for by name.

    Args:
        names: `auto`, or keys of `RUNTIMES`.
        device: `cpu` or `cuda`.

    Raises:
        DeviceError: one that was named is not installed.
        UsageError: there is no such runtime, or it does not run on the device.
    """
    others = [name for name in RUNTIMES if name != ONNX_RUNTIME]
    if "auto" in names:
        if len(names) > 1:
            raise UsageError("auto stands alone", where="--runtime", fix="name runtimes, or auto")
        return tuple(n for n in others if device == "cpu" and RUNTIMES[n].installed()), False
    for name in names:
        require_runtime(name)
    named = tuple(name for name in others if name in names)
    if named and device != "cpu":
        raise UsageError(
            f"{RUNTIMES[named[0]].title} runs on the CPU here, and --device is {device}",
            where=f"--runtime {named[0]}",
            fix="use --device cpu, or leave --runtime away",
        )
    return named, True
