"""Where the heads and neurons of an encoder are: one row a family, beside the layer lists."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glp_export.core.errors import ModelError, UsageError
from glp_export.core.shape import Kept, LayerShape, ModelShape
from glp_export.encoder.layer_stack import find_layer_list

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


WIDTHS = ("intermediate_size", "hidden_dim", "d_ff")
"""The configuration's names for the width inside a feed-forward sublayer."""


@dataclass(frozen=True)
class Projection:
    """A linear map, or a bare vector of biases, whose rows belong to heads or neurons.

    Attributes:
        path: its name, seen from the layer.
        blocks: how many maps are fused in it one below the other, each with all heads or neurons.
        fused: how many maps are fused in it head by head.
        optional: some configurations of the family do without it.
    """

    path: str
    blocks: int = 1
    fused: int = 1
    optional: bool = False


@dataclass(frozen=True)
class Sublayers:
    """Where one family keeps attention and feed-forward; paths are seen from a layer.

    Attributes:
        attention: the module that splits its states into heads.
        projections: its inputs: queries, keys, values and what else has rows for every head.
        attention_output: the map whose columns belong to the heads.
        widening: the inputs of the feed-forward sublayer.
        feed_forward_output: the map whose columns belong to the neurons.
        head_size: the attribute of `attention` with the width of one head.
        head_counts: attributes of `attention`, where it has them, with the number of heads.
        head_widths: attributes with the number of heads times their width.
        free: weights of `attention` that all heads share.
        position_table: embedding with a column for every head of the layer.
        shared_table: embedding with a column for every head that all layers read, seen from the
            module that has the layer list.
        returns_bias: `attention` hands its position bias on to the next layer.
    """

    attention: str
    projections: tuple[Projection, ...]
    attention_output: str
    widening: tuple[Projection, ...]
    feed_forward_output: str
    head_size: str = "attention_head_size"
    head_counts: tuple[str, ...] = ("num_attention_heads",)
    head_widths: tuple[str, ...] = ("all_head_size",)
    free: tuple[str, ...] = ()
    position_table: str = ""
    shared_table: str = ""
    returns_bias: bool = False

    @property
    def output_inside(self) -> bool:
        """Whether the output map is part of the attention module."""
        return self.attention_output.startswith(f"{self.attention}.")


def _projections(prefix: str, *names: str) -> tuple[Projection, ...]:
    return tuple(Projection(f"{prefix}.{name}") for name in names)


_WIDENING = (Projection("intermediate.dense"),)

_BERT = Sublayers(
    "attention.self",
    _projections("attention.self", "query", "key", "value"),
    "attention.output.dense",
    _WIDENING,
    "output.dense",
    free=("distance_embedding.weight",),
)

_DEBERTA = Sublayers(
    "attention.self",
    (
        Projection("attention.self.in_proj", fused=3),
        Projection("attention.self.q_bias"),
        Projection("attention.self.v_bias"),
        Projection("attention.self.pos_proj", optional=True),
        Projection("attention.self.pos_q_proj", optional=True),
    ),
    "attention.output.dense",
    _WIDENING,
    "output.dense",
)

_DEBERTA_V2 = Sublayers(
    "attention.self",
    (
        *_projections("attention.self", "query_proj", "key_proj", "value_proj"),
        Projection("attention.self.pos_key_proj", optional=True),
        Projection("attention.self.pos_query_proj", optional=True),
    ),
    "attention.output.dense",
    _WIDENING,
    "output.dense",
)

_DISTILBERT = Sublayers(
    "attention",
    _projections("attention", "q_lin", "k_lin", "v_lin"),
    "attention.out_lin",
    (Projection("ffn.lin1"),),
    "ffn.lin2",
    head_counts=("n_heads",),
    head_widths=("dim",),
)

_MPNET = Sublayers(
    "attention.attn",
    _projections("attention.attn", "q", "k", "v"),
    "attention.attn.o",
    _WIDENING,
    "output.dense",
    shared_table="relative_attention_bias",
)

