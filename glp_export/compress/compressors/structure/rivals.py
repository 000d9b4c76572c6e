"""Whole layers that a chosen structure has to beat in the final round."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from glp_export.compress.budget import Budget
from glp_export.compress.compressors.layers.compressor import LAYERS
from glp_export.compress.compressors.layers.options import LayerOptions
from glp_export.compress.compressors.layers.strategies import Problem, order_by_rule
from glp_export.compress.compressors.structure.choice import Chooser, wanted_ms
from glp_export.compress.compressors.structure.final_round import Finalist, FinalRound
from glp_export.compress.latency_table import LatencyTable
from glp_export.compress.plan import Cost
from glp_export.compress.search_space import removed_layers
from glp_export.compress.selection import Selection, selection_ms
from glp_export.core.numbers import layers_in_words

RIVAL_RULES = ("alternate", "symmetric", "top")
"""Rules of whole layers that a chosen structure has to beat in the final round, beside the layers
that the layers compressor finds."""


def rivals_by_rule(chooser: Chooser, table: LatencyTable) -> list[Finalist]:
    """Whole layers by the rules, at about the same time, which structure has to beat."""
    removable, fits = chooser.evaluator.removable, _fitting(chooser, table)
    found: dict[Selection, str] = {}
    for rule in RIVAL_RULES:
        orders = (
            order_by_rule(rule, Problem(removable, cuts)) for cuts in range(1, len(removable) + 1)
        )
        choice = next(filter(None, map(fits, orders)), None)
        if choice is not None:
            found.setdefault(choice, f"layers ({rule})")
    return [Finalist(label, choice) for choice, label in found.items()]


def search_rival(
    chooser: Chooser, table: LatencyTable, rivals: Sequence[Finalist], final_round: FinalRound
) -> Cost:
    """Add the layers that the layers compressor finds to a final round.

    Returns what finding them took, with the teacher's training.

    Its search is worth a few points where many layers go, and it takes most of the time: nothing is
    searched where layers are far behind.
    """
    evaluator, options = chooser.evaluator, LayerOptions()
    fewest = min(len(removed_layers(one.selection)) for one in rivals)
    if final_round.settled():
        evaluator.progress.skip(
            "layers by search", "not needed, whole layers by rule are far behind"
        )
        return evaluator.teacher_cost
    evaluator.progress.say(f"rivals: a search for {layers_in_words(fewest)} that may go whole")
    plan = LAYERS.search(options, Budget(cuts=fewest), evaluator)[0].plan
    choice = _fitting(chooser, table)(plan.order)
    if choice is not None and choice not in {one.selection for one in rivals}:
        final_round.train([Finalist(f"layers ({options.search})", choice)])
    return plan.cost


def _fitting(chooser: Chooser, table: LatencyTable) -> Callable[[Sequence[int]], Selection | None]:
    """Tells of layers that go the choice without them, where it is fast enough and one stays."""
    space, wanted = chooser.space(table), wanted_ms(chooser.time, table)
    whole = [
        (max(layer.attention.counts), max(layer.feed_forward.counts)) for layer in space.layers
    ]

    def fits(removed: Sequence[int]) -> Selection | None:
        layers = tuple(None if n in removed else pair for n, pair in enumerate(whole))
        if all(layer is None for layer in layers):
            return None
        milliseconds = selection_ms(space, layers)
        return Selection(layers, 0.0, milliseconds) if milliseconds <= wanted else None

    return fits
