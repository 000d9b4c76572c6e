"""The vocabulary compressor: tokens that the texts do not use go, and the tokenizer follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from glp_export.compress.budget import Budget
from glp_export.compress.compressors.base import Calibrator, CompressionEvaluator, Found
from glp_export.compress.edits import TrimVocabulary
from glp_export.compress.plan import Plan
from glp_export.core.errors import ModelError, UsageError
from glp_export.core.options import Options, option

if TYPE_CHECKING:
    from pydantic import BaseModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SHARE = 4
"""One token in so many stays where no number is asked for and the texts do not use more: the most
general pieces beside those in use, so that other texts are mostly cut as before."""


class VocabularyOptions(Options):
    """Which tokens stay."""

    panel: ClassVar[str] = "Vocabulary"

    vocabulary_size: int | None = option(
        None,
        "Keep so many tokens, at least those that the texts use; else a quarter of them, or as "
        "many as --size-budget lets stay.",
        gt=0,
    )


@dataclass(frozen=True)
class VocabularyCompressor:
    """The row of the vocabulary compressor."""

    name: str = "vocabulary"
    summary: str = "tokens that the texts do not use, with their rows of the embeddings"
    options: type[BaseModel] = VocabularyOptions

    def require(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """Check that tokens can go from the embeddings and from the tokenizer.

        Raises:
            ModelError: they cannot.
        """
        from glp_export.encoder.embedding_rows import needed_ids
        from glp_export.encoder.vocabulary import kept_token_ids

        needed = needed_ids(model)
        if model.get_output_embeddings() is not None:
            raise ModelError(
                "the vocabulary cannot be trimmed: the model's answers are tokens",
                where="--compress vocabulary",
                fix="leave vocabulary out for a language-model head",
            )
        kept_token_ids(tokenizer, (), also=needed & set(tokenizer.get_vocab().values()))

    def search(
        self, options: VocabularyOptions, budget: Budget, evaluator: CompressionEvaluator
    ) -> list[Found]:
        """The one plan that leaves all layers as they are.

        Raises:
            ModelError: the tokenizer cannot be trimmed.
            UsageError: a speed is asked for, or fewer layers.
        """
        if budget.times:
            raise UsageError(
                "a smaller vocabulary makes a model smaller, not faster",
                where="--compress vocabulary",
                fix="add what makes it faster: --compress structure,vocabulary",
            )
        plan = Plan(**evaluator.facts, compressors=(), strategy=self.name)
        return [self.follow(Found(plan), options, budget, evaluator)]

    def follow(
        self,
        found: Found,
        options: VocabularyOptions,
        budget: Budget,
        evaluator: CompressionEvaluator,
    ) -> Found:
        """Add the trimmed vocabulary to what another compressor found.

        Raises:
            ModelError: the tokenizer cannot be trimmed.
            UsageError: an answer for every token is asked for.
        """
        from glp_export.encoder.vocabulary import kept_token_ids

        if evaluator.answers_tokens:
            raise UsageError(
                f"{evaluator.task.kind} answers for every token, and a trimmed tokenizer cuts "
                "some texts into others",
                where="--compress vocabulary",
                fix="leave vocabulary out for this kind of task",
            )
        tokenizer, used = evaluator.tokenizer, evaluator.used_tokens
        size = options.vocabulary_size or -(-len(tokenizer) // SHARE)
        with evaluator.progress.stage("choose tokens") as meter:
            tokens = kept_token_ids(tokenizer, (), also=used, size=size)
            meter.advance(f"{len(tokens)} of {len(tokenizer)}, {len(used)} in use")
        plan = found.plan.model_copy(
            update={
                "compressors": (*found.plan.compressors, self.name),
                "edits": (*found.plan.edits, TrimVocabulary(tokens=tokens)),
                "settings": {**found.plan.settings, **options.model_dump(mode="json", exclude_none=True)},
            }
        )
        return Found(plan, found.start, found.drop)

    def start(self, plan: Plan, model: PreTrainedModel, calibrator: Calibrator) -> PreTrainedModel:
        """The model with the rows of the plan's tokens alone."""
        return plan.apply(model)


VOCABULARY = VocabularyCompressor()
