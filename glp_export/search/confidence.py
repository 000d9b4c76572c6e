"""How sure it is that one candidate is nearer to the teacher than another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr


def probability_nearer(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Probability that A's mean distance is smaller than B's on other examples of this kind.

    The same examples were given to both, so what makes an example hard for both cancels out: the
    mean of the paired differences is taken as normal (central limit theorem), which a bootstrap
    over the same pairs agrees with.

    Args:
        a: distances (rows,).
        b: distances (rows,) on the same examples.

    Returns:
        Between 0 and 1; 0.5 where nothing tells them apart.
    """
    differences = np.asarray(b, dtype=np.float64) - a
    if not np.isfinite(differences).all():
        return float(np.isfinite(a).all()) if not np.isfinite(b).all() else 0.0
    spread = differences.std(ddof=1) if len(differences) > 1 else 0.0
    if spread == 0:
        return 0.5 + 0.5 * float(np.sign(differences.mean()))
    return float(ndtr(differences.mean() / (spread / np.sqrt(len(differences)))))
