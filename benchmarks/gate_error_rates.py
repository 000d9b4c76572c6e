"""How often the gate is wrong, and how often the usual ways are, on the same runs.

Runs in processes of their own, in random order: no change, and a graph with 5, 10 and 20 % of extra
real work; on an idle machine, and with one core loaded by another process. The rounds are kept, and
tails are simulated by resampling them.

    python benchmarks/gate_error_rates.py --runs 100 --output benchmarks/results/gate_error_rates.md
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

from gate_simulation import simulation_table
from slower_graph import measured_share, slow_down
from tables import markdown
from usual_gates import Baseline

from glp_export.artifact import export_onnx
from glp_export.bench import Contender, Workload, onnx_contender, shape_grid
from glp_export.core import machine
from glp_export.gate.budget_writer import MARGIN

SLOWDOWNS = (0.0, 0.05, 0.10, 0.20)
AT_THE_TRUTH = "bound at the truth"
ON_THE_BOUND = (AT_THE_TRUTH, f"+{MARGIN:.0%}")
BUSY = """
import os
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
while True: pass
"""
CONDITIONS = ("idle", "one core loaded")


@dataclass(frozen=True)
class Trial:
    """One run: under which condition, of what, and what came of it."""

    condition: str
    kind: str
    result: dict[str, Any]

    @property
    def own(self) -> list[float]:
        """Milliseconds of every run of the artifact."""
        return [run for block in self.result["own"] for run in block]

    @property
    def speedups(self) -> list[float]:
        """Round by round."""
        pairs = zip(self.result["reference"], self.result["own"], strict=True)
        return [median(reference) / median(own) for reference, own in pairs]


def main() -> None:
    """Build, calibrate, run, write the table."""
    options = _options()
    with tempfile.TemporaryDirectory() as scratch:
        reference, own, workload = _models(Path(scratch), options)
        slower = {
            f"+{share:.0%}": slow_down(own, workload, share, Path(scratch) / f"slower{share}.onnx")
            for share in SLOWDOWNS[1:]
        }
        injected = {name: measured_share(own, one, workload) for name, one in slower.items()}
        contenders = {"no change": own, **slower, AT_THE_TRUTH: own}
        first = options.conditions[0]
        with _load(first):
            earlier = _calibrations(reference, own, options)
        truth = median(one["value"] for one in earlier)
        baseline = Baseline(tuple(Trial(first, "no change", earlier[0]).own))
        trials = []
        for condition in options.conditions:
            with _load(condition):
                for kind in _in_random_order(_runs_of(contenders, options)):
                    bound = truth if kind == AT_THE_TRUTH else truth * (1 - MARGIN)
                    result = _run(reference, contenders[kind], bound, options)
                    trials.append(Trial(condition, kind, result))
                    print(condition, kind, result["outcome"], file=sys.stderr, flush=True)
    if options.traces:
        options.traces.write_text(json.dumps([vars(trial) for trial in trials]))
    text = _report(trials, baseline, injected, truth, options)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text + "\n", encoding="utf-8")
    print(text)


def _models(scratch: Path, options: argparse.Namespace) -> tuple[Contender, Contender, Workload]:
    """An unpruned and a pruned encoder with random weights, and what they run."""
    import torch
    from transformers import AutoConfig, AutoModelForSequenceClassification

    made = []
    for role, layers in (("unpruned", options.layers), ("pruned", options.layers // 2)):
        torch.manual_seed(0)
        config = AutoConfig.for_model(
            "bert",
            vocab_size=2000,
            hidden_size=options.width,
            num_hidden_layers=layers,
            num_attention_heads=max(1, options.width // 64),
            intermediate_size=4 * options.width,
        )
        checkpoint = scratch / role
        AutoModelForSequenceClassification.from_config(config).save_pretrained(checkpoint)
        file = export_onnx(
            checkpoint, checkpoint / "onnx" / "model.onnx", export_task="text-classification"
        )
        made.append(onnx_contender(role, file, checkpoint, machine.CPU, options.threads))  # type: ignore[arg-type]
    (workload,) = shape_grid(made, [1], [options.length])
    return made[0], made[1], workload


def _run(
    reference: Contender,
    own: Contender,
    bound: float,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """One gate in a process of its own."""
    trial = {
        "reference": reference.to_json(),
        "own": own.to_json(),
        "bound": bound,
        "batch_size": 1,
        "length": options.length,
        "max_seconds": options.max_seconds,
    }
    command = [sys.executable, str(Path(__file__).with_name("gate_trial.py")), json.dumps(trial)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _calibrations(
    reference: Contender, own: Contender, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """Runs on the bound, so that they take their whole time as those on the truth will."""
    near = _run(reference, own, 0.01, options)["value"]
    return [_run(reference, own, near, options) for _ in range(options.calibrations)]


def _runs_of(kinds: Iterable[str], options: argparse.Namespace) -> dict[str, int]:
    """Runs of each kind: fewer of those on the bound, which all take their whole time."""
    runs = {"no change": options.runs, **dict.fromkeys(ON_THE_BOUND, options.runs_at_bound)}
    return {kind: runs.get(kind, options.runs_slower) for kind in kinds}


def _in_random_order(runs: dict[str, int]) -> list[str]:
    kinds = [kind for kind, number in runs.items() for _ in range(number)]
    return random.Random(0).sample(kinds, len(kinds))


@contextmanager
def _load(condition: str) -> Iterator[None]:
    """Another process that computes all the time on the last core, or none."""
    if condition == "idle":
        yield
        return
    busy = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        yield
    finally:
        busy.kill()
        busy.wait()


def _report(
    trials: Sequence[Trial],
    baseline: Baseline,
    injected: dict[str, float],
    truth: float,
    options: argparse.Namespace,
) -> str:
    here = machine.describe()
    slowdowns = ", ".join(f"{name}: {share:.1%} measured" for name, share in injected.items())
    parts = [
        "# How often a latency gate is wrong",
        f"BERT {options.width} wide, {options.layers} layers against {options.layers // 2}, 1×"
        f"{options.length}, {options.threads} thread(s); speedup {truth:.2f}, bound {MARGIN:.0%} "
        f"below it; {options.runs} runs without a change, {options.runs_slower} of each slowdown "
        f"({options.runs_at_bound} on the bound), each a process, at most "
        f"{options.max_seconds:g} s a look; {here.cpu}. Injected work: "
        f"{slowdowns}. {' '.join(here.notes)}".strip(),
        "Shares of runs that fail. The first column is false alarms; at +5 % the truth is the "
        "bound itself. The usual ways compare milliseconds with those of an earlier run without a "
        f"change ({options.conditions[0]}).",
    ]
    for condition in options.conditions:
        own = [trial for trial in trials if trial.condition == condition]
        parts += [f"## {condition}", _rates(own, baseline), _verdicts(own)]
    parts += [
        "## Simulated tails",
        "Rounds of the runs without a change, resampled in blocks of five, their median set to "
        "what the column says.",
        simulation_table(
            {
                condition: [
                    trial.speedups
                    for trial in trials
                    if (trial.condition, trial.kind) == (condition, "no change")
                ]
                for condition in options.conditions
            },
            runs=options.simulations,
        ),
    ]
    return "\n\n".join(parts)


def _rates(trials: Sequence[Trial], baseline: Baseline) -> str:
    """Ways by kinds of change: the share of runs that fail."""
    kinds = ["no change", *(f"+{share:.0%}" for share in SLOWDOWNS[1:])]
    rows = [["", *kinds]]
    gate = [_share(trials, kind, lambda t: t.result["outcome"] == "broken") for kind in kinds]
    rows.append(["**glp-export gate**", *gate])
    for way in baseline.alarms(baseline.runs):
        alarms = [
            _share(trials, kind, lambda t, w=way: baseline.alarms(t.own)[w]) for kind in kinds
        ]
        rows.append([way, *alarms])
    return markdown(rows)


def _verdicts(trials: Sequence[Trial]) -> str:
    """What the gate said of each kind, and how long it took."""
    head = ["kept", "undecided", "broken", "seconds, median", "95 %", "speedup, 95 % of runs"]
    rows = [["", *head]]
    for kind in dict.fromkeys(["no change", *(trial.kind for trial in trials)]):
        own = [trial for trial in trials if trial.kind == kind]
        seconds = sorted(trial.result["seconds"] for trial in own)
        shares = [
            _share(trials, kind, lambda t, o=outcome: t.result["outcome"] == o)
            for outcome in ("kept", "undecided", "broken")
        ]
        late = seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))]
        spread = _middle(sorted(trial.result["value"] for trial in own))
        rows.append([kind, *shares, f"{median(seconds):.1f}", f"{late:.1f}", spread])
    return markdown(rows)


def _middle(ordered: Sequence[float]) -> str:
    outside = int(0.025 * len(ordered))
    return f"{ordered[outside]:.3f}–{ordered[-1 - outside]:.3f}"


def _share(trials: Sequence[Trial], kind: str, holds: Any) -> str:
    own = [trial for trial in trials if trial.kind == kind]
    return f"{mean(holds(trial) for trial in own):.1%}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100, help="without a change")
    parser.add_argument("--runs-slower", type=int, default=100, help="of each slowdown past +5 %%")
    parser.add_argument("--runs-at-bound", type=int, default=50, help="of every cell on the bound")
    parser.add_argument(
        "--calibrations", type=int, default=9, help="runs whose median is taken as the truth"
    )
    parser.add_argument("--max-seconds", type=float, default=30.0, help="of one gate")
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--layers", type=int, default=6, help="of the unpruned model")
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--threads", type=int, default=machine.usable_cores())
    parser.add_argument(
        "--conditions",
        nargs="+",
        choices=CONDITIONS,
        default=list(CONDITIONS),
        help="the first is that of the earlier runs",
    )
    parser.add_argument("--simulations", type=int, default=5000)
    parser.add_argument("--quick", action="store_true", help="minutes, for trying the script")
    parser.add_argument("--traces", type=Path, help="keep every round here, as JSON")
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/results/gate_error_rates.md")
    )
    options = parser.parse_args()
    if options.quick:
        options.runs = options.runs_slower = options.runs_at_bound = 2
        options.max_seconds, options.simulations = 8.0, 300
        options.calibrations = 3
    return options


if __name__ == "__main__":
    main()
