"""The exit codes, from the classes of errors."""

from __future__ import annotations

from generate.markdown import code, summary_of, table
from glp_export.cli.outcome import INTERNAL_ERROR
from glp_export.core import errors

_OTHERS = {
    0: ("", "Done; of the gate: everything is kept."),
    INTERNAL_ERROR: ("", "An error of the program itself: run again with -v and report it."),
    130: ("", "Interrupted by the keyboard; --resume goes on."),
}


def exit_codes() -> str:
    """One row a code."""
    rows = {number: [entry] for number, entry in _OTHERS.items()}
    for one in vars(errors).values():
        if (
            isinstance(one, type)
            and issubclass(one, errors.GlpError)
            and one is not errors.GlpError
        ):
            rows.setdefault(one.exit_code, []).append((one.__name__, summary_of(one)))
    return table(
        ("code", "error", "meaning"),
        (
            (
                str(number),
                ", ".join(code(name) for name, _ in entries if name),
                " ".join(text for _, text in entries),
            )
            for number, entries in sorted(rows.items())
        ),
    )