_MODERNBERT = Sublayers(
    "attn",
    (Projection("attn.Wqkv", blocks=3),),
    "attn.Wo",
    (Projection("mlp.Wi", blocks=2),),
    "mlp.Wo",
    head_size="head_dim",
    head_counts=("num_heads",),
)

_T5_WIDENING = (
    Projection("layer.1.DenseReluDense.wi", optional=True),
    Projection("layer.1.DenseReluDense.wi_0", optional=True),
    Projection("layer.1.DenseReluDense.wi_1", optional=True),
)
_T5_SIZES: dict[str, Any] = {
    "head_size": "key_value_proj_dim",
    "head_counts": ("n_heads",),
    "head_widths": ("inner_dim",),
}

_T5 = Sublayers(
    "layer.0.SelfAttention",
    _projections("layer.0.SelfAttention", "q", "k", "v"),
    "layer.0.SelfAttention.o",
    _T5_WIDENING,
    "layer.1.DenseReluDense.wo",
    shared_table="block.0.layer.0.SelfAttention.relative_attention_bias",
    returns_bias=True,
    **_T5_SIZES,
)

_UMT5 = Sublayers(
    "layer.0.SelfAttention",
    _projections("layer.0.SelfAttention", "q", "k", "v"),
    "layer.0.SelfAttention.o",
    _T5_WIDENING,
    "layer.1.DenseReluDense.wo",
    position_table="layer.0.SelfAttention.relative_attention_bias",
    **_T5_SIZES,
)

SUBLAYERS: dict[str, Sublayers] = {
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "camembert": _BERT,
    "electra": _BERT,
    "distilbert": _DISTILBERT,
    "mpnet": _MPNET,
    "deberta": _DEBERTA,
    "deberta-v2": _DEBERTA_V2,
    "modernbert": _MODERNBERT,
    "t5": _T5,
    "mt5": _T5,
    "umt5": _UMT5,
}


def layers_of(model: PreTrainedModel) -> nn.ModuleList:
    """The layer list of a model, bottom first.

    Raises:
        ModelError: see `find_layer_list`.
    """
    return model.get_submodule(find_layer_list(model))


def find_sublayers(model: PreTrainedModel) -> Sublayers | None:
    """Where a model's heads and neurons are, or None: then it can only lose whole layers.

    A family without a row is taken for BERT's if every layer is built like one of BERT.

    Raises:
        ModelError: see `find_layer_list`.
    """
    row = SUBLAYERS.get(model.config.model_type, _BERT)
    return row if all(_built_like(layer, row) for layer in layers_of(model)) else None


def require_sublayers(model: PreTrainedModel) -> Sublayers:
    """Where a model's heads and neurons are.

    Raises:
        ModelError: nobody knows; the model can only lose whole layers.
    """
    row = find_sublayers(model)
    if row is None:
        raise ModelError(
            f"of {model.config.model_type} only whole layers can be pruned: where the heads and "
            "neurons of this model are is not known",
            fix="prune layers (--compress layers), or add a row to SUBLAYERS in "
            "glp_export/encoder/sublayers.py",
        )
    return row


def shape_of(model: PreTrainedModel) -> ModelShape:
    """The shape of a live model, dense or compact.

    Where heads and neurons are not known, every layer is what the configuration says.

    Raises:
        ModelError: see `find_layer_list`.
    """
    row = find_sublayers(model)
    layers = layers_of(model)
    if row is None:
        shapes = (_said_by(model.config),) * len(layers)
    else:
        shapes = tuple(layer_shape(layer, row) for layer in layers)
    return ModelShape(
        layers=shapes,
        vocabulary=model.config.vocab_size,
        hidden_size=model.config.hidden_size,
    )


