"""Does the whole way hold for a model whose ONNX file is past 2 GB, which protobuf cannot write?

A BERT with random weights, 1536 wide with 20 layers (2.4 GB in fp32), is pruned to 18 (2.2 GB),
exported, optimised, quantised, verified, measured, gated, copied and served, each by its command in
a process of its own. What is noted is the time, the highest resident set, and the size of what
lies on the disk. Training is two steps: it is about files, not about accuracy.

    python benchmarks/past_2gb.py
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tables import markdown

from glp_export.artifact import ArtifactLayout
from glp_export.artifact.onnx_file import parts
from glp_export.core import machine

DEMO = Path(__file__).parent.parent / "models" / "demo-encoder"
LIMIT = 2**31
TEXTS = ["the soup was good.", "", "the film was not bad, but the play was dull."]

_SERVE = """
import sys
import numpy as np
import torch
import glp_export
from transformers import AutoModelForSequenceClassification, AutoTokenizer
root, *texts = sys.argv[1:]
answers = {name: glp_export.load(root, variant=name).logits(texts) for name in ("fp32", "int8")}
batch = AutoTokenizer.from_pretrained(root)(texts, padding=True, return_tensors="pt")
model = AutoModelForSequenceClassification.from_pretrained(root).eval()
with torch.inference_mode():
    expected = model(**batch).logits.numpy()
print(*(float(np.abs(found - expected).max()) for found in answers.values()))
"""


@dataclass(frozen=True)
class Done:
    """A command that ended well: seconds, highest resident set in GiB, and what it printed."""

    name: str
    seconds: float
    peak: float
    output: str


def main() -> None:
    """Take the whole way and write the table."""
    options = _options()
    scratch = Path(tempfile.mkdtemp(prefix="glp-past-2gb-", dir=options.scratch))
    try:
        text = _page(*_way(scratch, options), options)
    finally:
        shutil.rmtree(scratch)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, encoding="utf-8")
    print(text)


def _way(scratch: Path, options: argparse.Namespace) -> tuple[list[Done], dict[str, int]]:
    """Every command in its order, and the sizes of the files that ship."""
    _write_encoder(scratch / "encoder", options)
    out, copy = scratch / "out", scratch / "elsewhere" / "copy"
    removed = range(1, 1 + options.layers - options.depth)
    (scratch / "order.layers").write_text("".join(f"{layer}\n" for layer in removed))
    prune = (
        *("prune-and-export", "-m", scratch / "encoder", "--task", "demo", "--device", "cpu"),
        *("--plan", scratch / "order.layers", "--depth", options.depth, "--distilled", "none"),
        *("--max-train-samples", 12, "--max-dev-samples", 4, "--max-test-samples", 8),
        *("--batch-size", 4, "--epochs", 1, "--max-length", 32, "--seq-lens", 16),
        *("--batch-sizes", 1, "--bench-seconds", 5, "--bench-rounds", 3, "--skip-memory"),
        *("--optimize", "O2", "--precision", "int8", "--int8-drop", 1, "--cache", "none"),
        *("--threads", options.threads, "--offline", "-q", "-o", out),
    )
    done = [_command("prune, export, optimise, quantise, verify, measure", prune)]
    layout = ArtifactLayout(out)
    sizes = {
        file.name: sum(part.stat().st_size for part in parts(file))
        for file in layout.shipped().values()
    }
    if sizes["model.onnx"] <= LIMIT and not options.quick:
        raise SystemExit(f"the file has {sizes['model.onnx']} bytes only")
    shutil.move(out, copy)
    (copy / "glp" / "budget.toml").write_text(
        '[cpu.fp32]\nkeep = ["speedup_vs_unpruned >= 0.2 at 1x16"]\n'
    )
    done.append(_command("verify, in another place", ("verify", copy, "-q")))
    gate = ("gate", copy, "--max-seconds", 30, "--threads", options.threads, "-q")
    done.append(_command("gate, the unpruned model rebuilt", gate))
    served = [sys.executable, "-c", _SERVE, str(copy), *TEXTS]
    done.append(_measured("serve fp32 and int8, beside PyTorch", served))
    return done, sizes


def _command(name: str, arguments: Sequence[object]) -> Done:
    return _measured(name, [sys.executable, "-m", "glp_export.cli.app", *map(str, arguments)])


def _measured(name: str, command: Sequence[str]) -> Done:
    """Run a command to its good end, or end here."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{name}: exit code {process.returncode}\n{output}")
    done = Done(name, time.perf_counter() - start, usage.ru_maxrss / 2**20, output)
    print(f"{name}: {done.seconds:.0f} s, {done.peak:.1f} GiB", file=sys.stderr, flush=True)
    return done


def _write_encoder(directory: Path, options: argparse.Namespace) -> None:
    """A BERT that reads the demo's language, with random weights."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    torch.manual_seed(0)
    config = AutoConfig.for_model(
        "bert",
        vocab_size=30522,
        hidden_size=options.width,
        num_hidden_layers=options.layers,
        num_attention_heads=options.width // 64,
        intermediate_size=4 * options.width,
        max_position_embeddings=64,
    )
    AutoModel.from_config(config).save_pretrained(directory)
    AutoTokenizer.from_pretrained(DEMO).save_pretrained(directory)


def _page(done: Sequence[Done], sizes: dict[str, int], options: argparse.Namespace) -> str:
    here = machine.describe()
    versions = ", ".join(
        f"{name} {here.versions[name]}"
        for name in ("torch", "transformers", "onnx", "onnxruntime", "optimum-onnx")
        if name in here.versions
    )
    steps = [[one.name, f"{one.seconds:.0f}", f"{one.peak:.1f}"] for one in done]
    fp32, int8 = json.loads(f"[{done[-1].output.strip().replace(' ', ',')}]")
    return "\n\n".join(
        [
            "# A model past 2 GB",
            f"{options.width} wide, {options.layers} layers pruned to {options.depth}. {here.cpu}, "
            f"{options.threads} thread{'s' * (options.threads > 1)}, {here.memory_gb} GiB; "
            f"{versions}." + "".join(f" **Note: {note}.**" for note in here.notes),
            (__doc__ or "").split("\n\n")[1],
            markdown([["command", "s", "peak GiB"], *steps]),
            markdown(
                [
                    ["file, with its sidecar", "bytes"],
                    *([f"`{name}`", f"{size:,}"] for name, size in sizes.items()),
                ]
            ),
            "Largest difference of a logit between `glp_export.load` and PyTorch on three texts: "
            f"{fp32:.1e} in fp32, {int8:.1e} in int8.\n",
        ]
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--width", type=int, default=1536, metavar="N")
    parser.add_argument("--layers", type=int, default=20, metavar="N")
    parser.add_argument("--depth", type=int, default=18, metavar="N")
    parser.add_argument("--threads", type=int, default=machine.usable_cores())
    parser.add_argument("--scratch", help="a directory with 25 GB of room")
    parser.add_argument("--quick", action="store_true", help="a small model, to try the script")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/past_2gb.md"))
    options = parser.parse_args()
    if options.quick:
        options.width, options.layers, options.depth = 128, 4, 3
    return options


if __name__ == "__main__":
    main()
