"""The vocabulary compressor: tokens that the texts do not use go, and the tokenizer follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from glp_export.compress.accuracy import DropScore
from glp_export.compress.budget import Budget
from glp_export.compress.compressors.base import CompressionEvaluator, Found, UntrainedFollower
from glp_export.compress.edits import Edit, KroneckerFactors, TrimVocabulary
from glp_export.compress.plan import Plan
from glp_export.core.errors import AccuracyError, LatencyError, ModelError
from glp_export.core.numbers import ROUNDING
from glp_export.core.options import Options, option
from glp_export.tasks import score

if TYPE_CHECKING:
    from pydantic import BaseModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SHARE = 4
"""One token in so many stays where no number is asked for and the texts do not use more: the most
general pieces beside those in use, so that other texts are mostly cut as before."""

MARGIN = 1.01
"""Tokens are chosen for so much less than the size asked for: pieces differ in length, and a graph
that is optimised has other nodes."""


class VocabularyOptions(Options):
    """Which tokens stay."""

    panel: ClassVar[str] = "Vocabulary"

    vocabulary_size: int | None = option(
        None,
        "Keep this many tokens, at least those that the texts use. Default: a quarter of them, or "
        "as many as --size-budget has room for.",
        gt=0,
    )


@dataclass(frozen=True)
class VocabularyCompressor(UntrainedFollower):
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

    def follow(
        self,
        found: Found,
        options: VocabularyOptions,
        budget: Budget,
        evaluator: CompressionEvaluator,
    ) -> Found:
        """Add the trimmed vocabulary to what another compressor found.

        Raises:
            AccuracyError: so few tokens as are asked for lose more than may be lost.
            LatencyError: even the tokens in use are too many for the size that is asked for.
            ModelError: the tokenizer cannot be trimmed.
        """
        tokenizer, used = evaluator.tokenizer, evaluator.used_tokens
        with evaluator.progress.stage("choose tokens") as meter:
            if options.vocabulary_size is None and budget.megabytes is not None:
                size = _that_fit(found.plan, budget.megabytes, evaluator)
            else:
                size = options.vocabulary_size or -(-len(tokenizer) // SHARE)
            if budget.max_drop is not None:
                free = options.vocabulary_size is None and budget.megabytes is None
                size, drop = _accurate(size, found.drop, budget.max_drop, evaluator, free=free)
                found = replace(found, drop=found.drop + drop)
            plan = trimmed(found.plan, evaluator, size)
            tokens = plan.kept_tokens or ()
            meter.advance(f"{len(tokens)} of {len(tokenizer)}, {len(used)} in use")
        if len(tokens) == len(tokenizer):
            evaluator.progress.say(f"all {len(tokens)} tokens stay")
        settings = options.model_dump(mode="json", exclude_none=True)
        return found.followed(plan, self.name, settings)


def trimmed(plan: Plan, evaluator: CompressionEvaluator, size: int | None = None) -> Plan:
    """A plan with the tokens in use, and the most general others up to a size."""
    from glp_export.encoder.vocabulary import kept_token_ids

    also = evaluator.used_tokens
    edit = TrimVocabulary(tokens=kept_token_ids(evaluator.tokenizer, (), also=also, size=size))
    return plan.model_copy(update={"edits": _with(plan.edits, edit)})


def _accurate(
    size: int, lost: float, max_drop: float, evaluator: CompressionEvaluator, *, free: bool
) -> tuple[int, float]:
    """How many tokens stay so that no more is lost than may be, and what they lose.

    Texts that come later have words that no text at hand has. Dev stands for them: as many tokens
    are judged, but chosen without it, on the unpruned model's answers.

    Args:
        size: that is wanted.
        lost: by what went before.
        max_drop: that may be lost in all.
        evaluator: answers.
        free: whether more may stay than are wanted.

    Raises:
        AccuracyError: they lose more, and no more may stay.
    """
    from glp_export.encoder.vocabulary import kept_token_ids

    tokenizer, most = evaluator.tokenizer, max(0.0, max_drop - max(0.0, lost))
    parts = [-(-part * len(tokenizer) // SHARE) for part in range(1, SHARE + 1)] if free else []
    while True:
        tokens = kept_token_ids(tokenizer, (), also=evaluator.train_tokens, size=size)
        if len(tokens) == len(tokenizer):
            return size, 0.0
        logits = evaluator.spelled(tokens)
        reached = score(evaluator.task, logits, evaluator.truth)
        label = f"{len(tokens)} tokens chosen without dev"
        found = DropScore.of(label, reached, logits, evaluator.truth, most, evaluator)
        evaluator.progress.say(found.words(evaluator.task.metric, most))
        if found.drop <= most + ROUNDING:
            return size, max(0.0, found.drop)
        larger = [one for one in parts if one > len(tokens)]
        if not larger:
            break
        size = larger[0]
    raise AccuracyError(
        f"{label} lose {found.drop:.3f} ({found.low:.3f} to {found.high:.3f}) on dev, "
        f"and {most:.3f} is left to be lost",
        where=f"--max-drop {max_drop:g}",
        fix="keep more (a larger --vocabulary-size or --size-budget, texts of production with "
        "--unlabeled), or allow a larger drop",
    )


def _with(edits: tuple[Edit, ...], edit: TrimVocabulary) -> tuple[Edit, ...]:
    """Before Kronecker factors, which are then fitted to the rows of the tokens that stay."""
    factored = edits and isinstance(edits[-1], KroneckerFactors)
    return (*edits[:-1], edit, edits[-1]) if factored else (*edits, edit)


def _that_fit(plan: Plan, most: float, evaluator: CompressionEvaluator) -> int:
    """How many tokens an artifact of so many megabytes has room for.

    Every token takes about as many bytes, so two sizes tell those between them.
    """
    least = trimmed(plan, evaluator)
    fewest, taken = len(least.kept_tokens or ()), evaluator.megabytes(least)
    if taken > most:
        raise LatencyError(
            f"{least.label} take {taken:.2f} MB, and fewer tokens would not spell the texts",
            where=f"--size-budget {most:g}MB",
            fix="take out more besides (--compress layers,vocabulary with a smaller --depth, "
            "structure,vocabulary with a larger --target-speedup), add --precision int8 or "
            "--int8-scope full, or allow more megabytes",
        )
    whole = len(evaluator.tokenizer)
    per_token = (evaluator.megabytes(plan) - taken) / max(1, whole - fewest)
    room = (most / MARGIN - taken) / per_token if per_token > 0 else 0.0
    return max(fewest, min(whole, fewest + int(room)))


VOCABULARY = VocabularyCompressor()
