"""One gate in a process of its own, as CI runs it: prints its verdict and every round as JSON.

Used by gate_error_rates.py. A process has its own memory layout, and with it its own small bias of
a ratio; many gates within one process would not show it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator

from glp_export.bench import Contender, shape_grid
from glp_export.gate.budget_line import read_line
from glp_export.gate.results import LineResult
from glp_export.gate.side_by_side import Round, SideBySide
from glp_export.gate.verdicts import Measured, confirmed, judge_latency, second_look_seconds


def main() -> None:
    """Read the trial from the first argument, print what came of it."""
    trial = json.loads(sys.argv[1])
    start = time.perf_counter()
    reference, own = (Contender.from_json(trial[name]) for name in ("reference", "own"))
    (workload,) = shape_grid([reference, own], [trial["batch_size"]], [trial["length"]])
    line = read_line(
        f"speedup_vs_unpruned >= {trial['bound']!r} at {workload.shape.name}", "the trial"
    )
    seen: list[Round] = []

    def look(pair: SideBySide, seconds: float) -> tuple[LineResult, list[str]]:
        rounds = _recorded(pair.rounds(workload, warm_up_seconds=0.2 * seconds), seen)
        (found,), notes = judge_latency(Measured("cpu.fp32", [line], rounds), seconds=seconds)
        return found, notes

    pair = SideBySide(reference, own)
    found, notes = look(pair, trial["max_seconds"])
    if found.outcome == "broken":
        anew = SideBySide(reference, own)  # while the old ones still hold their memory
        seconds = second_look_seconds(found.seconds, trial["max_seconds"])
        again, notes = look(anew, seconds)
        found = confirmed(found, again)
    outcome = {
        "outcome": found.outcome,
        "value": found.value,
        "notes": notes,
        "seconds": time.perf_counter() - start,
        "reference": [one.reference for one in seen],
        "own": [one.own for one in seen],
    }
    print(json.dumps(outcome))


def _recorded(rounds: Iterator[Round], seen: list[Round]) -> Iterator[Round]:
    for one in rounds:
        seen.append(one)
        yield one


if __name__ == "__main__":
    main()
