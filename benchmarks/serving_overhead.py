"""What does `glp_export.load` cost beside a bare session, and what do other ways of serving cost?

One file, four ways to use it: the bare session on batches that were made before; `glp_export.load`,
which cuts texts into tokens and makes the batches; optimum's ORTModel with AutoTokenizer, all texts
in one batch; transformers' pipeline around these two. They take turns in one process. A second
table has `glp_export.load` at several sizes of its batches.

    python benchmarks/serving_overhead.py --output benchmarks/results/serving_overhead.md
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from encoders import random_checkpoint
from tables import markdown

import glp_export
from glp_export.artifact import ArtifactLayout, export_onnx, serving_settings
from glp_export.bench.statistics import paired_ratio
from glp_export.bench.timing import settle
from glp_export.core import machine
from glp_export.serve.graph import batches_of
from glp_export.serve.model import CPU_BATCH_TOKENS

DEMO = Path(__file__).parent.parent / "models" / "demo-encoder"
BARE = "bare session"
PAUSE = 0.05  # seconds, so that idle threads of whoever ran last stop spinning
MAX_LENGTH = 64
DEFAULT = str(CPU_BATCH_TOKENS)
SIZES = (CPU_BATCH_TOKENS // 2, CPU_BATCH_TOKENS, *(CPU_BATCH_TOKENS * n for n in (2, 4, 8)))

Answer = Callable[[], Any]


def main() -> None:
    """Build an artifact, let the ways take turns at each number of texts, write the table."""
    options = _options()
    with tempfile.TemporaryDirectory() as scratch:
        root = _artifact(options.size, Path(scratch) / "artifact", options.threads)
        texts = _texts(root, max(options.texts))
        rows = []
        for count in options.texts:
            times = _take_turns(_ways(root, texts[:count], options.threads), options.rounds)
            rows += [[str(count), *line] for line in _lines(times, BARE, count)]
        sizes = _lines(_take_turns(_sizes(root, texts), options.rounds), DEFAULT, len(texts))
    overhead = markdown([["texts", "way", "p50 ms", f"times the {BARE}", "µs a text more"], *rows])
    by_size = markdown(
        [["tokens of a batch", "p50 ms", f"times {DEFAULT}", "µs a text more"], *sizes]
    )
    text = (
        f"# Serving overhead\n\n{_setting(options)}\n\n{overhead}\n\n"
        f"## Sizes of batches, {len(texts)} texts\n\n{by_size}\n"
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, encoding="utf-8")
    print(text)


def _sizes(root: Path, texts: Sequence[str]) -> dict[str, Answer]:
    """`glp_export.load` at several sizes of its batches."""
    models = {size: glp_export.load(root, batch_tokens=size) for size in SIZES}
    return {str(size): lambda model=model: model.logits(texts) for size, model in models.items()}


def _ways(root: Path, texts: Sequence[str], threads: int) -> dict[str, Answer]:
    """Ways to get the answers to these texts, each checked to give the same ones."""
    import torch
    from transformers import AutoTokenizer, pipeline

    model = glp_export.load(root, threads=threads)
    encoded = model.encoder.encode(texts)
    batches = [
        model.encoder.pad([encoded[row] for row in batch])
        for batch in batches_of([len(one) for one in encoded], model.batch_tokens)
    ]
    tokenizer = AutoTokenizer.from_pretrained(root)
    served = _optimums_model(root, threads)
    classify = pipeline("text-classification", model=served, tokenizer=tokenizer, device="cpu")
    how = {"truncation": True, "max_length": MAX_LENGTH}

    def optimums() -> Any:
        with torch.inference_mode():
            return served(**tokenizer(list(texts), padding=True, return_tensors="pt", **how)).logits

    ways: dict[str, Answer] = {
        BARE: lambda: [model.graph.run(batch) for batch in batches],
        "glp_export.load": lambda: model(texts).labels,
        "ORTModel, AutoTokenizer": lambda: optimums().argmax(-1).tolist(),
        # A single text goes as a string: a list of one takes several times as long.
        "pipeline": lambda: classify(
            list(texts) if len(texts) > 1 else texts[0], batch_size=len(texts), **how
        ),
    }
    expected = ways["glp_export.load"]()
    assert [one["label"] for one in ways["pipeline"]()] == expected
    assert [model.head.names[label] for label in optimums().argmax(-1)] == expected
    return ways


def _optimums_model(root: Path, threads: int) -> Any:
    import onnxruntime
    from optimum.onnxruntime import ORTModelForSequenceClassification

    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = threads
    return ORTModelForSequenceClassification.from_pretrained(
        root, subfolder="onnx", file_name="model.onnx", session_options=session_options
    )


def _lines(times: Mapping[str, Sequence[float]], base: str, count: int) -> list[list[str]]:
    """Name, median, ratio to the base and what a text takes longer, a line for each way."""
    lines = []
    for name, seconds in times.items():
        ratio = paired_ratio(seconds, times[base])
        more = median(own - other for own, other in zip(seconds, times[base], strict=True))
        interval = f"{ratio.value:.2f} ({ratio.low:.2f}–{ratio.high:.2f})"
        cells = ["1", ""] if name == base else [interval, f"{more / count * 1e6:.0f}"]
        lines.append([name, f"{median(seconds) * 1e3:.2f}", *cells])
    return lines


def _take_turns(ways: Mapping[str, Answer], rounds: int) -> dict[str, list[float]]:
    """Seconds of each way in each round: the median of three runs after one that is dropped."""
    order = random.Random(0)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name in order.sample(sorted(ways), len(ways)):
            settle(PAUSE)
            ways[name]()
            times[name].append(median(_seconds(ways[name]) for _ in range(3)))
    return times


def _seconds(answer: Answer) -> float:
    start = time.perf_counter()
    answer()
    return time.perf_counter() - start


def _artifact(size: str, root: Path, threads: int) -> Path:
    """An artifact of the demo's encoder, or of a published size with the demo's tokenizer."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    if size == "demo":
        model = AutoModelForSequenceClassification.from_pretrained(DEMO, num_labels=2)
        model.save_pretrained(root)
    else:
        random_checkpoint(size, root)
    AutoTokenizer.from_pretrained(DEMO).save_pretrained(root)
    layout = ArtifactLayout(root)
    export_onnx(root, layout.onnx_model, export_task="text-classification", threads=threads)
    serving_settings(
        layout,
        kind="text-classification",
        labels=("LABEL_0", "LABEL_1"),
        provider=machine.CPU,
        threads=threads,
        max_length=MAX_LENGTH,
    ).save(layout)
    layout.write_checksums()
    return root


