"""What a run may use of the machine, and what it times."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from glp_export.core.batch_size import require_batch
from glp_export.core.machine import MOST_THREADS
from glp_export.core.options import Names, Numbers, Options, option


class MachineOptions(Options):
    """What the run may use of this machine."""

    panel: ClassVar[str] = "Machine"

    device: str = option("auto", "cpu, cuda or auto.")
    threads: int | None = option(
        None, "Threads. Default: the cores that may be used.", gt=0, le=MOST_THREADS
    )


class BenchmarkOptions(Options):
    """What is timed, and for how long."""

    panel: ClassVar[str] = "Benchmark"

    pytorch: Names = option(
        ("eager",), "How PyTorch runs the unpruned model: eager, compiled, bf16, fp16."
    )
    runtime: Names = option(
        ("auto",),
        "What runs the ONNX files beside ONNX Runtime: auto (OpenVINO, where it is installed), "
        "openvino, or onnxruntime alone.",
    )
    batch_sizes: Numbers = option((1, 8), "Batch sizes to time.")
    seq_lens: Numbers = option((32, 128), "Sequence lengths to time.")
    bench_seconds: float = option(
        5.0, "Time each shape for at least this many seconds, all models together.", gt=0
    )
    bench_rounds: int = option(10, "Time each shape in at least this many rounds.", gt=2)
    skip_memory: bool = option(
        False, "Do not measure peak memory, which takes a process for each model."
    )

    @model_validator(mode="after")
    def _has_batches_that_fit(self) -> Self:
        require_batch(max(self.batch_sizes), max(self.seq_lens), "--batch-sizes")
        return self
