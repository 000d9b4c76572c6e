"""Encoders of published sizes with random weights, for scripts that measure latency.

Nothing is downloaded: a matrix product takes as long with random numbers as with learnt ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

# What the published configurations say; everything else is the family's default, which is base.
SIZES: dict[str, dict[str, Any]] = {
    "bert-base": {"model_type": "bert", "vocab_size": 30522},
    "roberta-base": {
        "model_type": "roberta",
        "vocab_size": 50265,
        "max_position_embeddings": 514,
        "type_vocab_size": 1,
    },
    "distilbert": {"model_type": "distilbert", "vocab_size": 30522},
    "minilm": {
        "model_type": "bert",
        "vocab_size": 30522,
        "hidden_size": 384,
        "num_attention_heads": 12,
        "intermediate_size": 1536,
    },
}


def random_checkpoint(size: str, directory: Path, *, layers: int | None = None) -> Path:
    """Write a two-label classifier of a published size, or of that size with other depth."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    torch.manual_seed(0)
    fields = dict(SIZES[size])
    config = AutoConfig.for_model(fields.pop("model_type"), **fields, num_labels=2)
    if layers is not None:
        config.num_hidden_layers = layers
    AutoModelForSequenceClassification.from_config(config).save_pretrained(directory)
    return directory


def narrow_checkpoint(size: str, directory: Path, *, share: float) -> Path:
    """Write a two-label classifier with a share of the heads and neurons of each layer."""
    from transformers import AutoModelForSequenceClassification

    from glp_export.core.shape import Kept
    from glp_export.encoder.compaction import compact, expand
    from glp_export.encoder.structure import Structure
    from glp_export.encoder.sublayers import shape_of

    random_checkpoint(size, directory)
    model = AutoModelForSequenceClassification.from_pretrained(directory)
    layers = shape_of(model).layers
    kept = Kept.of(
        (range(round(share * layer.heads)), range(round(share * layer.neurons))) for layer in layers
    )
    small = compact(model, kept)
    expand(small, kept).save_pretrained(directory)
    Structure.of(small, kept=kept).save(directory)
    return directory
