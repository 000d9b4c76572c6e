"""`glp-export env`: this machine."""

from __future__ import annotations

from rich.console import Console

from glp_export.cli.console import JsonFlag, QuietFlag, VerboseFlag, at_work, print_json


def env_command(
    json_output: JsonFlag = False, quiet: QuietFlag = False, verbose: VerboseFlag = 0
) -> None:
    """Print the machine: cores, instruction sets, providers, versions.

    Example: glp-export env --json
    """
    from dataclasses import asdict

    from glp_export.core.machine import describe
    from glp_export.report import machine_table

    with at_work(quiet, verbose):
        machine = describe()
    print_json(asdict(machine)) if json_output else Console().print(machine_table(machine))
