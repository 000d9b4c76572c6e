"""Whether the files that say what a model answers agree with one another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from glp_export.core.errors import ParityError
from glp_export.serve.answers import MULTI_LABEL, REGRESSION, SINGLE_LABEL, Head
from glp_export.serve.settings import SETTINGS, Settings

_CONFIG = "config.json"
_PROBLEMS = {
    "text-classification": SINGLE_LABEL,
    "regression": REGRESSION,
    "multi-label-classification": MULTI_LABEL,
}


def require_agreement(root: Path, settings: Settings, config: Mapping[str, Any]) -> None:
    """Check `ort_config.json`, `config.json` and the labels in both against one another.

    Where they differ, one of them names answers that the model does not give.

    Args:
        root: of the artifact.
        settings: what `ort_config.json` says.
        config: what `config.json` says.

    Raises:
        ParityError: they differ; the first difference is named.
    """
    for fault in _faults(settings, config):
        raise ParityError(
            f"{SETTINGS} and {_CONFIG} do not agree: {fault}",
            where=str(root),
            fix="copy the whole artifact again; if one was edited, edit both, or make it again",
        )


def _faults(settings: Settings, config: Mapping[str, Any]) -> Iterator[str]:
    try:
        named = {int(key): str(name) for key, name in (config.get("id2label") or {}).items()}
        ids = {str(name): int(key) for name, key in (config.get("label2id") or {}).items()}
    except (AttributeError, TypeError, ValueError) as error:
        yield f"id2label and label2id are no ids with names ({error!r:.120})"
        return
    names = tuple(named[key] for key in sorted(named))
    if sorted(named) != list(range(len(named))):
        yield f"id2label has the ids {_few(sorted(named))}, not 0 to {len(named) - 1}"
    if named and ids and any(ids.get(name, key) != key for key, name in named.items()):
        yield "label2id is not id2label turned round"
    if settings.labels and settings.labels != names:
        yield f"the labels are {_few(settings.labels)} in one and {_few(names)} in the other"
    problem = Head.of(dict(config)).problem if config.get("problem_type") else None
    wanted = _PROBLEMS.get(settings.kind or "")
    if problem and wanted and problem != wanted:
        yield f"the kind is {settings.kind} in one, the problem {problem} in the other"
    own = config.get("pad_token_id")
    if None not in (settings.pad_token_id, own) and settings.pad_token_id != own:
        yield f"padding is token {settings.pad_token_id} in one and {own} in the other"


def _few(values: Any) -> str:
    shown = ", ".join(f"{value!s:.40}" for value in list(values)[:6])
    return f"{shown}, …" if len(values) > 6 else shown or "none"
