"""The families of encoders: where each keeps its layers, and what to mind when some go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Family:
    """Where one model family keeps its layers.

    Attributes:
        path: the layer list, seen from the base model (without head).
        count: the configuration's name for the number of layers.
        pinned: layers that the family cannot do without.
        reason: why they are pinned.
        pinned_with: they are pinned only where the configuration's number of this name is not 0.
        kinds: the configuration's list of what each layer is, for a family whose layers differ.
        of_first: weights that all layers read and the first one keeps; the first that stays gets
            them.
    """

    path: str
    count: str = "num_hidden_layers"
    pinned: tuple[int, ...] = ()
    reason: str = ""
    pinned_with: str = ""
    kinds: str = ""
    of_first: tuple[str, ...] = ()

    def pins(self, config: Any) -> tuple[int, ...]:
        """The layers that a model of this configuration cannot do without."""
        free = self.pinned_with and not getattr(config, self.pinned_with, 0)
        return () if free else self.pinned


_T5 = Family(
    "encoder.block",
    count="num_layers",
    of_first=("layer.0.SelfAttention.relative_attention_bias.weight",),
)

FAMILIES: dict[str, Family] = {
    "bert": Family("encoder.layer"),
    "roberta": Family("encoder.layer"),
    "xlm-roberta": Family("encoder.layer"),
    "camembert": Family("encoder.layer"),
    "electra": Family("encoder.layer"),
    "mpnet": Family("encoder.layer"),
    "deberta": Family("encoder.layer"),
    "deberta-v2": Family(
        "encoder.layer",
        pinned=(0,),
        reason="the convolution of this model stands behind it",
        pinned_with="conv_kernel_size",
    ),
    "distilbert": Family("transformer.layer", count="n_layers"),
    "modernbert": Family(
        "layers", pinned=(0,), reason="only it has no attention norm", kinds="layer_types"
    ),
    "t5": _T5,
    "mt5": _T5,
    # Every layer has a bias of its own.
    "umt5": Family("encoder.block", count="num_layers"),
}

BARE = "AutoModel"

_WITH_DECODER = ("t5", "mt5", "umt5")


def has_decoder(config: Any) -> bool:
    """Whether the bare model of a configuration has a decoder.

    Of T5 a configuration does not say so any more where the encoder was saved alone.
    """
    return getattr(config, "is_encoder_decoder", False) or config.model_type in _WITH_DECODER


def auto_class_for(auto_class: str, config: Any) -> str:
    """The class of transformers that loads a model, the encoder alone of one that has a decoder."""
    alone = auto_class == BARE and has_decoder(config)
    return "AutoModelForTextEncoding" if alone else auto_class


REFUSED: dict[str, str] = {
    "albert": "ALBERT runs one shared layer many times, so there is no layer to take away",
}
