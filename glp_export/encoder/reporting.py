"""Trackers of experiments, by the names and through the callbacks that Trainer has for them."""

from __future__ import annotations

from collections.abc import Sequence

from glp_export.core.errors import UsageError


def require_reporters(names: Sequence[str]) -> None:
    """Check that Trainer can report to each of them, before anything is trained.

    Raises:
        UsageError: there is none of that name, or its library is not installed.
    """
    if not names:
        return
    from transformers.integrations import get_reporting_integration_callbacks

    for name in names:
        try:
            (callback,) = get_reporting_integration_callbacks([name])
            callback()
        except ValueError as error:
            raise UsageError(
                str(error).splitlines()[0], where=f"--report-to {name}", fix="name one of those"
            ) from error
        except (RuntimeError, ImportError) as error:
            raise UsageError(
                str(error).splitlines()[0],
                where=f"--report-to {name}",
                fix="install its package, or leave --report-to away",
            ) from error
