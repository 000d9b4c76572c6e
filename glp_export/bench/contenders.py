"""What is measured: one model in one runtime, at one precision, with one number of threads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from glp_export.core import machine
from glp_export.core.errors import ModelError
from glp_export.core.shape import ModelShape
from glp_export.serve.runtimes import RUNTIMES
from glp_export.tasks import outputs_of

if TYPE_CHECKING:
    from glp_export.artifact.onnx_file import OnnxFile

ContenderName = Literal["unpruned", "pruned", "distilled"]
RuntimeName = Literal[
    "pytorch",
    "pytorch-compiled",
    "onnxruntime",
    "onnxruntime-bound",
    "onnxruntime-graphs",
    "openvino",
]

# input_ids, attention_mask and, where the family has them, token_type_ids: (batch, length) int64.
Feeds = Mapping[str, NDArray[np.int64]]
# From feeds to what the model answers, float32: the logits (batch, labels) of a classifier, of
# several outputs one array with them on its last axis. Returns when it lies in host memory.
Runner = Callable[[Feeds], NDArray[np.float32]]


EAGER = "eager"
PYTORCH: dict[str, dict[str, Any]] = {
    EAGER: {},
    "compiled": {"compiled": True},
    "bf16": {"precision": "bf16"},
    "fp16": {"precision": "fp16"},
}
"""Ways to run a checkpoint in PyTorch: how `pytorch_contender` is asked for each."""


@runtime_checkable
class PreparedRunner(Protocol):
    """A runner that does something once for the shapes of a workload: compile, capture, allocate.

    A user pays for that once, when the service starts, so it is not timed.
    """

    def prepare(self, batches: Sequence[Feeds]) -> None:
        """Make ready for batches of these shapes."""

    def __call__(self, feeds: Feeds) -> NDArray[np.float32]:
        """Run one batch."""


@dataclass(frozen=True)
class Contender:
    """One model in one runtime: plain data, so it travels to a subprocess.

    Attributes:
        contender: `unpruned`, `pruned` or `distilled`.
        runtime: a key of RUNTIMES.
        provider: `CPUExecutionProvider` or `CUDAExecutionProvider`, for PyTorch too; any other of
            ONNX Runtime's.
        precision: of the file, of the weights in PyTorch, or what TensorRT is to compute in.
        variant: name of the file that is measured.
        layers: transformer layers.
        parameters: of the compact model, head included.
        bytes: size of the file on disk, with its sidecar.
        threads: intra-op threads.
        path: checkpoint directory (PyTorch) or ONNX file.
        auto_class: the transformers class that loads the checkpoint.
        vocab_size: token ids end before it.
        max_length: longest input that the position table allows.
        pad_token_id: the id that is no content, None if the model names none.
        plan_id: of the edits that made the model; `N-layers` where nobody named it.
        model_shape: its heads, neurons and vocabulary.
        rival_of: of a distilled model, the plan that it is compared with; None for all.
        form: of an ONNX file's graph: `none`, or the level of `artifact.optimise` that made it.
    """

    contender: ContenderName
    runtime: RuntimeName
    provider: str
    precision: str
    variant: str
    layers: int
    parameters: int
    bytes: int
    threads: int
    path: Path
    auto_class: str
    vocab_size: int
    max_length: int
    pad_token_id: int | None
    plan_id: str = ""
    model_shape: ModelShape | None = None
    rival_of: str | None = None
    form: str | None = None

    def __post_init__(self) -> None:
        if not self.plan_id:
            object.__setattr__(self, "plan_id", f"{self.layers}-layers")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the model's outputs that its answers are made of."""
        return outputs_of(self.auto_class)

    @property
    def hints(self) -> dict[str, str]:
        """What the runtime is told beside the threads, by its own names; {} where nothing is."""
        row = RUNTIMES.get(self.runtime)
        return dict(row.hints(self.precision, self.threads)) if row else {}

    @property
    def label(self) -> str:
        """What tells it from the others, for progress lines and errors."""
        model = f"{self.layers} layers" if self.model_shape is None else self.model_shape.label()
        return f"{self.contender} ({model}, {self.runtime}, {self.variant})"

    def to_json(self) -> str:
        """The contender as one line, for another process."""
        shape = self.model_shape and self.model_shape.model_dump()
        plain = {"path": str(self.path.resolve()), "model_shape": shape}
        return json.dumps(asdict(self) | plain)

    @classmethod
    def from_json(cls, line: str) -> Contender:
        """The contender that `to_json` wrote."""
        fields = json.loads(line)
        shape = fields["model_shape"] and ModelShape.model_validate(fields["model_shape"])
        return cls(**fields | {"path": Path(fields["path"]), "model_shape": shape})


