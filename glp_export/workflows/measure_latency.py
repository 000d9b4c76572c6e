"""The job of `glp-export latency-table`: a table made where the model will serve."""

from __future__ import annotations

from pathlib import Path

from glp_export.artifact.output_place import making
from glp_export.cache.store import Cache, default_root
from glp_export.compress.budget import TimeBudget
from glp_export.compress.latency_table import LatencyTable
from glp_export.config.targets import SpeedupTarget
from glp_export.core.errors import OutputError, UsageError
from glp_export.core.machine import provider_for, resolve_device, usable_cores
from glp_export.core.progress import Progress
from glp_export.encoder import ModelSource, find_layer_stack
from glp_export.encoder.families import auto_class_for
from glp_export.encoder.positions import longest_of_model
from glp_export.encoder.sublayers import require_sublayers, shape_of
from glp_export.tasks import KINDS, kind_of_config
from glp_export.workflows.latency_table import Deployment, measure

PRECISIONS = ("fp32", "int8")


def measure_latency(
    checkpoint: Path,
    output: Path,
    *,
    shape: str = "1x128",
    precision: str = "fp32",
    kind: str | None = None,
    threads: int | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> LatencyTable:
    """Measure the latency table of a model on this machine and write it.

    Random weights are measured, so only the configuration is read of the model.

    Args:
        checkpoint: a directory with config.json.
        output: where the table goes; an existing file is replaced when the new one is complete.
        shape: batch size x length in tokens, `1x128`.
        precision: of the file that will ship, `fp32` or `int8`.
        kind: of the task; None takes the one that the head tells, or else classification.
        threads: of ONNX Runtime; None for all that may be used.
        device: `cpu` or `cuda`.
        progress: shows where the measurement is.

    Raises:
        DeviceError: the device is not there.
        ModelError: it is no encoder, or where its heads are is not known.
        OutputError: the table cannot be written.
        UsageError: there is no such precision or kind, or the shape cannot be read, or is longer
            than the model reads.
    """
    import transformers

    for value, flag, table in ((precision, "--precision", PRECISIONS), (kind, "--kind", KINDS)):
        if value is not None and value not in table:
            raise UsageError(f"there is no {flag} {value}", fix=f"one of {', '.join(table)}")
    target = SpeedupTarget.parse(f"2@{shape}")
    device = resolve_device(device)
    config = ModelSource(str(checkpoint), offline=True).configuration()
    known = KINDS[kind] if kind else kind_of_config(config) or KINDS["text-classification"]
    auto_class = getattr(transformers, auto_class_for(known.auto_class, config))
    model = auto_class.from_config(config)
    _require_place(output)
    longest = longest_of_model(model)
    if target.shape.sequence_length > longest:
        raise UsageError(
            f"the model reads at most {longest} tokens, so {shape} cannot be measured",
            where=f"--shape {shape}",
            fix=f"name another: --shape {target.shape.batch_size}x{longest}",
        )
    find_layer_stack(model)
    require_sublayers(model)
    deployment = Deployment(
        config=config,
        base=shape_of(model),
        auto_class=known.auto_class,
        export_task=known.export_task,
        device=device,
        provider=provider_for(device),
        precision=precision,
        threads=threads or usable_cores(),
    )
    time = TimeBudget(target.shape.batch_size, target.shape.sequence_length)
    found = measure(
        deployment, deployment.conditions(time), Cache(default_root()), progress or Progress()
    )
    with making(output, "table"):
        output.parent.mkdir(parents=True, exist_ok=True)
        return LatencyTable.load(found.save(output))


def _require_place(output: Path) -> None:
    """Check before minutes of measuring that a file can stand there.

    Raises:
        OutputError: it is a directory, or below a file.
    """
    above = next(place for place in output.absolute().parents if place.exists())
    if output.is_dir() or not above.is_dir():
        raise OutputError(
            "the table cannot be written: "
            + ("a directory" if output.is_dir() else "a file")
            + " is in its way",
            where=str(output if output.is_dir() else above),
            fix="name a file: -o table.json",
        )