def _texts(root: Path, count: int) -> list[str]:
    """Texts of 4 to 40 words that the tokenizer knows."""
    from tokenizers import Tokenizer

    vocabulary = Tokenizer.from_file(str(root / "tokenizer.json")).get_vocab()
    words = sorted(word for word in vocabulary if word.isalpha())
    choice = random.Random(0)
    return [" ".join(choice.choices(words, k=choice.randint(4, 40))) for _ in range(count)]


def _setting(options: argparse.Namespace) -> str:
    here = machine.describe()
    names = ("onnxruntime", "transformers", "optimum-onnx")
    versions = ", ".join(f"{name} {here.versions[name]}" for name in names)
    threads = f"{options.threads} thread{'s' if options.threads > 1 else ''}"
    notes = " ".join(f"**{note}.**" for note in here.notes)
    return (
        f"{options.size}, texts of 4 to 40 words; medians of {options.rounds} rounds, ratios "
        f"paired round by round with 95 % intervals; {here.cpu}, {threads}; {versions}. {notes}"
    ).strip()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=["demo", "bert-base"], default="demo")
    parser.add_argument("--texts", type=int, nargs="+", default=[1, 64], metavar="N")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--threads", type=int, default=machine.usable_cores())
    parser.add_argument("--quick", action="store_true", help="a minute, for trying the script")
    parser.add_argument(
        "--output", type=Path, default=Path("benchmarks/results/serving_overhead.md")
    )
    options = parser.parse_args()
    if options.quick:
        options.rounds = 7
    return options


if __name__ == "__main__":
    main()
