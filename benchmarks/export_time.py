"""How long does `glp-export export` take beside optimum's export at O2 with its quantiser?

One model of random weights is exported in turns by three commands, each in a process of its own:
ours (fp32 and int8, the choice among files measured, every file held against PyTorch), `optimum-cli
export onnx --optimize O2`, and `optimum-cli onnxruntime quantize --avx2` of a plain export, since
the quantiser refuses the fused file. Wall time and CPU time, which a busy machine stretches less.

    python benchmarks/export_time.py --turns 3
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from encoders import SIZES, random_checkpoint
from tables import markdown, say

from glp_export.core import machine

DEMO = Path(__file__).parent.parent / "models" / "demo-encoder"
OURS, OPTIMUM, QUANTISER = "glp-export export", "optimum export, O2", "optimum quantize"
BOTH = "optimum, both"


@dataclass(frozen=True)
class Taken:
    """What a command took: seconds by the clock, and seconds of CPU time, user and system."""

    wall: float
    cpu: float

    def __add__(self, other: Taken) -> Taken:
        return Taken(self.wall + other.wall, self.cpu + other.cpu)


def main() -> None:
    """Export in turns and write the table."""
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        commands = _commands(Path(scratch), options)
        turns: list[dict[str, Taken]] = []
        for number in range(options.turns):
            # Every other turn begins at the other end.
            names = list(commands)[:: -1 if number % 2 else 1]
            taken = {name: _run(commands[name], Path(scratch), options.threads) for name in names}
            taken[BOTH] = taken[OPTIMUM] + taken[QUANTISER]
            turns.append(taken)
            say(f"turn {number + 1}: {taken}")
    text = _page(turns, options)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, encoding="utf-8")
    print(text)


def _commands(scratch: Path, options: argparse.Namespace) -> dict[str, Sequence[str]]:
    """The three commands; what the quantiser reads is exported before anything is timed."""
    checkpoint = random_checkpoint(options.size, scratch / "checkpoint", layers=options.layers)
    _write_tokenizer(checkpoint)
    cli = str(Path(sys.executable).with_name("optimum-cli"))
    export = [cli, "export", "onnx", "-m", str(checkpoint), "--task", "text-classification"]
    _run([*export, str(scratch / "plain")], scratch, options.threads)
    out = str(scratch / "out")
    ours = [sys.executable, "-m", "glp_export", "export", str(checkpoint), "-o", out]
    ours += ["--precision", "fp32", "int8", "--runtime", "onnxruntime"]
    quantise = [cli, "onnxruntime", "quantize", "--onnx_model", str(scratch / "plain"), "--avx2"]
    return {
        OURS: [*ours, "--threads", str(options.threads), "--quiet"],
        OPTIMUM: [*export, "--optimize", "O2", out],
        QUANTISER: [*quantise, "-o", out],
    }


def _write_tokenizer(checkpoint: Path) -> None:
    """The demo's tokenizer, with inputs as long as the model takes."""
    from transformers import AutoConfig, AutoTokenizer

    length = AutoConfig.from_pretrained(checkpoint).max_position_embeddings
    tokenizer = AutoTokenizer.from_pretrained(DEMO, model_max_length=length)
    tokenizer.save_pretrained(checkpoint)


def _run(command: Sequence[str], scratch: Path, threads: int) -> Taken:
    """Run a command to its good end; what it wrote is thrown away."""
    shutil.rmtree(scratch / "out", ignore_errors=True)
    own = {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive", "HF_HUB_OFFLINE": "1"}
    start = time.perf_counter()
    with (scratch / "log").open("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **own})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            raise SystemExit(f"{' '.join(command)}: exit {process.returncode}\n{log.read()}")
    return Taken(time.perf_counter() - start, usage.ru_utime + usage.ru_stime)


def _page(turns: Sequence[dict[str, Taken]], options: argparse.Namespace) -> str:
    here = machine.describe()
    names = ("torch", "transformers", "onnx", "onnxruntime", "optimum", "optimum-onnx")
    versions = ", ".join(f"{n} {here.versions[n]}" for n in names if n in here.versions)
    rows = [
        [name, _spread([turn[name].wall for turn in turns]), _spread([t[name].cpu for t in turns])]
        for name in (OURS, OPTIMUM, QUANTISER, BOTH)
    ]
    rows.append(
        ["ours over optimum's", *(_ratio(turns, of) for of in (lambda t: t.wall, lambda t: t.cpu))]
    )
    return "\n\n".join(
        [
            "# How long an export takes",
            f"`{options.size}` with {options.layers} layers, random weights, fp32 and int8. "
            f"{here.cpu}, {options.threads} threads of {here.usable_cores} usable cores; Python "
            f"{here.python}, {versions}." + "".join(f" **Note: {note}.**" for note in here.notes),
            " ".join((__doc__ or "").split("\n\n")[1].split()),
            f"Seconds; turns: {len(turns)}. The median, with the least and the greatest; the last "
            "row is taken turn by turn.",
            markdown([["command", "by the clock", "of CPU time"], *rows]) + "\n",
        ]
    )


def _ratio(turns: Sequence[dict[str, Taken]], of: Callable[[Taken], float]) -> str:
    return _spread([of(turn[OURS]) / of(turn[BOTH]) for turn in turns], digits=2)


def _spread(values: Sequence[float], digits: int = 1) -> str:
    low, middle, high = (f"{f(values):.{digits}f}" for f in (min, median, max))
    return f"{middle} ({low}–{high})"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=sorted(SIZES), default="bert-base")
    parser.add_argument("--layers", type=int, default=6, metavar="N")
    parser.add_argument("--threads", type=int, default=machine.usable_cores())
    parser.add_argument("--turns", type=int, default=3, metavar="N")
    parser.add_argument("--scratch", type=Path, help="where the files go for a while")
    parser.add_argument("--quick", action="store_true", help="one turn of a single layer")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/export_time.md"))
    options = parser.parse_args()
    if options.quick:
        options.layers, options.turns = 1, 1
    return options


if __name__ == "__main__":
    main()
