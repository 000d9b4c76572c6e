"""The layer orders that the paper's authors published, shipped as plans.

`paper:bert-base-uncased/rte` names one. Facts from the repository
deepopinion/greedy-layer-pruning; each plan carries its source.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from glp_export.compress.plan import Plan
from glp_export.core.errors import DataError

PREFIX = "paper:"


def published_plans() -> dict[str, Path]:
    """All shipped plans, `paper:MODEL/TASK` to file."""
    folder = _folder()
    return {
        f"{PREFIX}{file.parent.name}/{file.stem}": file for file in sorted(folder.glob("*/*.json"))
    }


def published_plan(name: str) -> Plan:
    """Read the plan of that name.

    Raises:
        DataError: no such plan; the message names the closest.
    """
    plans = published_plans()
    if name not in plans:
        close = get_close_matches(name, plans, n=3, cutoff=0.3) or list(plans)[:3]
        raise DataError(
            f"no published plan {name!r}", where="--plan", fix=f"there are {', '.join(close)}, …"
        )
    return Plan.load(plans[name])


def _folder() -> Path:
    """`models/plans`: beside the package in a checkout, inside it in an installed wheel."""
    package = Path(__file__).parents[3]
    inside = package / "models" / "plans"
    return inside if inside.is_dir() else package.parent / "models" / "plans"
