"""`glp-export search`: find the layers that a task can do without."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from glp_export.cli.console import (
    ConfigFile,
    JsonFlag,
    QuietFlag,
    VerboseFlag,
    ask,
    at_work,
    print_json,
)
from glp_export.cli.flags import flags_of
from glp_export.config.files import resolve
from glp_export.config.sections import SEARCH_SECTIONS


@flags_of(*SEARCH_SECTIONS)
def search_command(
    settings: dict[str, Any],
    config: ConfigFile = None,
    json_output: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = 0,
) -> None:
    """Search for what the task does not need; write OUT/glp/plan.json.

    Example: glp-export search -m bert-dir --dataset data/trec --depth 6 -o out/plan
    """
    from glp_export.report import plan_view
    from glp_export.workflows import prune_and_export as pipeline
    from glp_export.workflows.resuming import interrupted_config

    with at_work(quiet, verbose, settings.get("output")) as progress:
        run_config = resolve(settings, config or interrupted_config(settings))
        plan, path = pipeline.search_only(run_config, progress=progress, confirm=ask)
    if json_output:
        print_json({"path": path, **plan.as_dict()})
    else:
        Console().print(plan_view(plan))
        print(f"\nplan: {path}")