def check_kept(model: PreTrainedModel, kept: Kept) -> None:
    """Hold a record against the model that it is for.

    Raises:
        ModelError: see `find_layer_list`.
        UsageError: the model has not what is to be kept, or nothing would stay in any layer.
    """
    shape = shape_of(model)
    if not kept.fits(shape):
        raise UsageError(
            "heads or neurons are to be kept that the model has not",
            fix=f"it has {shape.label()}: give a record made for it",
        )
    if not any(keep.heads or keep.neurons for keep in kept.layers):
        raise UsageError(
            "no head and no neuron would stay in any layer", fix="keep one of them at least"
        )


def layer_shape(layer: nn.Module, row: Sublayers) -> LayerShape:
    """The shape of one live layer."""
    head_size = getattr(layer.get_submodule(row.attention), row.head_size)
    return LayerShape(
        heads=width_of(layer, row.attention_output) // head_size,
        head_size=head_size,
        neurons=width_of(layer, row.feed_forward_output),
    )


def width_of(layer: nn.Module, output: str) -> int:
    """Columns of the output map of a sublayer, 0 where the sublayer is emptied."""
    from glp_export.encoder.emptied import ConstantOutput

    module = layer.get_submodule(output)
    return 0 if isinstance(module, ConstantOutput) else int(module.in_features)  # type: ignore[arg-type]


def part(layer: nn.Module, projection: Projection) -> Any:
    """The module or parameter of a projection, None where this layer does without it."""
    found: Any = layer
    for name in projection.path.split("."):
        found = getattr(found, name, None)
        if found is None:
            return None
    return found


def _built_like(layer: nn.Module, row: Sublayers) -> bool:
    """Whether a layer has all that a row names, in sizes that fit, and no other weight of heads."""
    from torch import nn

    from glp_export.encoder.emptied import ConstantOutput, EmptyAttention

    try:
        attention = layer.get_submodule(row.attention)
        output = layer.get_submodule(row.attention_output)
        narrowing = layer.get_submodule(row.feed_forward_output)
    except AttributeError:
        return False
    if not isinstance(narrowing, ConstantOutput) and not (
        isinstance(narrowing, nn.Linear)
        and _fits(layer, row.widening, narrowing.in_features)
        and any(part(layer, projection) is not None for projection in row.widening)
    ):
        return False
    if isinstance(attention, EmptyAttention):
        return True
    return (
        isinstance(output, nn.Linear)
        and bool(getattr(attention, row.head_size, 0))
        and _fits(layer, row.projections, output.in_features)
        and _weights(attention) <= _known(layer, row)
    )


def _fits(layer: nn.Module, projections: tuple[Projection, ...], width: int) -> bool:
    """Whether projections have as many rows as the output map has columns."""
    from torch import nn

    for projection in projections:
        found = part(layer, projection)
        if found is None:
            if not projection.optional:
                return False
            continue
        bare = isinstance(found, nn.Parameter)
        rows = len(found) if bare else getattr(found, "out_features", None)
        if rows != width * projection.blocks * projection.fused:
            return False
    return True


def _weights(module: nn.Module) -> set[str]:
    return {name for name, _ in module.named_parameters()}


def _known(layer: nn.Module, row: Sublayers) -> set[str]:
    """Names of the weights in the attention module that a row accounts for."""
    paths = [projection.path for projection in row.projections]
    paths += [row.attention_output, row.position_table, row.shared_table.partition(".0.")[2]]
    names = {path.removeprefix(f"{row.attention}.") for path in paths}
    return {f"{name}{kind}" for name in names for kind in ("", ".weight", ".bias")} | set(row.free)


def _said_by(config: Any) -> LayerShape:
    """What a configuration says of every layer; transformers gives the names of BERT to all."""
    heads = getattr(config, "num_attention_heads", None) or 1
    widths = (*(getattr(config, name, None) for name in WIDTHS), 4 * config.hidden_size)
    return LayerShape(
        heads=heads,
        head_size=getattr(config, "head_dim", None) or max(1, config.hidden_size // heads),
        neurons=next(found for found in widths if found),
    )
