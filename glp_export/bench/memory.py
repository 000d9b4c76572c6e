"""Peak memory of a contender, taken in a process of its own that does nothing else.

In the measuring process all contenders lie side by side, and an allocator keeps what it once had;
only a fresh process shows what serving this one model takes, its libraries included.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from glp_export.bench.contenders import Contender
from glp_export.bench.shapes import Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

logger = logging.getLogger(__name__)

_TIMEOUT = 600.0  # seconds; loading a model of many GB from a cold disk takes minutes


def peak_memory_mb(contender: Contender, shape: Shape) -> float | None:
    """Peak memory, in MiB, of a process that loads a contender and runs one full-length batch.

    On the CPU: the process's highest resident set, interpreter and libraries included (about
    45 MiB of it are Python, NumPy and this package). On a GPU: what the contender holds of the
    device's memory beyond the CUDA context, which is right only while no other process takes or
    frees memory there.

    Costs a process start (3 to 4 s where torch is imported). None, and a warning in the log, if
    the process fails.
    """
    job = json.dumps([contender.to_json(), shape.batch_size, shape.sequence_length])
    command = [sys.executable, "-m", "glp_export.bench.memory_probe", job]
    places = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, places))}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=_TIMEOUT, check=True
        )
        return float(done.stdout.split()[-1])
    except (subprocess.SubprocessError, OSError, IndexError, ValueError) as error:
        reason = getattr(error, "stderr", None) or str(error)
        logger.warning("no peak memory for %s: %s", contender.label, str(reason).strip()[-300:])
        return None


def largest(shapes: Sequence[Shape]) -> Shape:
    """The shape with the most tokens."""
    return max(shapes, key=lambda shape: shape.batch_size * shape.sequence_length)
