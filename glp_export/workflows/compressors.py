"""Which compressors a run uses, what budget they get, and what their search may cost."""

from __future__ import annotations

from dataclasses import replace

from glp_export.compress.budget import Budget, TimeBudget
from glp_export.compress.compressors import AUTO, COMPRESSORS, names_of
from glp_export.compress.compressors.layers.options import LayerOptions
from glp_export.compress.search_cost import SearchCost
from glp_export.config.targets import DEFAULT_SHAPE
from glp_export.core.errors import ModelError
from glp_export.encoder.positions import longest_of_model
from glp_export.workflows.context import RunContext

LAYERS, STRUCTURE, VOCABULARY = "layers", "structure", "vocabulary"


def compressors_of(context: RunContext) -> tuple[str, ...]:
    """The keys of `COMPRESSORS` that a run uses, in order.

    Without a wish, a target of speed is met by structure where the family allows it, a number of
    layers by whole layers, as in the paper, and a size by the vocabulary, where the tokenizer
    allows it: that costs the least.
    """
    asked = names_of(context.config.compress.compress)
    if asked != (AUTO,):
        return asked
    targets = context.config.targets
    if targets.size is not None and not context.config.compress.plan and _can_be_trimmed(context):
        alone = not context.depths and not targets.any
        return (VOCABULARY,) if alone else (_of_layers(context), VOCABULARY)
    return (_of_layers(context),)


def not_looked_at(context: RunContext) -> list[str]:
    """A sentence if options were given of compressors that take no part, or beside a plan."""
    config = context.config
    used = () if config.compress.plan else compressors_of(context)
    given = [
        name
        for compressor, options in config.compressors.items()
        if compressor not in used
        for name, value in options
        if value != type(options).model_fields[name].default
    ]
    if config.compress.plan and names_of(config.compress.compress) != (AUTO,):
        given.insert(0, "compress")
    if not given:
        return []
    flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
    why = f"--compress is {','.join(used)}" if used else "the plan says what goes"
    return [f"{flags}: not looked at, since {why}"]


def _can_be_trimmed(context: RunContext) -> bool:
    if context.execution.kind.of_tokens:
        return False
    try:
        COMPRESSORS[VOCABULARY].load().require(context.pretrained(), context.tokenizer)
    except ModelError:
        return False
    return True


def _of_layers(context: RunContext) -> str:
    """What takes layers out, or parts of them; a strategy that is named is one of whole layers."""
    named = context.config.layers.search != LayerOptions().search
    if context.config.compress.plan or named or not context.config.targets.any:
        return LAYERS
    return STRUCTURE if context.has_sublayers else LAYERS


def budget_of(context: RunContext, tail: float = 1.0) -> Budget:
    """What the targets of a run ask for.

    Args:
        context: of the run.
        tail: of the unpruned model, the percentile of the latency budget over the median: a
            latency table knows medians.
    """
    targets = context.config.targets
    times = []
    for one in targets.speedups:
        shape = one.shape
        times.append(TimeBudget(shape.batch_size, shape.sequence_length, speedup=one.value))
    if targets.latency is not None:
        shape, most = targets.latency.shape, targets.latency.milliseconds / tail
        own = TimeBudget(shape.batch_size, shape.sequence_length, milliseconds=most)
        if times and all(replace(one, speedup=None, milliseconds=most) == own for one in times):
            times = [replace(one, milliseconds=most) for one in times]  # each model keeps both
        else:
            times.append(own)
    megabytes = None if targets.size is None else targets.size.megabytes
    length = min(DEFAULT_SHAPE.sequence_length, longest_of_model(context.pretrained()))
    return Budget(
        cuts=context.cuts,
        depths=context.depths,
        times=tuple(times),
        shape=(DEFAULT_SHAPE.batch_size, length),
        max_drop=targets.max_drop,
        megabytes=megabytes,
    )


def search_cost_of(context: RunContext) -> SearchCost:
    """What the search of a run may spend at most; nothing with a plan."""
    if context.config.compress.plan:
        return SearchCost(strategy=f"plan {context.config.compress.plan}", stages=0)
    first, *others = compressors_of(context)
    cost = (
        COMPRESSORS[first]
        .load()
        .cost(
            context.config.compressors[first],
            budget_of(context),
            context.base_shape,
            context.stack.removable,
        )
    )
    return replace(cost, stages=cost.stages + len(others))
