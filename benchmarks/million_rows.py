"""What do a million short training rows take, in time and in memory, beside a tenth of them?

Every number of rows has processes of its own. One goes through the stages by hand and notes for
each its wall time, its CPU time, the highest resident set, and the highest anonymous memory: the
resident set also counts pages of files that are mapped, which the kernel drops when others need
the room. With `--command` a second process is `glp-export prune-and-export` on the same file. The
encoder is tiny (2 layers, 64 wide), since memory that grows with the rows does not depend on the
model.

    python benchmarks/million_rows.py
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tables import markdown

from glp_export.core import machine

DEMO = Path(__file__).parent.parent / "models" / "demo-encoder"
LABELS = 6
TEST_ROWS = 2000
WHOLE = "the whole command"
MIB = 2**20


@dataclass(frozen=True)
class Stage:
    """What a stage took: seconds by the clock and of CPU, and its highest memory in MiB."""

    name: str
    seconds: float
    cpu: float
    resident: float
    anonymous: float


class Watch:
    """Measures stages of this process, one after the other (Linux)."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []
        self._highest = 0.0
        threading.Thread(target=self._sample, daemon=True).start()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure a stage; the kernel's mark of the highest resident set is taken back first."""
        Path("/proc/self/clear_refs").write_text("5")
        self._highest = 0.0
        start, cpu = time.perf_counter(), time.process_time()
        yield
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        highest = max(self._highest, _memory("RssAnon"))
        self.stages.append(Stage(name, seconds, cpu, _memory("VmHWM"), highest))
        print(self.stages[-1], file=sys.stderr, flush=True)

    def _sample(self) -> None:
        while True:
            self._highest = max(self._highest, _memory("RssAnon"))
            time.sleep(0.02)


