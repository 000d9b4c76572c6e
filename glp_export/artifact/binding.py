"""A session whose inputs and outputs stay in buffers on the device, and its CUDA graphs.

`run` allocates on the device and copies at every call. Bound to buffers of a fixed shape, only the
contents travel; with CUDA graphs the kernels of that shape are launched as one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glp_export.artifact.session import feeds_for
from glp_export.core.errors import DeviceError
from glp_export.tasks.predictions import joined

if TYPE_CHECKING:
    import numpy as np
    from onnxruntime import InferenceSession

    Batch = Mapping[str, np.ndarray[Any, Any]]

DEVICES = {
    "CPUExecutionProvider": "cpu",
    "CUDAExecutionProvider": "cuda",
    "TensorrtExecutionProvider": "cuda",
}
"""Where a provider reads its inputs; others read them from the host."""

GRAPH_OPTIONS = {"enable_cuda_graph": "1"}
"""Provider option of the CUDA provider that a session with graphs is opened with."""

_NO_GRAPH = "-1"


@dataclass(frozen=True)
class _Buffers:
    """One shape's buffers, bound once.

    Attributes:
        binding: of the session.
        inputs: by name.
        outputs: in the order of the graph.
        options: of a run: which graph it captures or replays.
    """

    binding: Any
    inputs: Mapping[str, Any]
    outputs: tuple[Any, ...]
    options: Any


def require_cuda(provider: str) -> None:
    """Do nothing on the provider that has CUDA graphs.

    Raises:
        DeviceError: it is another.
    """
    if provider != "CUDAExecutionProvider":
        raise DeviceError(
            f"CUDA graphs need the CUDAExecutionProvider, not {provider}.",
            fix="Use the provider cuda, or leave graphs out.",
        )


class BoundSession:
    """Runs batches through buffers that are bound once for every shape.

    Buffers, and graphs where asked for, are kept for every shape that was ever seen: meant for few
    shapes, as a service that pads to fixed lengths has them.
    """

    def __init__(self, session: InferenceSession, *, graphs: bool = False) -> None:
        """Bind a session.

        Args:
            session: of `open_session`; for graphs, one opened with `GRAPH_OPTIONS`.
            graphs: capture a CUDA graph for every shape, and replay it.

        Raises:
            DeviceError: graphs are asked for on another provider than CUDA.
        """
        provider = session.get_providers()[0]
        if graphs:
            require_cuda(provider)
        self._session = session
        self._graphs = graphs
        self._device = DEVICES.get(provider, "cpu")
        self._outputs = [node.name for node in session.get_outputs()]
        self._shapes: dict[tuple[int, ...], _Buffers] = {}

    def prepare(self, batch: Batch) -> None:
        """Allocate the buffers of a batch's shape, and capture its graph.

        Raises:
            ModelError: the graph needs an input that the batch does not have.
        """
        self.run(batch)

    def run(self, batch: Batch) -> np.ndarray[Any, Any]:
        """What the graph gives for one padded batch, float32, from host to host.

        One output as it is, `(batch, num_labels)` of a classifier; several on a last axis.

        Raises:
            ModelError: the graph needs an input that the batch does not have.
        """
        import numpy as np

        feeds = feeds_for(self._session, batch)
        shape = batch["input_ids"].shape
        if shape not in self._shapes:
            self._shapes[shape] = self._bind(feeds)
        buffers = self._shapes[shape]
        for name, values in feeds.items():
            buffers.inputs[name].update_inplace(values)
        self._session.run_with_iobinding(buffers.binding, buffers.options)
        return joined([np.array(output.numpy()) for output in buffers.outputs])

    def _bind(self, feeds: Batch) -> _Buffers:
        from onnxruntime import OrtValue, RunOptions

        # One ordinary run tells the shape and the type of the output, which a graph may not.
        plain, options = RunOptions(), RunOptions()
        if self._graphs:
            plain.add_run_config_entry("gpu_graph_id", _NO_GRAPH)
            options.add_run_config_entry("gpu_graph_id", str(len(self._shapes) + 1))
        arrays = self._session.run(self._outputs, dict(feeds), plain)
        inputs = {
            name: OrtValue.ortvalue_from_numpy(values.copy(), self._device, 0)
            for name, values in feeds.items()
        }
        outputs = tuple(
            OrtValue.ortvalue_from_numpy(array.copy(), self._device, 0) for array in arrays
        )
        binding = self._session.io_binding()
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in zip(self._outputs, outputs, strict=True):
            binding.bind_ortvalue_output(name, value)
        return _Buffers(binding, inputs, outputs, options)
