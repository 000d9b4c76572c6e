"""The one place that knows where the layers of an encoder are, and how to take some away.

Layers are taken away by building the shallower model from its own configuration and moving the
kept weights into it. What is trained, scored and saved is therefore exactly what
`from_pretrained` will load later: no layer keeps a number of its deeper past.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glp_export.errors import ModelError, UsageError

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Family:
    """Where one model family keeps its layers.

    Attributes:
        path: the layer list, seen from the base model (without head).
        count: the configuration's name for the number of layers.
        pinned: layers that the family cannot do without.
        reason: why they are pinned.
    """

    path: str
    count: str = "num_hidden_layers"
    pinned: tuple[int, ...] = ()
    reason: str = ""


FAMILIES: dict[str, Family] = {
    "bert": Family("encoder.layer"),
    "roberta": Family("encoder.layer"),
    "xlm-roberta": Family("encoder.layer"),
    "camembert": Family("encoder.layer"),
    "electra": Family("encoder.layer"),
    "mpnet": Family("encoder.layer"),
    "deberta": Family("encoder.layer"),
    "deberta-v2": Family("encoder.layer"),
    "distilbert": Family("transformer.layer", count="n_layers"),
    "modernbert": Family("layers", pinned=(0,), reason="only it has no attention norm"),
}

REFUSED: dict[str, str] = {
    "albert": "ALBERT runs one shared layer many times, so there is no layer to take away",
}


@dataclass(frozen=True)
class LayerStack:
    """The layers of one model.

    Attributes:
        path: the layer list as a dotted name, from the whole model (`bert.encoder.layer`).
        count: the configuration's name for the number of layers.
        num_layers: how many there are.
        pinned: layers that must stay.
        reason: why they must.
    """

    path: str
    count: str
    num_layers: int
    pinned: tuple[int, ...] = ()
    reason: str = ""

    @property
    def removable(self) -> tuple[int, ...]:
        """Layers that may be taken away, bottom first."""
        return tuple(layer for layer in range(self.num_layers) if layer not in self.pinned)

    def check(self, removed: Iterable[int]) -> tuple[int, ...]:
        """The layers to remove, sorted, if this stack can lose them.

        Raises:
            UsageError: a layer that is not there, twice named or pinned, or none would stay.
        """
        wanted = sorted(removed)
        if len(set(wanted)) != len(wanted):
            raise UsageError(f"layers {wanted} name one layer twice")
        for layer in wanted:
            if layer in self.pinned:
                raise UsageError(f"layer {layer} cannot be removed: {self.reason}")
            if layer not in self.removable:
                raise UsageError(
                    f"there is no layer {layer}",
                    fix=f"the model has layers 0 to {self.num_layers - 1}",
                )
        if len(wanted) >= self.num_layers:
            raise UsageError(
                f"cannot remove {len(wanted)} of {self.num_layers} layers: one must stay",
                fix=f"remove at most {len(self.removable) - (0 if self.pinned else 1)}",
            )
        return tuple(wanted)


def find_layer_stack(model: PreTrainedModel) -> LayerStack:
    """Find the layers: by the family table, else by structure.

    Raises:
        ModelError: shared layers (ALBERT), a decoder, or no list of alike layers whose length
            the configuration tells.
    """
    model_type = model.config.model_type
    if model_type in REFUSED:
        raise ModelError(REFUSED[model_type], fix="use an encoder whose layers are its own")
    _refuse_decoder(model.config)
    family = FAMILIES.get(model_type)
    if family is None:
        return _find_by_structure(model)
    prefix = _prefix_of_base(model)
    path = f"{prefix}{family.path}"
    return LayerStack(path, family.count, len(_module(model, path)), family.pinned, family.reason)


def remove_layers(model: PreTrainedModel, removed: Iterable[int]) -> PreTrainedModel:
    """Build the shallower model without the `removed` layers; `model` stays as it is.

    The kept layers move down to consecutive numbers. Weights are copied.

    Raises:
        UsageError: see `LayerStack.check`.
        ModelError: see `find_layer_stack`.
    """
    stack = find_layer_stack(model)
    gone = set(stack.check(removed))
    kept = [layer for layer in range(stack.num_layers) if layer not in gone]
    shallower = type(model)(_cut_config(model.config, stack, kept))
    shallower.load_state_dict(_renumber(model.state_dict(), stack.path, kept))
    return shallower.to(model.device, model.dtype)


def _cut_config(config: Any, stack: LayerStack, kept: list[int]) -> Any:
    """The configuration of the kept layers, lists with one entry a layer cut alike."""
    cut = copy.deepcopy(config)
    for name, value in config.to_dict().items():
        if isinstance(value, list) and len(value) == stack.num_layers and "layer" in name:
            setattr(cut, name, [value[layer] for layer in kept])
    setattr(cut, stack.count, len(kept))
    return cut


def _renumber(state: dict[str, Any], path: str, kept: list[int]) -> dict[str, Any]:
    """The weights under their names in the shallower model."""
    position = {old: new for new, old in enumerate(kept)}
    numbered = re.compile(rf"^({re.escape(path)}\.)(\d+)(\..*)$")
    renumbered = {}
    for name, tensor in state.items():
        match = numbered.match(name)
        if match is None:
            renumbered[name] = tensor
        elif int(match[2]) in position:
            renumbered[f"{match[1]}{position[int(match[2])]}{match[3]}"] = tensor
    return renumbered


def _refuse_decoder(config: Any) -> None:
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    causal_only = (
        config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        and config.model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    )
    if causal_only or getattr(config, "is_decoder", False):
        raise ModelError(
            f"{config.model_type} is a decoder; only encoders are pruned here",
            fix="give an encoder such as google-bert/bert-base-uncased",
        )
    if getattr(config, "is_encoder_decoder", False):
        raise ModelError(
            f"{config.model_type} has an encoder and a decoder; only encoders are pruned here",
            fix="give an encoder such as google-bert/bert-base-uncased",
        )


def _find_by_structure(model: PreTrainedModel) -> LayerStack:
    """The only module list of alike members that is as long as the configuration says."""
    from torch.nn import ModuleList

    counts = ("num_hidden_layers", "n_layers", "num_layers", "n_layer", "encoder_layers")
    found = []
    for count in counts:
        length = getattr(model.config, count, None)
        for name, module in model.named_modules():
            if isinstance(module, ModuleList) and len(module) == length:
                alike = len({type(member) for member in module}) == 1
                if alike and any(True for _ in module[0].parameters()):
                    found.append(LayerStack(name, count, length))
        if found:
            break
    outermost = [s for s in found if not any(s.path.startswith(f"{o.path}.") for o in found)]
    if len(outermost) != 1:
        places = ", ".join(stack.path for stack in outermost) or "none"
        raise ModelError(
            f"the layers of a {model.config.model_type} model could not be found "
            f"(lists of the right length: {places})",
            fix="add a row to FAMILIES in glp_export/encoder/layer_stack.py",
        )
    return outermost[0]


def _prefix_of_base(model: PreTrainedModel) -> str:
    """`bert.` for a model with a head, nothing for the bare encoder."""
    prefix = model.base_model_prefix
    return f"{prefix}." if prefix and hasattr(model, prefix) else ""


def _module(model: PreTrainedModel, path: str) -> nn.ModuleList:
    from torch.nn import ModuleList

    try:
        module = model.get_submodule(path)
    except AttributeError:
        module = None
    if not isinstance(module, ModuleList):
        raise ModelError(
            f"{type(model).__name__} has no layer list at {path}",
            fix="correct its row in FAMILIES in glp_export/encoder/layer_stack.py",
        )
    return module
