"""Training an encoder on a task, on top of transformers' Trainer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from glp_export.encoder.majors import training_arguments

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

Progress = Callable[[int, int], None]
"""Called with the steps done and the steps in all."""


@dataclass(frozen=True)
class TrainSettings:
    """How a model is trained; the defaults are the paper's (section 4).

    Attributes:
        epochs: passes over the training examples.
        learning_rate: of AdamW, at its highest, decaying linearly to zero.
        batch_size: examples a step.
        warmup_ratio: share of the steps in which the learning rate rises.
        weight_decay: of AdamW.
        seed: of data order and dropout.
        device: `cpu` or `cuda`.
    """

    epochs: float = 3.0
    learning_rate: float = 2e-5
    batch_size: int = 32
    warmup_ratio: float = 0.0
    weight_decay: float = 0.0
    seed: int = 41
    device: str = "cpu"


def finetune(
    model: PreTrainedModel,
    examples: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    settings: TrainSettings,
    progress: Progress | None = None,
) -> PreTrainedModel:
    """Train `model` in place on the labels of `examples` (encoded) and return it, in eval mode."""
    from transformers import Trainer

    return run_trainer(Trainer, model, examples, tokenizer, settings, progress)


def run_trainer(
    trainer_class: type[Trainer],
    model: PreTrainedModel,
    examples: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    settings: TrainSettings,
    progress: Progress | None = None,
    **trainer_arguments: Any,
) -> PreTrainedModel:
    """Train with a Trainer or a subclass of it, batches grouped by length and padded alone.

    Nothing is kept on disk. The same seed on the same machine gives the same weights.
    """
    from transformers import PrinterCallback, set_seed

    set_seed(settings.seed)
    with TemporaryDirectory(prefix="glp-trainer-") as scratch:
        trainer = trainer_class(
            model=model,
            args=_training_arguments(settings, Path(scratch)),
            train_dataset=examples,
            data_collator=Collator(tokenizer),
            callbacks=[_report_to(progress)] if progress else [],
            **trainer_arguments,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return model.eval()


class Collator:
    """Pads a batch of encoded examples to its longest; other columns become tensors as they are."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer

    def __call__(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """Turn examples into tensors of shape (batch, longest) and (batch,)."""
        import torch

        inputs = set(self.tokenizer.model_input_names)
        batch = self.tokenizer.pad(
            [{k: v for k, v in example.items() if k in inputs} for example in examples],
            return_tensors="pt",
        )
        for column in examples[0].keys() - inputs - {"length"}:
            batch[column] = torch.tensor([example[column] for example in examples])
        return dict(batch)


def _training_arguments(settings: TrainSettings, scratch: Path) -> Any:
    return training_arguments(
        output_dir=str(scratch),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        per_device_train_batch_size=settings.batch_size,
        warmup_ratio=settings.warmup_ratio,
        weight_decay=settings.weight_decay,
        lr_scheduler_type="linear",
        seed=settings.seed,
        length_column_name="length",
        use_cpu=settings.device == "cpu",
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=settings.device != "cpu",
    )


def _report_to(progress: Progress) -> Any:
    from transformers import TrainerCallback

    class Report(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            progress(state.global_step, state.max_steps)

    return Report()
