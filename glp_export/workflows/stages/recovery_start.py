"""Where the recovery of a plan's model begins, and the plan of its rival."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING

from glp_export.compress.compressors import COMPRESSORS
from glp_export.compress.compressors.layers.strategies import Problem, order_by_rule
from glp_export.compress.compressors.structure.options import CALIBRATION_SAMPLES
from glp_export.compress.compressors.structure.ranked import with_weights
from glp_export.compress.plan import Plan
from glp_export.core.progress import Progress
from glp_export.encoder import HiddenStates, Recovery
from glp_export.encoder.embedding_rows import trim_embeddings
from glp_export.encoder.hidden_states import gives_states_of
from glp_export.encoder.vocabulary import trim_tokenizer
from glp_export.workflows.context import RunContext
from glp_export.workflows.stages.calibration import calibrator_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def tokenizer_of(context: RunContext, plan: Plan) -> PreTrainedTokenizerBase:
    """The tokenizer of the model that a plan makes: the run's own, or one of the kept tokens.

    Raises:
        ModelError: it cannot be trimmed so.
    """
    if plan.kept_tokens is None:
        return context.tokenizer
    return trim_tokenizer(context.tokenizer, plan.kept_tokens)


def needs_no_recovery(plan: Plan, recovery: Recovery) -> bool:
    """Whether a plan leaves all layers of the teacher, so that its model answers as that does."""
    return recovery.inherits and not plan.whole_vocabulary.edits


def has_student(plan: Plan) -> bool:
    """Whether the student that stands beside a plan's model is faster than the unpruned one."""
    return bool(plan.order) or plan.inside_layers


def ancestor_of(
    context: RunContext, recovery: Recovery, unpruned: PreTrainedModel, start: Path | None
) -> PreTrainedModel:
    """The model at full size whose weights a plan's model inherits.

    Args:
        context: of the run.
        recovery: says whether that is the unpruned model or the pretrained one.
        unpruned: fine-tuned.
        start: a directory of weights in their place; None for none.
    """
    ancestor = unpruned if recovery.inherits else context.pretrained()
    return ancestor if start is None else with_weights(ancestor, start)


def start_of(context: RunContext, plan: Plan, ancestor: PreTrainedModel) -> PreTrainedModel:
    """The compact model where recovery begins.

    What a compressor refits is fitted anew to the ancestor: the search looked at another one.
    """
    left = plan.whole_vocabulary
    if plan.blocks is not None:  # rows and columns shrink in training, then go
        begun = plan.whole_blocks.apply(ancestor)
        return copy.deepcopy(begun) if begun is ancestor else begun
    factored = plan.factors is not None  # nearest to the rows of the tokens that stay
    if left.layers_only or factored or left.compressors[0] not in COMPRESSORS:
        return plan.apply(ancestor)
    samples = int(plan.settings.get("calibration_samples", CALIBRATION_SAMPLES))
    calibrator = calibrator_of(context, ancestor, samples)
    start = COMPRESSORS[left.compressors[0]].load().start(left, ancestor, calibrator)
    return start if plan.kept_tokens is None else trim_embeddings(start, plan.kept_tokens)


def hidden_states_of(
    context: RunContext,
    plan: Plan,
    unpruned: PreTrainedModel,
    student: PreTrainedModel,
    progress: Progress,
) -> HiddenStates | None:
    """What the layers of a plan's model imitate, if anything."""
    weight = context.config.training.weight_of_hidden_states(changed=plan.changes_layers)
    if not weight:
        return None
    if not all(map(gives_states_of, (unpruned, student), (plan.num_layers, plan.depth))):
        progress.say("its layers give no hidden states: the answers alone are imitated")
        return None
    return HiddenStates.of(
        unpruned,
        plan.kept,
        plan.num_layers,
        weight=weight,
        embeddings=plan.factors is not None and plan.factors.embedding is not None,
        tokens=plan.kept_tokens,
    )


def alternate_student(plan: Plan, removable: tuple[int, ...]) -> Plan:
    """The plan of the student that stands beside a pruned model: every other layer goes.

    It has as many layers as the pruned model, or as many as take about its time where more than
    whole layers went.
    """
    cuts = len(plan.order)
    if plan.inside_layers:
        speedup = plan.predicted_speedup or 1.0
        cuts = min(plan.num_layers - max(1, round(plan.num_layers / speedup)), len(removable))
    return Plan.of_layers(
        order_by_rule("alternate", Problem(removable, cuts)),
        **{name: getattr(plan, name) for name in _BASE},
        strategy="alternate",
    )


_BASE = ("base_model", "revision", "checksum", "num_layers", "base_shape", "task", "metric")
"""Fields of a plan that say which model it is for."""
