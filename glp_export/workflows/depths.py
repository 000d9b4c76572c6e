"""How many layers the models of a run keep: one depth, several, or a sweep of them."""

from __future__ import annotations

from glp_export.compress.compressors.layers.depths import require_nested
from glp_export.config.run_config import RunConfig
from glp_export.core.errors import UsageError
from glp_export.encoder import LayerStack


def wanted_depths(config: RunConfig, stack: LayerStack) -> tuple[int, ...]:
    """The depths that are asked for, deepest first, each once.

    Without a wish it is half of the layers that may go; () with a plan, whose whole order counts
    then, and with targets, which the depth is found for later.

    Raises:
        UsageError: the stack cannot have one of the depths, or the search serves one depth only.
    """
    total, options = stack.num_layers, config.compress
    if options.sweep:
        depths, flag = sweep_depths(stack), "--sweep"
    elif options.depths is not None:
        depths, flag = options.depths, "--depths"
    elif options.prune is not None:
        depths, flag = (total - options.prune,), "--prune"
    elif options.depth is not None:
        depths, flag = (options.depth,), "--depth"
    elif options.plan or options.targets.any or options.targets.size is not None:
        return ()
    else:
        return (total - len(stack.removable) // 2,)
    for depth in depths:
        _require_possible(stack, depth, flag)
    if not options.plan:
        require_nested(config.layers.search, depths, flag)
    return tuple(sorted(set(depths), reverse=True))


def most_cuts(config: RunConfig, stack: LayerStack) -> int:
    """How many layers a search may have to choose; 0 with a plan that is taken whole.

    Raises:
        UsageError: as `wanted_depths`, or no layer can go.
    """
    depths = wanted_depths(config, stack)
    if depths:
        return stack.num_layers - min(depths)
    if config.compress.plan:
        return 0
    most = _most(stack)
    _require_possible(stack, stack.num_layers - max(1, most), "a target")
    return most


def sweep_depths(stack: LayerStack) -> tuple[int, ...]:
    """Every second depth from two layers fewer down to a quarter of them: 10, 8, 6, 4 of 12.

    One layer fewer where the stack is too shallow for that.
    """
    total = stack.num_layers
    least = max(1, round(total / 4), total - _most(stack))
    return tuple(range(total - 2, least - 1, -2)) or (total - 1,)


def _most(stack: LayerStack) -> int:
    """How many layers can go."""
    return min(len(stack.removable), stack.num_layers - 1)


def _require_possible(stack: LayerStack, depth: int, flag: str) -> None:
    total, most = stack.num_layers, _most(stack)
    if 1 <= total - depth <= most:
        return
    given = total - depth if flag == "--prune" else depth
    raise UsageError(
        f"a model of {total} layers cannot be pruned to {max(0, depth)}",
        where=f"{flag} {given}",
        fix=f"remove 1 to {most}, which keeps {total - 1} to {total - most}",
    )
