"""The families that every check of a family runs on: rows of the support table."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.tiny import auto_class_of, make_checkpoint

SPREAD = {"initializer_range": 0.3}
"""Weights as large as trained ones: with transformers' 0.02 every row gets nearly the same logits,
and a wrong model would differ from a right one by less than any tolerance."""


@dataclass(frozen=True)
class Tested:
    """A tiny model of a family.

    Attributes:
        family: key of `tests.tiny.FAMILIES`.
        extra: its configuration beyond that.
    """

    family: str
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def auto_class(self) -> str:
        return auto_class_of(self.family)

    @property
    def export_task(self) -> str:
        """The task of its head, in optimum's words."""
        texts = self.auto_class == "AutoModelForSequenceClassification"
        return "text-classification" if texts else "token-classification"

    def make(self, directory: Path, **extra: Any) -> Path:
        """A four-layer checkpoint with a head for two labels."""
        return make_checkpoint(
            directory, self.family, num_labels=2, **{**SPREAD, **self.extra, **extra}
        )

    def load(self, checkpoint: Path) -> Any:
        import transformers

        return getattr(transformers, self.auto_class).from_pretrained(checkpoint).eval()


TESTED: dict[str, Tested] = {
    "BERT": Tested("bert"),
    "RoBERTa": Tested("roberta"),
    "XLM-RoBERTa": Tested("xlm-roberta"),
    "CamemBERT": Tested("camembert"),
    "ELECTRA": Tested("electra"),
    "DistilBERT": Tested("distilbert"),
    "MPNet": Tested("mpnet"),
    "DeBERTa": Tested("deberta"),
    "DeBERTa-v2": Tested("deberta-v2", {"conv_kernel_size": 3, "conv_act": "gelu"}),
    # As microsoft/deberta-v3-base has it.
    "DeBERTa-v3": Tested(
        "deberta-v2",
        {
            "position_buckets": 8,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "pos_att_type": ["p2c", "c2p"],
            "type_vocab_size": 0,
        },
    ),
    "ModernBERT": Tested("modernbert"),
    "T5 encoder": Tested("t5"),
    "mT5 encoder": Tested("mt5"),
    "UMT5 encoder": Tested("umt5"),
    "a model type of one's own": Tested("own-bert"),
}
"""Row of the table to its model. A new family of encoders is one row more."""


def batch(*lengths: int, vocabulary: int = 20, seed: int = 0) -> dict[str, Any]:
    """Rows of so many tokens padded together, as arrays `(rows, longest) int64`."""
    import numpy as np

    generator = np.random.default_rng(seed)
    ids = np.zeros((len(lengths), max(lengths)), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, :length] = generator.integers(5, vocabulary, length)
        mask[row, :length] = 1
    return {"input_ids": ids, "attention_mask": mask}
