"""A checkpoint in PyTorch, as a user would serve it without exporting: eager, inference_mode."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core import machine
from glp_export.core.errors import DeviceError, ModelError
from glp_export.encoder.families import auto_class_for
from glp_export.encoder.structure import compacted
from glp_export.encoder.switches import switched
from glp_export.encoder.transformers_compat import quiet_weights
from glp_export.precision.devices import gpu_capability, not_in_hardware
from glp_export.tasks.predictions import joined

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from glp_export.bench.contenders import Contender, Feeds, Runner

logger = logging.getLogger(__name__)

DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def open_pytorch(contender: Contender) -> Runner:
    """Load a checkpoint, with SDPA where the family has it and its own attention elsewhere.

    The number of threads is PyTorch's for the whole process. On a GPU a call copies the inputs
    there and the logits back, as ONNX Runtime's does.

    A precision that the device has no arithmetic for is run all the same, since PyTorch can, and
    the log warns of it.

    Raises:
        DeviceError: PyTorch finds no CUDA device.
        ModelError: the checkpoint cannot be loaded.
    """
    model = load_on_device(contender)
    return runner_of(model, model, contender.outputs)


def load_on_device(contender: Contender) -> Any:
    """The model in its precision on its device, and PyTorch's threads set.

    Raises:
        DeviceError: PyTorch finds no CUDA device.
        ModelError: the checkpoint cannot be loaded.
    """
    import torch

    cuda = contender.provider == machine.CUDA
    if cuda and not torch.cuda.is_available():
        raise DeviceError("PyTorch finds no CUDA device", fix="use --device cpu")
    torch.set_num_threads(contender.threads)
    device = "cuda" if cuda else "cpu"
    slow = not_in_hardware(
        contender.precision, device, machine.cpu_features(), gpu_capability() if cuda else None
    )
    if slow:
        logger.warning("%s: %s", contender.label, slow)
    model: Any = _load(contender)
    return model.to(torch.device(device))


def runner_of(model: Any, call: Callable[..., Any], outputs: Sequence[str]) -> Runner:
    """Run a loaded model from host to host.

    Args:
        model: on its device.
        call: the model itself, or made from it.
        outputs: names of those that its answers are made of.
    """
    import torch

    device = model.device
    accepted = set(inspect.signature(model.forward).parameters)

    def run(feeds: Feeds) -> NDArray[np.float32]:
        with torch.inference_mode():
            tensors = {
                name: torch.from_numpy(array).to(device)
                for name, array in feeds.items()
                if name in accepted
            }
            made = call(**tensors)
            # Copying them to the host waits for the device, so the clock stops in time.
            return joined([made[name].float().cpu().numpy() for name in outputs])

    return run


def _load(contender: Contender) -> PreTrainedModel:
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(contender.path, local_files_only=True)
    auto_class = getattr(transformers, auto_class_for(contender.auto_class, config))
    config = switched(config)
    if hasattr(config, "reference_compile"):
        config.reference_compile = False  # ModernBERT compiles itself otherwise: not eager
    arguments = {
        "config": config,
        "dtype": getattr(torch, DTYPES[contender.precision]),
        "use_safetensors": True,
        "local_files_only": True,
    }
    try:
        with quiet_weights():
            try:
                model = auto_class.from_pretrained(
                    contender.path, attn_implementation="sdpa", **arguments
                )
            except (ValueError, ImportError) as error:
                if "scaled_dot_product_attention" not in str(error):
                    raise
                model = auto_class.from_pretrained(
                    contender.path, attn_implementation="eager", **arguments
                )
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(
            f"the checkpoint cannot be loaded: {error}", where=str(contender.path)
        ) from error
    return compacted(model.eval(), contender.path)
