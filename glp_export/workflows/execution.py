"""What exporting and measuring stand on: their options, the task and the machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from glp_export.config.run_config import RunConfig
from glp_export.config.sections import (
    BenchmarkOptions,
    ExportOptions,
    MachineOptions,
    PrecisionOptions,
)
from glp_export.config.targets import Targets
from glp_export.core.machine import provider_for, resolve_device, usable_cores
from glp_export.precision.selection import Wanted, wanted_precisions
from glp_export.tasks import KINDS, Task, TaskKind
from glp_export.workflows.checks import wanted_runtimes

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class ExecutionContext:
    """What exporting and measuring need to know: their options, the task and the machine.

    Attributes:
        device: `cpu` or `cuda`.
        threads: of PyTorch and of ONNX Runtime.
        precisions: that are made beside fp32.
        max_length: longest input in tokens.
        seed: of the order in which contenders are timed, and of random inputs.
        runtimes: that files are measured in beside ONNX Runtime.
        runtimes_named: whether they were asked for by name.
    """

    task: Task
    device: str
    threads: int
    precisions: Wanted
    export: ExportOptions
    precision: PrecisionOptions
    benchmark: BenchmarkOptions
    targets: Targets
    max_length: int
    seed: int
    runtimes: tuple[str, ...] = ()
    runtimes_named: bool = False

    @property
    def kind(self) -> TaskKind:
        """What the task's kind knows."""
        return KINDS[self.task.kind]

    @property
    def provider(self) -> str:
        """The execution provider of the device.

        Raises:
            DeviceError: ONNX Runtime here does not have it.
        """
        return provider_for(self.device)


def on_device(machine: MachineOptions, precision: PrecisionOptions) -> tuple[str, Wanted]:
    """The device of a run, and the precisions that it makes there.

    Raises:
        DeviceError: the device asked for is not there.
        UsageError: there is no such precision, or it makes no sense on the device.
    """
    device = resolve_device(machine.device)
    return device, wanted_precisions(precision.precision, device)


def execution_context(
    config: RunConfig, task: Task, device: str, precisions: Wanted
) -> ExecutionContext:
    """What exporting and measuring need, on a device that was found; PyTorch gets its threads.

    Libraries size their thread pools by the host, not by what the process may use, so they are
    told.
    """
    import torch

    threads = config.machine.threads or usable_cores()
    runtimes, named = wanted_runtimes(config.benchmark.runtime, device)
    torch.set_num_threads(threads)
    return ExecutionContext(
        task=task,
        device=device,
        threads=threads,
        precisions=precisions,
        export=config.export,
        precision=config.precision,
        benchmark=config.benchmark,
        targets=config.targets,
        max_length=config.data.max_length,
        seed=config.training.seed,
        runtimes=runtimes,
        runtimes_named=named,
    )


def with_length(config: RunConfig, tokenizer: PreTrainedTokenizerBase) -> RunConfig:
    """The configuration with the longest input in tokens that a matched tokenizer makes."""
    return config.updated(max_length=min(config.data.max_length, tokenizer.model_max_length))
