"""Training an encoder on a task, on top of transformers' Trainer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core.scratch import scratch_directory
from glp_export.encoder.batches import Collator, forward, kind_of, training_rows
from glp_export.encoder.bf16 import with_autocast
from glp_export.encoder.regulariser import Regulariser, regulated
from glp_export.encoder.target_scale import TargetScale
from glp_export.encoder.train_settings import TrainSettings
from glp_export.encoder.transformers_compat import training_arguments
from glp_export.encoder.watched_training import Progress, Watch, progress_callback, train_watched
from glp_export.encoder.word_rows import only_occurring
from glp_export.tasks.arrow_columns import numbers
from glp_export.tasks.kinds.learning import own_loss

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase, Trainer

REPORTS = 50
"""Times that a training is reported of, where trackers are told."""


def finetune(
    model: PreTrainedModel,
    examples: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    settings: TrainSettings,
    progress: Progress | None = None,
    watch: Watch | None = None,
    regulariser: Regulariser | None = None,
) -> PreTrainedModel:
    """Train `model` in place on the labels of `examples` (encoded) and return it, in eval mode.

    Of a kind of task whose labels teach nothing the model comes back as it is.

    Args:
        watch: ends the training by dev; None for the epochs of `settings`.
        regulariser: moves the training besides.
    """
    loss = kind_of(model).loss
    if loss is None:
        return model.eval()
    scale = scale_of(model, examples)
    trainer = _loss_trainer(loss, scale)
    trainer = trainer if regulariser is None else regulated(trainer, regulariser)
    return run_trainer(
        trainer,
        model,
        examples,
        tokenizer,
        settings,
        progress,
        watch=watch,
        scale=scale,
        besides=regulariser.examples if regulariser else (),
    )


def scale_of(
    model: PreTrainedModel, examples: Dataset, predictions: NDArray[np.float32] | None = None
) -> TargetScale | None:
    """The scale of what a regression is trained on; None for other kinds of task.

    Args:
        predictions: a teacher's, that are imitated; else labels are learned.
    """
    if not kind_of(model).scaled:
        return None
    return TargetScale.of(numbers(examples, "labels") if predictions is None else predictions)


def run_trainer(
    trainer_class: type[Trainer],
    model: PreTrainedModel,
    examples: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    settings: TrainSettings,
    progress: Progress | None = None,
    predictions: NDArray[np.float32] | None = None,
    watch: Watch | None = None,
    scale: TargetScale | None = None,
    besides: Sequence[Dataset] = (),
) -> PreTrainedModel:
    """Train with a Trainer or a subclass of it, batches grouped by length and padded alone.

    Nothing is kept on disk. The same seed on the same machine gives the same weights.

    Args:
        predictions: of a teacher to every example; they come with the batch as `batches.TEACHER`.
        watch: ends the training by dev; None for the epochs of `settings`.
        scale: of a regression's targets.
        besides: encoded rows that a regulariser shows the model.
    """
    if scale is not None:
        scale.begin(model)
        trainer_class = scale.trainer(trainer_class)
    rows = training_rows(model, examples, tokenizer, numbered=predictions is not None)

    def train(settings: TrainSettings, callbacks: list[Any], updates: int = -1) -> Any:
        from transformers import PrinterCallback, set_seed

        set_seed(settings.seed)
        with scratch_directory("glp-trainer-") as scratch:
            trainer = with_autocast(_grouped_by_length(trainer_class), settings)(
                model=model,
                args=_training_arguments(settings, scratch, updates),
                train_dataset=rows,
                data_collator=Collator(tokenizer, predictions),
                callbacks=callbacks,
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        return trainer

    with only_occurring(model, (rows, *besides), tokenizer):
        if watch is None:
            train(settings, [progress_callback(progress)] if progress else [])
        else:
            train_watched(model, tokenizer, settings, progress, watch, train)
    return model.eval()


def _grouped_by_length(trainer_class: Any) -> Any:
    """A Trainer whose batches hold examples of like length, as its `group_by_length` makes them.

    That looks every length up in the table anew, which takes the longer the more rows there are.
    """
    from transformers.trainer_pt_utils import LengthGroupedSampler

    class Grouped(trainer_class):
        def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Any:
            lengths = numbers(self.train_dataset, "length").tolist()
            return LengthGroupedSampler(self.args.train_batch_size, lengths=lengths)

    return Grouped


def _loss_trainer(
    loss_of: Callable[[Any, Mapping[str, Any]], Any], scale: TargetScale | None
) -> Any:
    from transformers import Trainer

    if loss_of is own_loss and scale is None:
        return Trainer

    class LossTrainer(Trainer):
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any
        ) -> Any:
            outputs = forward(model, inputs)
            loss = loss_of(outputs, inputs)
            loss = loss if scale is None else loss / scale.variance
            return (loss, outputs) if return_outputs else loss

    return LossTrainer


def _training_arguments(settings: TrainSettings, scratch: Path, updates: int = -1) -> Any:
    return training_arguments(
        max_steps=updates,
        output_dir=str(scratch),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        per_device_train_batch_size=settings.batch_size,
        warmup_ratio=settings.warmup_ratio,
        lr_scheduler_type="linear",
        seed=settings.seed,
        use_cpu=settings.device == "cpu",
        save_strategy="no",
        logging_strategy="steps" if settings.report_to else "no",
        logging_steps=1 / REPORTS,
        report_to=[*settings.report_to],
        run_name=settings.run_name,
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=settings.device != "cpu",
    )
