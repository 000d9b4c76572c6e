"""How sure it is that one candidate's loss is smaller than another's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def probability_smaller(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Probability that A's mean loss is smaller than B's on other examples of this kind.

    The same examples were given to both, so what makes an example hard for both cancels out: the
    mean of the paired differences is taken as normal (central limit theorem), which a bootstrap
    over the same pairs agrees with.

    Args:
        a: losses (rows,).
        b: losses (rows,) on the same examples.

    Returns:
        Between 0 and 1; 0.5 where nothing tells them apart.
    """
    from scipy.special import ndtr  # slow to import, and the command line comes by here

    differences = np.asarray(b, dtype=np.float64) - a
    spread = differences.std(ddof=1) if len(differences) > 1 else 0.0
    if spread == 0:
        return 0.5 + 0.5 * float(np.sign(differences.mean()))
    return float(ndtr(differences.mean() / (spread / np.sqrt(len(differences)))))
