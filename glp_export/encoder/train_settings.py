"""How one training goes, but for what it learns from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class TrainSettings:
    """How a model is trained; the defaults are the paper's (section 4).

    Attributes:
        epochs: passes over the training examples.
        learning_rate: of AdamW, at its highest, decaying linearly to zero.
        batch_size: examples a step.
        warmup_ratio: share of the steps in which the learning rate rises.
        seed: of data order and dropout.
        device: `cpu` or `cuda`.
        bf16: whether updates are computed in bf16, and what dev is asked on the way; weights,
            losses and the optimizer are in float32 all the same.
        report_to: trackers that Trainer reports to, by its names; nothing depends on them.
        run_name: what trackers call the training.
    """

    epochs: float = 3.0
    learning_rate: float = 2e-5
    batch_size: int = 32
    warmup_ratio: float = 0.0
    seed: int = 41
    device: str = "cpu"
    bf16: bool = False
    report_to: tuple[str, ...] = ()
    run_name: str | None = None

    def facts(self) -> dict[str, Any]:
        """Everything that the trained weights depend on."""
        told = ("report_to", "run_name")
        return {name: value for name, value in asdict(self).items() if name not in told}
