"""An ONNX file in OpenVINO on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glp_export.serve.runtimes import OPENVINO, open_in

if TYPE_CHECKING:
    from glp_export.bench.contenders import Contender, Feeds, Runner


def open_openvino(contender: Contender) -> Runner:
    """Compile a contender's file, in its precision and with its threads.

    Raises:
        DeviceError: OpenVINO is not installed, or lacks the precision on this CPU.
        ModelError: the file cannot be compiled, or asks for an input that no tokenizer makes.
        UsageError: the contender is not for the CPU.
    """
    return _Compiled(contender)


class _Compiled:
    """Feeds of a workload through a compiled file."""

    def __init__(self, contender: Contender) -> None:
        from glp_export.bench.runtimes.onnx_runtime import runner_of

        self._run = runner_of(
            open_in(
                OPENVINO,
                contender.path,
                precision=contender.precision,
                provider=contender.provider,
                threads=contender.threads,
            ),
            contender,
        )

    def prepare(self, batches: Sequence[Feeds]) -> None:
        """Run one batch of every shape: kernels are made for a shape when it first comes."""
        for feeds in {feeds["input_ids"].shape: feeds for feeds in batches}.values():
            self._run(feeds)

    def __call__(self, feeds: Feeds) -> NDArray[np.float32]:
        """Run one batch."""
        return self._run(feeds)