def pytorch_contender(
    contender: ContenderName,
    checkpoint: Path,
    device: str,
    threads: int,
    *,
    auto_class: str = "AutoModelForSequenceClassification",
    precision: str = "fp32",
    compiled: bool = False,
) -> Contender:
    """A checkpoint as PyTorch runs it: `inference_mode`, SDPA where the family has it.

    Args:
        contender: its role.
        checkpoint: a directory that save_pretrained wrote.
        device: `cpu` or `cuda`.
        threads: of PyTorch, for the whole process.
        auto_class: the transformers class that loads it.
        precision: that the weights are cast to: `fp32`, `fp16` or `bf16`.
        compiled: by torch.compile; eager otherwise.

    Raises:
        ModelError: the directory holds no readable checkpoint.
    """
    facts = _facts(checkpoint)
    return Contender(
        contender=contender,
        runtime="pytorch-compiled" if compiled else "pytorch",
        provider=_provider(device),
        precision=precision,
        variant="model.safetensors",
        bytes=_bytes(checkpoint, facts["parameters"]),
        threads=threads,
        path=checkpoint,
        auto_class=auto_class,
        **facts,
    )


def onnx_contender(
    contender: ContenderName,
    file: OnnxFile,
    checkpoint: Path,
    provider: str,
    threads: int,
    *,
    auto_class: str = "AutoModelForSequenceClassification",
    runtime: RuntimeName = "onnxruntime",
) -> Contender:
    """An ONNX file as a runtime runs it; `checkpoint` is what it was exported from.

    `runtime` tells how it is called: `onnxruntime` by `run`, `onnxruntime-bound` with inputs and
    outputs bound to buffers on the device, `onnxruntime-graphs` as CUDA graphs besides;
    `openvino` compiles it for the CPU.

    Raises:
        ModelError: the directory holds no readable checkpoint.
    """
    return Contender(
        contender=contender,
        runtime=runtime,
        provider=provider,
        precision=file.precision,
        variant=file.path.name,
        bytes=file.bytes,
        threads=threads,
        path=file.path,
        auto_class=auto_class,
        form=file.optimisation,
        **_facts(checkpoint),
    )


def longest_input(checkpoint: Path) -> int:
    """How many tokens the model of a checkpoint reads.

    Raises:
        ModelError: the directory holds no readable checkpoint.
    """
    return int(_facts(checkpoint)["max_length"])


def _provider(device: str) -> str:
    return machine.CUDA if device.startswith("cuda") else machine.CPU


def _weights(checkpoint: Path) -> list[Path]:
    return sorted(checkpoint.glob("*.safetensors"))


def _bytes(checkpoint: Path, parameters: int) -> int:
    """Of the weights; zeros that a dense checkpoint holds for what is gone do not count."""
    files = _weights(checkpoint)
    stored = sum(_parameters(file) for file in files)
    size = sum(file.stat().st_size for file in files)
    return size if parameters >= stored else round(size * parameters / stored)


def _facts(checkpoint: Path) -> dict[str, Any]:
    """What the checkpoint's configuration and weights say of the model."""
    from huggingface_hub.errors import StrictDataclassError
    from safetensors import SafetensorError
    from transformers import AutoConfig

    from glp_export.encoder import positions
    from glp_export.encoder.structure import read_structure

    structure = read_structure(checkpoint)
    # transformers 5 looks at the types of what it reads.
    unread = (AttributeError, OSError, TypeError, ValueError, SafetensorError, StrictDataclassError)
    try:
        config = AutoConfig.from_pretrained(checkpoint, local_files_only=True)
        parameters = sum(_parameters(file) for file in _weights(checkpoint))
        own: dict[str, Any] = {"layers": int(config.num_hidden_layers), "parameters": parameters}
        inputs = {
            "vocab_size": int(config.vocab_size),
            "max_length": positions.longest_input(config),
            "pad_token_id": getattr(config, "pad_token_id", None),
        }
    except unread as error:
        raise ModelError(
            f"the checkpoint cannot be read: {error}",
            where=str(checkpoint),
            fix="give a directory that save_pretrained wrote",
        ) from error
    if not parameters:
        raise ModelError("the checkpoint has no safetensors weights", where=str(checkpoint))
    if structure is not None:
        own = {
            "layers": structure.model_shape.depth,
            "parameters": structure.parameters,
            "plan_id": structure.plan_id,
            "rival_of": structure.rival_of,
            "model_shape": structure.model_shape,
        }
    return own | inputs


def _parameters(weights: Path) -> int:
    """Numbers in a weight file, from its header alone."""
    from safetensors import safe_open

    with safe_open(weights, framework="np") as file:
        return sum(int(np.prod(file.get_slice(name).get_shape())) for name in file.keys())  # noqa: SIM118
