"""What is exported and compared: a live PyTorch module, or a checkpoint that becomes one."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from glp_export.core.errors import ModelError
from glp_export.core.quiet import quiet
from glp_export.encoder.block_sparse_file import open_pretrained
from glp_export.encoder.checkpoint import read_config
from glp_export.encoder.checkpoint_files import require_weights
from glp_export.encoder.families import BARE, auto_class_for
from glp_export.encoder.model_source import ModelSource
from glp_export.encoder.structure import SAVED_DENSE, compacted, read_structure
from glp_export.encoder.sublayers import shape_of
from glp_export.encoder.transformers_compat import quiet_weights

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from glp_export.core.shape import ModelShape

Source: TypeAlias = "Path | PreTrainedModel"
"""A module, or a directory with config.json and safetensors weights."""

CHUNK = "chunk_size_feed_forward"


def as_module(source: Source, auto_class: str) -> PreTrainedModel:
    """The module itself, or that of a checkpoint.

    Args:
        source: a module, or a directory with config.json and safetensors weights.
        auto_class: class of transformers that loads the checkpoint.

    Raises:
        ModelError: the checkpoint cannot be loaded, or weights are missing from it.
    """
    loaded: PreTrainedModel = load_fp32(source, auto_class) if isinstance(source, Path) else source
    return loaded


def config_of(source: Source) -> Any:
    """The configuration of a module or a checkpoint, as transformers has it.

    Raises:
        ModelError: it cannot be read, or names an architecture that is not there.
    """
    if not isinstance(source, Path):
        return source.config
    return read_config(ModelSource(str(source), offline=True))


def shape_of_source(source: Source) -> ModelShape | None:
    """The layers of what is exported; None for a checkpoint that is as its configuration says.

    Raises:
        DataError: the record of the checkpoint's structure is broken.
    """
    if not isinstance(source, Path):
        return shape_of(source)
    structure = read_structure(source)
    return None if structure is None else structure.model_shape


def name_of(source: Source) -> str:
    """What an error calls it: the directory, or the class of the module."""
    return str(source) if isinstance(source, Path) else type(source).__name__


@contextmanager
def exportable(model: PreTrainedModel) -> Iterator[PreTrainedModel]:
    """A module as it is exported and compared: fp32, on the CPU, eval, named outputs.

    A module that is in fp32 on the CPU is used itself and has its own settings again afterwards;
    another one is copied.
    """
    import torch

    own = next(iter(model.parameters()))
    if (own.dtype, own.device.type) != (torch.float32, "cpu"):
        model = copy.deepcopy(model).to("cpu", torch.float32)
    training = {name: module.training for name, module in model.named_modules()}
    patched = "forward" in vars(model)
    with ExitStack() as stack:
        _set(stack, model.config, "return_dict", True)
        _set(stack, model.config, "torchscript", False)
        for module in model.modules():
            if getattr(module, CHUNK, 0):
                _set(stack, module, CHUNK, 0)
        try:
            yield model.eval()
        finally:
            if not patched:
                vars(model).pop("forward", None)  # optimum puts the class's own on the instance
            for name, module in model.named_modules():
                module.training = training.get(name, False)


@contextmanager
def eager_attention(model: PreTrainedModel) -> Iterator[None]:
    """Let attention be computed step by step, where the family takes that after it was built."""
    before = getattr(model.config, "_attn_implementation", None)
    switch = getattr(model, "set_attn_implementation", None)
    if switch is None or before in (None, "eager"):
        yield
        return
    with quiet_weights():
        switch("eager")
    try:
        yield
    finally:
        with quiet_weights():
            switch(before)


def _set(stack: ExitStack, owner: Any, name: str, value: Any) -> None:
    """Give an attribute that is there another value until the stack ends."""
    if (before := getattr(owner, name, value)) != value:
        setattr(owner, name, value)
        stack.callback(setattr, owner, name, before)


def load_fp32(checkpoint: Path, auto_class: str, **options: Any) -> Any:
    """Load a checkpoint in fp32, eval, on the CPU; `options` are those of `from_pretrained`.

    Raises:
        ModelError: it cannot be loaded, or weights are missing from it.
    """
    import torch
    import transformers

    config = config_of(checkpoint)
    require_weights(checkpoint)
    try:
        with quiet(), quiet_weights():
            model, info = open_pretrained(
                getattr(transformers, auto_class_for(auto_class, config)),
                str(checkpoint),
                config,
                dtype=torch.float32,
                local_files_only=True,
                output_loading_info=True,
                **options,
            )
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise ModelError(
            f"The checkpoint cannot be loaded as {auto_class}: {error}",
            where=str(checkpoint),
            fix=f"give a checkpoint whose weights fit its config.json; {SAVED_DENSE}",
        ) from error
    # What hidden states are made of has no pooler.
    lost = [n for n in info["missing_keys"] if auto_class != BARE or not n.startswith("pooler.")]
    if missing := ", ".join(sorted(lost)):
        raise ModelError(
            f"The checkpoint lacks {missing}: they would be random.",
            where=str(checkpoint),
            fix=f"Train the model on the task and save it, head included; {SAVED_DENSE}.",
        )
    return compacted(model.eval(), checkpoint)
