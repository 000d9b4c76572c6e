"""`glp-export prune-and-export`: the whole job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from glp_export.cli.outcome import after_result
from glp_export.cli.push import push_result, pushed_words, ready_to_push
from glp_export.config.files import resolve
from glp_export.config.sections import RUN_SECTIONS

if TYPE_CHECKING:
    from glp_export.publish.push import Pushed


@flags_of(*RUN_SECTIONS)
def prune_and_export_command(
    settings: dict[str, Any],
    config: ConfigFile = None,
    json_output: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = 0,
) -> None:
    """Prune a model for a task: search, recover, export, verify, benchmark, report.

    Example: glp-export prune-and-export -m bert-dir --dataset data/trec --depth 6 -o out/trec
    """
    from glp_export.cli.run_result import run_as_json, show_run
    from glp_export.workflows import prune_and_export as pipeline
    from glp_export.workflows.resuming import interrupted_config

    with at_work(quiet, verbose, settings.get("output")) as progress:
        run_config = resolve(settings, config or interrupted_config(settings))
        if run_config.output.dry_run:
            estimate = pipeline.estimate(run_config, progress)
        else:
            target = ready_to_push(run_config)
            result = pipeline.prune_and_export(run_config, progress=progress, confirm=ask)
    if run_config.output.dry_run:
        print_json(estimate.as_dict()) if json_output else print(estimate)
        return
    pushed: Pushed | None = None
    if not json_output:
        show_run(result)
    try:
        with after_result(), at_work(quiet, verbose) as progress:
            pushed = push_result(run_config, target, result.output, progress)
    finally:  # what was made is printed, whatever becomes of the upload
        if json_output:
            print_json(run_as_json(result, pushed))
    if target and not json_output:
        print(pushed_words(pushed))
