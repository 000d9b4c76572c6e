"""Does a model with random weights take as long as the trained one? And what do denormals do?

Three files of one model run in turns: the trained weights, random ones as the gate makes them, and
the trained ones scaled down into the denormal range, which some processors compute with slowly.

    python benchmarks/random_weights.py --model models/demo-encoder
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from tables import markdown

from glp_export.artifact import export_onnx
from glp_export.bench import Contender, onnx_contender, shape_grid
from glp_export.core import machine
from glp_export.gate.side_by_side import SideBySide
from glp_export.gate.verdicts import estimate_speedup

_SMALLEST_NORMAL = np.finfo(np.float32).tiny


def main() -> None:
    """Export, measure, write the table."""
    options = _options()
    with tempfile.TemporaryDirectory() as scratch:
        trained = _trained(options, Path(scratch))
        others = {
            "trained, a second session": trained,
            "random": _random(trained, options, Path(scratch)),
            "trained, first layer's weights denormal": _denormal(trained, Path(scratch)),
        }
        rows = [["weights", *(f"1×{length}" for length in options.seq_lens)]]
        for name, other in others.items():
            cells = []
            for length in options.seq_lens:
                (workload,) = shape_grid([trained], [1], [length])
                rounds = SideBySide(other, trained).rounds(workload, warm_up_seconds=2.0)
                found = estimate_speedup(rounds, seconds=options.seconds, precision=0.005)
                cells.append(f"{found.value:.3f} ({found.low:.3f}–{found.high:.3f})")
            rows.append([name, *cells])
        share = _denormal_share(trained.path)
    here = machine.describe()
    text = "\n\n".join(
        [
            "# Random and trained weights",
            f"{options.model.name} in ONNX Runtime, {options.threads} threads; {here.cpu}. Latency "
            "over that of the trained weights: medians of paired ratios, with intervals that hold "
            f"at 99 %. {share:.2%} of the trained weights are denormal. {' '.join(here.notes)}",
            markdown(rows),
        ]
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text + "\n", encoding="utf-8")
    print(text)


def _trained(options: argparse.Namespace, scratch: Path) -> Contender:
    """The model with its weights and a fresh head, as an ONNX file."""
    from transformers import AutoModelForSequenceClassification

    checkpoint = scratch / "trained"
    model = AutoModelForSequenceClassification.from_pretrained(
        options.model, num_labels=2, use_safetensors=True, local_files_only=True
    )
    model.float().save_pretrained(checkpoint)
    return _exported(checkpoint, options.threads)


def _random(trained: Contender, options: argparse.Namespace, scratch: Path) -> Contender:
    from transformers import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.from_pretrained(scratch / "trained")
    AutoModelForSequenceClassification.from_config(config).save_pretrained(scratch / "random")
    return _exported(scratch / "random", options.threads)


def _exported(checkpoint: Path, threads: int) -> Contender:
    file = export_onnx(
        checkpoint, checkpoint / "onnx" / "model.onnx", export_task="text-classification"
    )
    return onnx_contender("unpruned", file, checkpoint, machine.CPU, threads)


def _denormal(trained: Contender, scratch: Path) -> Contender:
    """Every matrix of one layer scaled so that all its numbers are denormal."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(trained.path))
    matrices = [t for t in model.graph.initializer if len(t.dims) == 2]
    products = [t for t in matrices if "MatMul" in t.name][:6] or matrices[:6]
    for tensor in products:
        values = numpy_helper.to_array(tensor)
        scaled = (values / np.abs(values).max()).astype(np.float64) * (_SMALLEST_NORMAL / 4)
        tensor.CopyFrom(numpy_helper.from_array(scaled.astype(np.float32), tensor.name))
    path = scratch / "denormal.onnx"
    onnx.save(model, str(path))
    return replace(trained, path=path, variant=path.name)


def _denormal_share(path: Path) -> float:
    """Share of a graph's weights that are neither zero nor normal numbers."""
    import onnx
    from onnx import numpy_helper

    small = count = 0
    for tensor in onnx.load(str(path)).graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            small += int(((values != 0) & (np.abs(values) < _SMALLEST_NORMAL)).sum())
            count += values.size
    return small / count


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=Path("models/demo-encoder"))
    parser.add_argument("--seq-lens", type=int, nargs="+", default=[32, 64], metavar="N")
    parser.add_argument("--seconds", type=float, default=30.0, help="of every cell")
    parser.add_argument("--threads", type=int, default=machine.usable_cores())
    parser.add_argument("--quick", action="store_true", help="a minute, for trying the script")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/random_weights.md"))
    options = parser.parse_args()
    if options.quick:
        options.seconds, options.seq_lens = 4.0, [32]
    return options


if __name__ == "__main__":
    main()
