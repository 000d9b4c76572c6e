"""The Kronecker compressor: matrices become sums of Kronecker products (KroneckerBERT)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from glp_export.compress.budget import Budget
from glp_export.compress.compressors.base import CompressionEvaluator, Found, UntrainedFollower
from glp_export.compress.edits import KroneckerFactors
from glp_export.compress.plan import Plan
from glp_export.core.errors import LatencyError, ModelError
from glp_export.core.factors import PRESETS, Factors, Preset
from glp_export.core.options import Options, option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import BaseModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

USUAL = "x8"
"""The factors where nothing is asked for: the paper's middle ones."""

GENERAL_EPOCHS = 3.0
"""Passes over the unlabelled texts where nothing is asked for."""

ANY = Preset(Factors((1, 1)), Factors((1, 1)))
"""Factors that divide every matrix, to ask whether a model can have some at all."""


class KroneckerOptions(Options):
    """Which factors the matrices get, and how they are trained."""

    panel: ClassVar[str] = "Kronecker factors"

    kronecker_ratio: Literal["x5", "x8", "x21"] | None = option(
        None,
        "Sizes of the factors, named by how much smaller they make bert-base: x5, x8 or x21. "
        "Default: x8, or the mildest that keeps --size-budget.",
    )
    kronecker_terms: int | None = option(
        None, "Products in the sum of a layer's matrix. Default: by the ratio.", gt=0
    )
    dense_embeddings: bool = option(False, "Leave the word embeddings as they are.")
    general_epochs: float = option(
        GENERAL_EPOCHS, "Passes over the --unlabeled texts before the training on the task.", ge=0
    )


@dataclass(frozen=True)
class KroneckerCompressor(UntrainedFollower):
    """The row of the Kronecker compressor."""

    name: str = "kronecker"
    summary: str = "matrices of the layers and the word embeddings, as sums of Kronecker products"
    options: type[BaseModel] = KroneckerOptions

    def require(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        """Check that the linear layers of a model are those that can have factors.

        Raises:
            ModelError: they are not.
        """
        from glp_export.encoder.kronecker import parameters_after

        parameters_after(model, ANY)

    def follow(
        self,
        found: Found,
        options: KroneckerOptions,
        budget: Budget,
        evaluator: CompressionEvaluator,
    ) -> Found:
        """Add factors to the layers that another compressor left.

        Raises:
            LatencyError: the smallest factors take more than the size that is asked for.
            ModelError: the factors do not divide the model's matrices.
        """
        with evaluator.progress.stage("choose factors") as meter:
            name, plan = self._chosen(found.plan, options, budget, evaluator)
            meter.advance(f"{name}: {_parameters_words(plan, evaluator)}")
        settings = {**options.model_dump(mode="json", exclude_none=True), "kronecker_ratio": name}
        return found.followed(plan, self.name, settings)

    def _chosen(
        self,
        plan: Plan,
        options: KroneckerOptions,
        budget: Budget,
        evaluator: CompressionEvaluator,
    ) -> tuple[str, Plan]:
        """The factors that were asked for, or the mildest that keep a size."""
        tried = ""
        for name, preset in _presets(options, budget):
            made = plan.model_copy(update={"edits": (*plan.edits, KroneckerFactors.of(preset))})
            _require_divisible(made, evaluator)
            if budget.megabytes is None:
                return name, made
            taken = evaluator.least_megabytes(made)
            if taken <= budget.megabytes:
                return name, made
            tried = f"{name} take {taken:.2f} MB"
        raise LatencyError(
            f"Kronecker factors {tried}",
            where=f"--size-budget {budget.megabytes:g}MB",
            fix="add what makes it smaller still (--compress kronecker,vocabulary, --precision "
            "int8, --depth with --compress layers,kronecker), or ask for more",
        )


def _presets(options: KroneckerOptions, budget: Budget) -> Iterator[tuple[str, Preset]]:
    """The factors that may be, by name, the mildest first."""
    names = [options.kronecker_ratio or USUAL]
    if options.kronecker_ratio is None and budget.megabytes is not None:
        names = list(PRESETS)
    for name in names:
        preset = PRESETS[name]
        if options.dense_embeddings:
            preset = replace(preset, embedding=None)
        if options.kronecker_terms is not None:
            attention, feed_forward = (
                replace(factors, terms=options.kronecker_terms)
                for factors in (preset.attention, preset.feed_forward)
            )
            preset = replace(preset, attention=attention, feed_forward=feed_forward)
        yield name, preset


def _require_divisible(plan: Plan, evaluator: CompressionEvaluator) -> None:
    """Check the sizes before anything is trained for them.

    Raises:
        ModelError: factors that do not divide a matrix, or too many terms.
    """
    from glp_export.encoder.kronecker import parameters_after

    if plan.factors is None:
        return
    try:
        parameters_after(evaluator.given, plan.factors)
    except ModelError as error:
        fix = f"{error.fix}: --kronecker-ratio, --kronecker-terms"
        raise ModelError(error.what, where=error.where, fix=fix) from None


def _parameters_words(plan: Plan, evaluator: CompressionEvaluator) -> str:
    """`22.7 M parameters become 3.2 M`."""
    from glp_export.encoder.kronecker import count_parameters, parameters_after
    from glp_export.encoder.layer_stack import remove_layers

    model = evaluator.given
    before = count_parameters(model)
    left = remove_layers(model, plan.order) if plan.order else model
    after = before if plan.factors is None else parameters_after(left, plan.factors)
    return f"{before / 1e6:.2f} M parameters become {after / 1e6:.2f} M"


KRONECKER = KroneckerCompressor()
