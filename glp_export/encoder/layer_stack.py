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

from glp_export.core.errors import ModelError, UsageError
from glp_export.encoder.families import FAMILIES, REFUSED, Family, has_decoder

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


_PRUNED_HEADS = "pruned_heads"
"""Heads that major 4 of transformers takes out of a layer when it builds a model."""


@dataclass(frozen=True)
class LayerStack:
    """The layers of one model.

    Attributes:
        path: the layer list as a dotted name, from the whole model (`bert.encoder.layer`).
        count: the configuration's name for the number of layers.
        num_layers: how many there are.
        pinned: layers that must stay.
        reason: why they must.
        of_first: weights of the first layer that all layers read.
    """

    path: str
    count: str
    num_layers: int
    pinned: tuple[int, ...] = ()
    reason: str = ""
    of_first: tuple[str, ...] = ()

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
        ModelError: shared layers (ALBERT), a decoder, no list of alike layers whose length the
            configuration tells, or layers whose kind the installed transformers tells by their
            number alone.
    """
    family = _family_of(model)
    if family is None:
        return _find_by_structure(model)
    if family.kinds and not hasattr(model.config, family.kinds):
        raise ModelError(
            f"the installed transformers tells what a layer of {model.config.model_type} is by its "
            "number, so layers that move down would compute something else",
            fix='pip install "transformers>=5,<6", which keeps it in the configuration',
        )
    path = f"{_prefix_of_base(model)}{family.path}"
    pinned = family.pins(model.config)
    return LayerStack(
        path,
        family.count,
        len(_module(model, path)),
        pinned,
        family.reason if pinned else "",
        family.of_first,
    )


def require_removable(model: PreTrainedModel) -> None:
    """Try, on models without memory for weights, whether each layer can go; `model` stays.

    Raises:
        UsageError: see `LayerStack.check`.
        ModelError: see `remove_layers`.
    """
    stack = find_layer_stack(model)
    for gone in stack.removable if stack.num_layers > 1 else ():
        left = set(stack.check([gone]))
        _shallower(model, stack, [n for n in range(stack.num_layers) if n not in left], "meta")


def find_layer_list(model: PreTrainedModel) -> str:
    """The path of the layer list alone, of models too whose layers cannot move.

    Raises:
        ModelError: shared layers (ALBERT), a decoder, or no list of alike layers whose length the
            configuration tells.
    """
    family = _family_of(model)
    if family is None:
        return _find_by_structure(model).path
    return f"{_prefix_of_base(model)}{family.path}"


def remove_layers(model: PreTrainedModel, removed: Iterable[int]) -> PreTrainedModel:
    """Build the shallower model without the `removed` layers; `model` stays as it is.

    The kept layers move down to consecutive numbers. Weights are copied. Values of the
    configuration that belong to a layer move with it.

    Raises:
        UsageError: see `LayerStack.check`.
        ModelError: see `find_layer_stack`; or a layer does something else under its new number.
    """
    stack = find_layer_stack(model)
    gone = set(stack.check(removed))
    kept = [layer for layer in range(stack.num_layers) if layer not in gone]
    shallower = _shallower(model, stack, kept, "cpu")
    shallower.load_state_dict(_renumber(model.state_dict(), stack, kept))
    return shallower.to(model.device, model.dtype)


def _shallower(
    model: PreTrainedModel, stack: LayerStack, kept: list[int], device: str
) -> PreTrainedModel:
    """The model of the kept layers, each alike what it was, with weights of its own."""
    import torch

    names = _lists_of_layers(model.config, stack)
    named = [name for name in names if "layer" in name]
    faults: list[Exception] = []
    # A list may merely be as long as there are layers: it is cut where the layers need that.
    for cut in dict.fromkeys((tuple(named), tuple(names))):
        config = _cut_config(model.config, stack, kept, cut)
        try:
            with torch.device(device):
                shallower: PreTrainedModel = type(model)(config)
            _require_alike(model, shallower, stack, kept)
        except ModelError as error:
            faults.append(error)
        except Exception as error:  # a class checks its configuration as it likes
            if len(names) == len(named):
                raise
            faults.append(error)
        else:
            return shallower
    known = next((fault for fault in faults if isinstance(fault, ModelError)), None)
    raise known or ModelError(
        f"the model cannot be built with {len(kept)} of its layers: {faults[-1]}",
        fix="set what its configuration says of each layer to one value for all",
    )


def _lists_of_layers(config: Any, stack: LayerStack) -> list[str]:
    """Names of the configuration's lists that have as many entries as there are layers."""
    return [
        name
        for name, value in config.to_dict().items()
        if isinstance(value, list | tuple) and len(value) == stack.num_layers
    ]


