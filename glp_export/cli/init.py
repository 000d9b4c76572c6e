"""`glp-export init`: a file of settings that a run starts from."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glp_export.cli.console import JsonFlag, print_json
from glp_export.core.errors import OutputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_TARGETS = "2x, 2x@1x32, 10ms@1x128, 'p95 10ms@1x128', 8MB, 'drop 0.01' or '6 layers'"
_DEPTH = re.compile(r"(\d+)\s*layers?")
_DROP = re.compile(r"drop\s+(\S+)")
_TIME = re.compile(r".*\d\s*(ms|us|s)(@.*)?")
_SIZE = re.compile(r"[\d.]+\s*[kmg]b")
_COMMENTS = """\
# More settings; every flag of `glp-export prune-and-export --help` is a key here.
# threads: 1            # as many as the artifact is served with
# precision: [int8]     # else what pays on this machine
# seq_lens: [32, 128]   # the lengths that are measured
# distilled: none       # no distilled model beside it: the run takes less time
"""


def init_command(
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="Directory or hub id of the encoder.")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option("--dataset", help="Hub id, or directory with train and validation files."),
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", help="A task of GLUE, or demo, in place of --dataset.")
    ] = None,
    target: Annotated[str | None, typer.Option("--target", help=f"{_TARGETS}.")] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Directory of the artifact.")
    ] = None,
    file: Annotated[Path, typer.Option("--file", help="The file that is written.")] = Path(
        "run.yaml"
    ),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace that file.")] = False,
    json_output: JsonFlag = False,
) -> None:
    """Write a run.yaml that `prune-and-export --config` starts from.

    It asks for model, data and target; what is given as a flag is not asked.

    Example: glp-export init -m bert-dir --dataset data/trec --target 2x@1x32 -o out/trec
    """
    if file.exists() and not overwrite:
        raise OutputError(
            "there is such a file", where=str(file), fix="name another with --file, or --overwrite"
        )
    model = model or _asked("model", "directory or hub id of the encoder")
    if not task:
        dataset = dataset or _asked("dataset", "hub id, or directory with train and validation")
    target = target or _asked("target", _TARGETS)
    output = output or _asked("output", "directory of the artifact", "out/pruned")
    data = {"task": task} if task else {"dataset": dataset}
    settings: dict[str, Any] = {"model": model, **data, **of_target(target), "output": output}
    write_settings(file, settings)
    command = f"glp-export prune-and-export --config {file}"
    if json_output:
        print_json({"file": file, "settings": settings, "command": command})
    else:
        print(f"{file}\nask what it costs: {command} --dry-run\nrun it:            {command}")


def of_target(text: str) -> dict[str, Any]:
    """The setting that a target is: a speedup, a latency, a size, a drop or a number of layers.

    Raises:
        UsageError: it is none of them.
    """
    given = text.strip().lower().replace("×", "x")
    if found := _DEPTH.fullmatch(given):
        return {"depth": int(found[1])}
    if found := _DROP.fullmatch(given):
        try:
            return {"max_drop": float(found[1])}
        except ValueError:
            raise UsageError(
                f"{found[1]!r} is no number", where=f"--target {text}", fix="write drop 0.01"
            ) from None
    if _TIME.fullmatch(given):
        return {"latency_budget": given}
    if _SIZE.fullmatch(given):
        return {"size_budget": text.strip()}
    return {"target_speedup": re.sub(r"^([\d.,]+)x", r"\1", given)}


def write_settings(path: Path, settings: Mapping[str, Any]) -> None:
    """Write settings that were checked as a run checks them.

    Raises:
        OutputError: the file cannot be written.
        UsageError: the settings contradict, or a target cannot be read.
    """
    import yaml

    from glp_export.artifact import write_file
    from glp_export.config.files import resolve

    resolve(settings)
    text = f"# Run: glp-export prune-and-export --config {path}\n"
    text += yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True) + _COMMENTS
    write_file(path, text)


def _asked(name: str, meaning: str, default: str | None = None) -> str:
    """An answer from the terminal.

    Raises:
        UsageError: there is none, and the flag was not given.
    """
    if not sys.stdin.isatty():
        if default is not None:
            return default
        raise UsageError(f"--{name} was not given", fix=f"add --{name}: {meaning}")
    return str(typer.prompt(f"{name} ({meaning})", default=default, err=True)).strip()
