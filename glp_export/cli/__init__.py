"""The command `glp-export`: one file a command and their flags."""

from __future__ import annotations


def main() -> None:
    """Run the command and exit with the code of its outcome."""
    from glp_export.cli.app import main as run_command

    run_command()