def _memory(field: str) -> float:
    """A field of the process's status, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise OSError(f"this kernel does not tell {field}")


def main() -> None:
    """Measure every number of rows in processes of its own and write the table."""
    options = _options()
    if options.child:
        rows, scratch = options.rows[0], Path(options.child)
        stages = (
            _whole(rows, scratch, options) if options.whole else _by_hand(rows, scratch, options)
        )
        print(json.dumps([vars(stage) for stage in stages]))
        return
    found = {}
    for rows in options.rows:
        with tempfile.TemporaryDirectory(prefix="glp-rows-") as scratch:
            size = _write_data(Path(scratch), rows, options.format)
            _write_encoder(Path(scratch) / "encoder")
            stages = _child(options, rows, scratch)
            if options.command:
                stages += _child(options, rows, scratch, "--whole")
            found[rows] = (size, stages)
    text = _page(found, options)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, encoding="utf-8")
    print(text)


def _child(options: argparse.Namespace, rows: int, scratch: str, *more: str) -> list[Stage]:
    arguments = [*sys.argv[1:], "--rows", str(rows), "--child", scratch, *more]
    quiet = {"TMPDIR": scratch, "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    environment = os.environ | quiet
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [Stage(**stage) for stage in json.loads(done.stdout.splitlines()[-1])]


def _write_data(directory: Path, rows: int, ending: str) -> int:
    """Random texts of 5 to 20 words and a label, one by one; gives the size in bytes."""
    words = [word for word in (DEMO / "vocab.txt").read_text().split() if word.isalpha()]
    generator = random.Random(0)

    def row(number: int) -> dict[str, Any]:
        text = " ".join(generator.choices(words, k=generator.randint(5, 20)))
        return {"id": number, "text": text, "label": f"class {generator.randrange(LABELS)}"}

    def write(name: str, count: int) -> Path:
        path = directory / "data" / f"{name}.{ending}"
        path.parent.mkdir(exist_ok=True)
        with path.open("w", encoding="utf-8") as file:
            if ending == "csv":
                file.write("id,text,label\n")
            for number in range(count):
                made = row(number)
                file.write(
                    json.dumps(made) if ending == "jsonl" else ",".join(map(str, made.values()))
                )
                file.write("\n")
        return path

    write("validation", TEST_ROWS)
    return write("train", rows).stat().st_size


def _write_encoder(directory: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(DEMO)
    config.num_hidden_layers = 2
    AutoModel.from_config(config).save_pretrained(directory)
    AutoTokenizer.from_pretrained(DEMO).save_pretrained(directory)


def _by_hand(rows: int, scratch: Path, options: argparse.Namespace) -> list[Stage]:
    """The stages of a run, each measured."""
    watch = Watch()
    with watch.stage("start Python, import PyTorch, transformers and datasets"):
        import datasets
        import torch
        import transformers  # noqa: F401

        from glp_export.encoder import (
            DistillSettings,
            ModelSource,
            TrainSettings,
            distill,
            finetune,
            load_model,
            load_tokenizer,
            predict,
        )
        from glp_export.tasks import DataSpec, encode, load_task_data

        torch.set_num_threads(1)
    with watch.stage("read, check and split the data"):
        data = load_task_data(DataSpec(dataset=str(scratch / "data")))
    source = ModelSource(str(scratch / "encoder"), offline=True)
    tokenizer, model = load_tokenizer(source), load_model(source, data.task)
    with watch.stage("encode fit and select"):
        parts = [encode(part, data.task, tokenizer, 64) for part in (data.fit, data.select)]
        train = datasets.concatenate_datasets(parts)
    settings = TrainSettings(epochs=options.steps * 32 / rows, learning_rate=1e-3)
    with watch.stage(f"fine-tune, {options.steps} steps of 32 rows"):
        finetune(model, train, tokenizer, settings)
    with watch.stage("the teacher's answers to every training row"):
        logits = predict(model, train, tokenizer)
    with watch.stage(f"distil, {options.steps} steps of 32 rows"):
        distill(model, logits, train, tokenizer, settings, DistillSettings())
    return watch.stages


def _whole(rows: int, scratch: Path, options: argparse.Namespace) -> list[Stage]:
    """The command, with as many steps for each training and a search by rule."""
    from glp_export.cli.app import run

    watch = Watch()
    arguments = [
        *("prune-and-export", "-m", str(scratch / "encoder"), "--dataset", str(scratch / "data")),
        *("--depth", "1", "--search", "top", "--distilled", "none", "--max-length", "64"),
        *("--epochs", str(options.steps * 32 / rows), "--learning-rate", "1e-3", "--threads", "1"),
        *("--bench-seconds", "0.2", "--bench-rounds", "3", "--seq-lens", "16", "--skip-memory"),
        *("--batch-sizes", "1", "--optimize", "none", "--precision", "fp32", "--cache", "none"),
        *("--device", "cpu", "--offline", "-q", "-o", str(scratch / "out")),
    ]
    with watch.stage(WHOLE):
        code = run(arguments)
    if code:
        raise SystemExit(code)
    return watch.stages


def _page(found: dict[int, tuple[int, list[Stage]]], options: argparse.Namespace) -> str:
    here = machine.describe()
    versions = ", ".join(
        f"{name} {here.versions[name]}" for name in ("torch", "transformers", "datasets")
    )
    sizes = ", ".join(
        f"{rows:,} rows ({size / MIB:.0f} MiB of {options.format})"
        for rows, (size, _) in found.items()
    )
    least, most = min(found), max(found)
    head = ["stage", *(f"{rows:,} rows: {what}" for rows in found for what in _COLUMNS)]
    head.append("bytes of anonymous memory for each row more")
    pairs = zip(found[least][1], found[most][1], strict=True)
    growth = [
        f"{(large.anonymous - small.anonymous) * MIB / (most - least):z.0f}"
        for small, large in pairs
    ]
    stages = zip(*(stages for _, stages in found.values()), strict=True)
    lines = [
        [line[0].name, *(cell for stage in line for cell in _cells(stage)), more]
        for line, more in zip(stages, growth, strict=True)
    ]
    explanation = (__doc__ or "").split("\n\n")[1]
    return "\n\n".join(
        [
            "# A million rows",
            f"{sizes}; {LABELS} labels, {TEST_ROWS} test rows. {here.cpu}, 1 thread; {versions}. "
            "MiB are highest of a stage: resident (with mapped files), and anonymous of it."
            + "".join(f" **Note: {note}.**" for note in here.notes),
            explanation,
            markdown([head, *lines]) + "\n",
        ]
    )


_COLUMNS = ("s", "CPU s", "resident MiB", "anonymous MiB")


def _cells(stage: Stage) -> list[str]:
    times = (f"{stage.seconds:.1f}", f"{stage.cpu:.1f}")
    return [*times, f"{stage.resident:.0f}", f"{stage.anonymous:.0f}"]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000], metavar="N")
    parser.add_argument("--format", choices=("jsonl", "csv"), default="jsonl")
    parser.add_argument("--steps", type=int, default=2000, help="of each training")
    parser.add_argument("--command", action="store_true", help="the whole command besides")
    parser.add_argument("--quick", action="store_true", help="a minute, for trying the script")
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/million_rows.md"))
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--whole", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.steps = 100
        options.rows = options.rows if options.child else [2000, 20_000]
    return options


if __name__ == "__main__":
    main()
