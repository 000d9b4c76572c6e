"""An ONNX file in ONNX Runtime with buffers bound on the device, and with CUDA graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glp_export.bench.runtimes.onnx_runtime import provider_options

if TYPE_CHECKING:
    from glp_export.artifact.binding import BoundSession
    from glp_export.bench.contenders import Contender, Feeds, Runner


def open_bound(contender: Contender) -> Runner:
    """Open a session whose inputs and outputs are bound to buffers, one set a shape.

    Raises:
        DeviceError: the provider is missing, or the session fell back to another.
        ModelError: the file cannot be opened, or asks for an input that no tokenizer makes.
    """
    return _open(contender, graphs=False)


def open_graphs(contender: Contender) -> Runner:
    """The same, with a CUDA graph captured for every shape and replayed.

    Raises:
        DeviceError: the provider is not CUDA, is missing, or the session fell back to another.
        ModelError: the file cannot be opened so: every node must run on the GPU.
    """
    return _open(contender, graphs=True)


class _Bound:
    """Feeds of a workload through a bound session."""

    def __init__(self, session: BoundSession) -> None:
        self._session = session

    def prepare(self, batches: Sequence[Feeds]) -> None:
        """Allocate, and capture, for every shape of these batches."""
        for feeds in {feeds["input_ids"].shape: feeds for feeds in batches}.values():
            self._session.prepare(feeds)

    def __call__(self, feeds: Feeds) -> NDArray[np.float32]:
        """Run one batch, from host to host."""
        return self._session.run(feeds)


def _open(contender: Contender, *, graphs: bool) -> Runner:
    from glp_export.artifact.binding import GRAPH_OPTIONS, BoundSession, require_cuda
    from glp_export.artifact.session import open_session

    if graphs:
        require_cuda(contender.provider)
    session = open_session(
        contender.path,
        provider=contender.provider,
        threads=contender.threads,
        provider_options=provider_options(contender) | (GRAPH_OPTIONS if graphs else {}),
    )
    return _Bound(BoundSession(session, graphs=graphs))
