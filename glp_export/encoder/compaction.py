"""Models without some of their heads and neurons: really smaller, or dense with zeros.

The compact module is what is trained, timed and exported. The dense one computes the same in the
stock architecture, which has one width for all layers, and is what a checkpoint holds.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from glp_export.core.errors import ModelError
from glp_export.core.shape import Kept, KeptLayer, LayerShape
from glp_export.encoder.layer_stack import find_layer_list
from glp_export.encoder.sublayers import (
    Sublayers,
    check_kept,
    layer_shape,
    layers_of,
    part,
    require_sublayers,
    shape_of,
)

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

Places = dict[str, tuple[int, "Tensor"]]
"""Name of a weight to the dimension that is cut and what stays of it."""


def compact(model: PreTrainedModel, kept: Kept) -> PreTrainedModel:
    """A copy of a model with the kept heads and neurons alone; `model` stays as it is.

    A sublayer that loses all is replaced by its output bias; residual and norm stay. `model` may
    be compact itself, `kept` then counts what it has (`Kept.then` joins the two records).

    Raises:
        ModelError: where the heads and neurons of this model are is not known.
        UsageError: it has not what is to be kept, or no head and no neuron would stay.
    """
    from glp_export.encoder.position_bias import read_columns

    row = require_sublayers(model)
    check_kept(model, kept)
    small = copy.deepcopy(model)
    for parameter in small.parameters():
        parameter.grad = None
    columns = _columns(small, row, kept)
    cut = {**_places(small, row, kept), **_table_place(small, row, columns)}
    for name, (dim, index) in cut.items():
        if len(index):
            _cut(small, name, dim, index)
    for number, (layer, keep) in enumerate(zip(layers_of(small), kept.layers, strict=True)):
        attention = layer.get_submodule(row.attention)
        if not keep.heads:
            _empty_attention(layer, row)
        else:
            _set_heads(attention, row, len(keep.heads))
            if row.shared_table:
                own = _among(columns[number], columns)
                read_columns(attention, own, returns_bias=row.returns_bias)
        if not keep.neurons:
            _empty_feed_forward(layer, row)
    return small


def require_zeros(model: PreTrainedModel, kept: Kept) -> None:
    """Check that the units of a dense model that a record says are gone have no output.

    Trained on as a dense model they get weights again, and cutting them would change it.

    Raises:
        ModelError: one of them has.
    """
    row = require_sublayers(model)
    for number, (layer, keep) in enumerate(zip(layers_of(model), kept.layers, strict=True)):
        shape = layer_shape(layer, row)
        for output, units, stay, what in (
            (row.attention_output, shape.heads, keep.heads, "heads"),
            (row.feed_forward_output, shape.neurons, keep.neurons, "neurons"),
        ):
            gone = sorted(set(range(units)) - set(stay))
            weight: Any = layer.get_submodule(output).weight if gone else None
            if gone and weight.detach().reshape(len(weight), units, -1)[:, gone].any():
                raise ModelError(
                    f"layer {number} has {what} that the record of the checkpoint says are gone",
                    fix="the two do not belong together: copy the whole directory again, or remove "
                    "glp/structure.json where the model was trained on and is dense again",
                )


def expand(model: PreTrainedModel, kept: Kept, *, attention: str | None = None) -> PreTrainedModel:
    """The dense model that computes what a compact one does, with zeros for what is gone.

    It is built anew from the configuration, which compacting leaves alone, so that plain
    `from_pretrained` loads what it saves.

    Args:
        model: compact.
        kept: what it has of the dense model.
        attention: what computes attention in the new model, "eager" or "sdpa"; as it is if None.

    Raises:
        ModelError: `kept` is not the record of this model.
    """
    import torch

    row = require_sublayers(model)
    config = copy.deepcopy(model.config)
    if attention is not None:
        config._attn_implementation = attention
    with torch.random.fork_rng(devices=[]):
        dense = type(model)(config)
    base = shape_of(dense)
    if not kept.fits(base) or kept.shape(base) != shape_of(model):
        raise ModelError(
            "the record of kept heads and neurons is not that of this model",
            fix="give the record that the model was compacted by",
        )
    dense.to(model.device, model.dtype)
    places = {
        **_places(dense, row, kept),
        **_table_place(dense, row, _columns(dense, row, kept)),
    }
    small = model.state_dict()
    state = {}
    for name, tensor in dense.state_dict().items():
        if name not in places:
            state[name] = small[name]
            continue
        dim, index = places[name]
        state[name] = torch.zeros_like(tensor)
        if len(index):
            state[name].index_copy_(dim, index.to(tensor.device), small[name])
    dense.load_state_dict(state)
    return dense.train(model.training)


def _places(model: PreTrainedModel, row: Sublayers, kept: Kept) -> Places:
    """What stays of every weight of heads and neurons that the model has."""
    path = find_layer_list(model)
    return {
        f"{path}.{number}.{name}": place
        for number, (layer, keep) in enumerate(zip(layers_of(model), kept.layers, strict=True))
        for name, place in _layer_places(layer, row, keep).items()
    }


def _layer_places(layer: nn.Module, row: Sublayers, keep: KeptLayer) -> Places:
    import torch

    shape = layer_shape(layer, row)
    places: Places = {}
    for projections, kept, units, size in _sides(row, keep, shape):
        for projection in projections:
            index = _rows(kept, units, size * projection.fused, projection.blocks)
            for name in _tensors(part(layer, projection)):
                places[f"{projection.path}{name}"] = (0, index)
    if shape.heads:
        heads = _rows(keep.heads, shape.heads, shape.head_size)
        places[f"{row.attention_output}.weight"] = (1, heads)
        if row.position_table:
            places[f"{row.position_table}.weight"] = (1, torch.tensor(keep.heads))
    if not keep.heads:
        nothing = torch.empty(0, dtype=torch.int64)
        places.update({f"{row.attention}.{name}": (0, nothing) for name in row.free})
    if shape.neurons:
        places[f"{row.feed_forward_output}.weight"] = (1, _rows(keep.neurons, shape.neurons))
    return places


def _sides(row: Sublayers, keep: KeptLayer, shape: LayerShape) -> Iterator[tuple[Any, ...]]:
    if shape.heads:
        yield row.projections, keep.heads, shape.heads, shape.head_size
    if shape.neurons:
        yield row.widening, keep.neurons, shape.neurons, 1


def _tensors(module: Any) -> list[str]:
    """Endings of the names of what a projection consists of."""
    from torch import nn

    if module is None:
        return []
    if isinstance(module, nn.Parameter):
        return [""]
    return [f".{name}" for name, _ in module.named_parameters(recurse=False)]


def _rows(kept: Sequence[int], units: int, size: int = 1, blocks: int = 1) -> Tensor:
    """The rows of kept units, `size` each, in every block of a fused map."""
    import torch

    starts = torch.tensor(kept, dtype=torch.int64)[:, None] * size
    rows = (starts + torch.arange(size)).flatten()
    return torch.cat([rows + block * units * size for block in range(blocks)])


def _columns(model: PreTrainedModel, row: Sublayers, kept: Kept) -> list[tuple[int, ...]]:
    """The columns of the shared table that each layer reads, numbered as the model has them."""
    from glp_export.encoder.position_bias import columns_of

    columns = []
    for layer, keep in zip(layers_of(model), kept.layers, strict=True):
        heads = layer_shape(layer, row).heads
        own = columns_of(layer.get_submodule(row.attention), heads)
        columns.append(tuple(own[head] for head in keep.heads))
    return columns


def _table_place(
    model: PreTrainedModel, row: Sublayers, columns: Sequence[tuple[int, ...]]
) -> Places:
    """The columns of the shared table that any layer reads; one, where none does."""
    import torch

    if not row.shared_table:
        return {}
    above = find_layer_list(model).rpartition(".")[0]
    name = f"{above}.{row.shared_table}.weight".lstrip(".")
    return {name: (1, torch.tensor(sorted(set().union(*columns)) or [0]))}


def _among(own: Sequence[int], columns: Sequence[tuple[int, ...]]) -> list[int]:
    union = sorted(set().union(*columns))
    return [union.index(column) for column in own]


def _cut(model: nn.Module, name: str, dim: int, index: Tensor) -> None:
    """Keep some rows or columns of a weight, and say so in the module that has it."""
    from torch import nn

    path, _, weight = name.rpartition(".")
    module: Any = model.get_submodule(path)
    old = getattr(module, weight)
    new = old.detach().index_select(dim, index.to(old.device)).contiguous()
    setattr(module, weight, nn.Parameter(new, requires_grad=old.requires_grad))
    if isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, nn.Embedding):
        module.embedding_dim = module.weight.shape[1]


def _set_heads(attention: nn.Module, row: Sublayers, heads: int) -> None:
    for names, value in (
        (row.head_counts, heads),
        (row.head_widths, heads * getattr(attention, row.head_size)),
    ):
        for name in names:
            if hasattr(attention, name):
                setattr(attention, name, value)


def _empty_attention(layer: nn.Module, row: Sublayers) -> None:
    from glp_export.encoder.emptied import ConstantOutput, EmptyAttention

    attention = layer.get_submodule(row.attention)
    if isinstance(attention, EmptyAttention):
        return
    table = row.shared_table.rpartition(".")[2] if row.returns_bias else ""
    empty = EmptyAttention(
        attention,
        output=row.attention_output.rpartition(".")[2] if row.output_inside else "",
        table=table if hasattr(attention, table) else "",
        returns_bias=row.returns_bias,
    )
    layer.set_submodule(row.attention, empty)
    if not row.output_inside:
        output = layer.get_submodule(row.attention_output)
        layer.set_submodule(row.attention_output, ConstantOutput(output))


def _empty_feed_forward(layer: nn.Module, row: Sublayers) -> None:
    from glp_export.encoder.emptied import ConstantOutput, EmptyInput

    output = layer.get_submodule(row.feed_forward_output)
    if isinstance(output, ConstantOutput):
        return
    for projection in row.widening:
        if part(layer, projection) is not None:
            layer.set_submodule(projection.path, EmptyInput())
    layer.set_submodule(row.feed_forward_output, ConstantOutput(output))
