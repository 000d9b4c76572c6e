"""Whole layers: Greedy-layer Pruning (Peer et al. 2022) and the strategies beside it."""

from glp_export.compress.compressors.layers.layer_file import (
    read_layer_file,
    read_log,
    write_layer_file,
)
from glp_export.compress.compressors.layers.published import published_plan, published_plans
from glp_export.compress.compressors.layers.search import read_plan, search
from glp_export.compress.compressors.layers.strategies import (
    RULES,
    STRATEGIES,
    Problem,
    SearchCost,
    Strategy,
    order_by_rule,
)

__all__ = [
    "RULES",
    "STRATEGIES",
    "Problem",
    "SearchCost",
    "Strategy",
    "order_by_rule",
    "published_plan",
    "published_plans",
    "read_layer_file",
    "read_log",
    "read_plan",
    "search",
    "write_layer_file",
]
