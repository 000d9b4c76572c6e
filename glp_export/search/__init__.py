"""Which layers go: plans, strategies, the journal, and where candidates are scored."""

from glp_export.search.candidates import FineTunedCandidates
from glp_export.search.journal import Journal
from glp_export.search.layer_file import read_layer_file, read_log, write_layer_file
from glp_export.search.plan import Candidate, Cost, Plan, Step
from glp_export.search.published import published_plan, published_plans
from glp_export.search.search import read_plan, search
from glp_export.search.strategies import STRATEGIES, Problem, Strategy

__all__ = [
    "STRATEGIES",
    "Candidate",
    "Cost",
    "FineTunedCandidates",
    "Journal",
    "Plan",
    "Problem",
    "Step",
    "Strategy",
    "published_plan",
    "published_plans",
    "read_layer_file",
    "read_log",
    "read_plan",
    "search",
    "write_layer_file",
]
