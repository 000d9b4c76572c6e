"""Which layers go: plans, strategies, the journal, and where candidates are tried."""

from glp_export.search.ground import Ground
from glp_export.search.journal import Journal
from glp_export.search.layer_file import read_layer_file, read_log, write_layer_file
from glp_export.search.plan import Candidate, Cost, Plan, Step
from glp_export.search.published import published_plan, published_plans
from glp_export.search.search import read_plan, search
from glp_export.search.strategies import (
    RULES,
    STRATEGIES,
    Effort,
    Problem,
    Strategy,
    order_by_rule,
)
from glp_export.search.trial import Trial
from glp_export.search.workbench import TrialBench, Workbench
from glp_export.search.workers import WORKERS, Share, Workers

__all__ = [
    "RULES",
    "STRATEGIES",
    "WORKERS",
    "Candidate",
    "Cost",
    "Effort",
    "Ground",
    "Journal",
    "Plan",
    "Problem",
    "Share",
    "Step",
    "Strategy",
    "Trial",
    "TrialBench",
    "Workbench",
    "Workers",
    "order_by_rule",
    "published_plan",
    "published_plans",
    "read_layer_file",
    "read_log",
    "read_plan",
    "search",
    "write_layer_file",
]
