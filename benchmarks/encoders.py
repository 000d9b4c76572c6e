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
