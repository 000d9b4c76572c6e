"""One contender alone in a process: `memory` starts it, and it prints its peak in MiB."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from glp_export.bench.contenders import Contender
from glp_export.bench.runtimes import open_contender
from glp_export.bench.shapes import shape_grid
from glp_export.core import machine

_ON_GPU = {machine.CUDA, "TensorrtExecutionProvider"}


def peak_of(contender: Contender, batch_size: int, sequence_length: int) -> float:
    """Run one batch in this process and say what it took, in MiB."""
    [workload] = shape_grid([contender], [batch_size], [sequence_length])
    if contender.provider not in _ON_GPU:
        open_contender(contender)(workload.batches[0])
        return peak_resident_mb()
    import torch

    # The arenas of PyTorch and ONNX Runtime do not shrink, so what is gone afterwards is the peak.
    free_before, _ = torch.cuda.mem_get_info()
    run = open_contender(contender)
    run(workload.batches[0])
    free_after, _ = torch.cuda.mem_get_info()
    return (free_before - free_after) / 2**20


def peak_resident_mb() -> float:
    """The highest resident set of this process, in MiB."""
    try:
        # Not getrusage on Linux: ru_maxrss keeps the size of the process that forked this one.
        status = Path("/proc/self/status").read_text()
        match = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        if match:
            return int(match.group(1)) / 2**10
    except OSError:
        pass
    import psutil

    own = psutil.Process().memory_info()
    return float(getattr(own, "peak_wset", 0) or _maximum_rss()) / 2**20


def _maximum_rss() -> int:
    """`ru_maxrss` in bytes, which macOS counts in bytes and others in kB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 2**10


if __name__ == "__main__":
    line, batch, length = json.loads(sys.argv[1])
    print(peak_of(Contender.from_json(line), batch, length))
