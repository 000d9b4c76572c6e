"""`python -m glp_export`: the command."""

from glp_export.cli.app import main

main()
