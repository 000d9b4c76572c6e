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
    from transformers.integrations import get_reporting_integration_callbacks, integration_utils

    for name in names:
        where = f"--report-to {name}"
        try:
            get_reporting_integration_callbacks([name])
        except ValueError as error:
            reason = str(error).splitlines()[0]
            raise UsageError(reason, where=where, fix="name one of those") from error
        # `comet_ml` is asked for as `is_comet_available`, `azure_ml` as `is_azureml_available`.
        spellings = (name, name.removesuffix("_ml"), name.replace("_", ""))
        checks = (getattr(integration_utils, f"is_{one}_available", None) for one in spellings)
        check = next(filter(None, checks), None)  # none for a callback that somebody registered
        if check is not None and not check():
            raise UsageError(
                f"{name} is not installed",
                where=where,
                fix="install its package, or leave --report-to away",
            )