def _cut_config(config: Any, stack: LayerStack, kept: list[int], lists: Iterable[str]) -> Any:
    """The configuration of the kept layers: lists with one entry a layer, and heads that went."""
    cut = copy.deepcopy(config)
    for name in lists:
        value = getattr(config, name)
        setattr(cut, name, type(value)(value[layer] for layer in kept))
    if pruned := getattr(config, _PRUNED_HEADS, None):
        own = {int(layer): heads for layer, heads in pruned.items()}
        cut.pruned_heads = {new: own[old] for new, old in enumerate(kept) if old in own}
    setattr(cut, stack.count, len(kept))
    return cut


def _renumber(state: dict[str, Any], stack: LayerStack, kept: list[int]) -> dict[str, Any]:
    """The weights under their names in the shallower model."""
    position = {old: new for new, old in enumerate(kept)}
    numbered = re.compile(rf"^({re.escape(stack.path)}\.)(\d+)(\..*)$")
    renumbered = {}
    for name, tensor in state.items():
        match = numbered.match(name)
        if match is None:
            renumbered[name] = tensor
        elif int(match[2]) in position:
            renumbered[f"{match[1]}{position[int(match[2])]}{match[3]}"] = tensor
    for name in stack.of_first:
        renumbered[f"{stack.path}.0.{name}"] = state[f"{stack.path}.0.{name}"]
    return renumbered


def _require_alike(
    model: PreTrainedModel, shallower: PreTrainedModel, stack: LayerStack, kept: list[int]
) -> None:
    """Check that every kept layer is under its new number what it was under its old one.

    A family may tell by the number which layers see all tokens, or have no norm.
    """
    before, after = _module(model, stack.path), _module(shallower, stack.path)
    for new, old in enumerate(kept):
        if new == 0 and stack.of_first:
            continue  # what it keeps for all layers, it did not have before
        was, now = _traits(before[old]), _traits(after[new])
        # A layer may know its number.
        changed = [n for n in was if was[n] != now.get(n) and (was[n], now.get(n)) != (old, new)]
        if changed:
            name = changed[0]
            raise ModelError(
                f"layer {old} would be layer {new} and compute something else there: "
                f"{name} {was[name]} would be {now.get(name)}",
                fix="remove other layers, so that it keeps its place in the pattern",
            )


def _traits(layer: nn.Module) -> dict[str, Any]:
    """What a layer is besides its weights: classes of its parts, and their plain attributes."""
    traits: dict[str, Any] = {}
    for part, module in layer.named_modules():
        traits[part] = type(module).__name__
        for name, value in vars(module).items():
            plain = isinstance(value, bool | int | float | str | tuple)
            if plain and name != "training" and not name.startswith("_"):
                traits[f"{part}.{name}".lstrip(".")] = value
    return traits


def _family_of(model: PreTrainedModel) -> Family | None:
    """The row of a model's family, None for one that is not listed; refuses what is no encoder."""
    model_type = model.config.model_type
    if model_type in REFUSED:
        raise ModelError(REFUSED[model_type], fix="use an encoder whose layers are its own")
    refuse_decoder(model)
    return FAMILIES.get(model_type)


def refuse_decoder(model: PreTrainedModel) -> None:
    """Check that a model is an encoder alone.

    Raises:
        ModelError: it is not.
    """
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    config = model.config
    causal_only = (
        config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        and config.model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    )
    if causal_only or getattr(config, "is_decoder", False):
        raise ModelError(
            f"{config.model_type} is a decoder; only encoders are pruned here",
            fix="give an encoder such as google-bert/bert-base-uncased",
        )
    # The encoder of T5 alone has the configuration of both.
    base = getattr(model, model.base_model_prefix, model)
    if has_decoder(config) and hasattr(base, "decoder"):
        raise ModelError(
            f"{type(model).__name__} has an encoder and a decoder; only encoders are pruned here",
            fix="give an encoder such as google-bert/bert-base-uncased; of T5, transformers has "
            "heads on the encoder alone for token classification and for embeddings",
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
            fix="add a row to FAMILIES in glp_export/encoder/families.py",
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
            fix="correct its row in FAMILIES in glp_export/encoder/families.py",
        )
    return module
