"""JSON as data files have it, where Python's reader would decide in silence or break."""

from __future__ import annotations

import json
from typing import Any

from glp_export.core.text import plain

_SHOWN = 60


class NotJsonError(ValueError):
    """Content that is not to be taken for a value.

    Attributes:
        fault: what is wrong with it, as a clause such as "is not JSON (Extra data)".
        line: at which it breaks, counted from 1.
        syntax: whether it is no JSON at all, so that it may be something else.
    """

    def __init__(self, fault: str, line: int = 1, *, syntax: bool = False) -> None:
        super().__init__(fault)
        self.fault = fault
        self.line = line
        self.syntax = syntax


class _NamedTwiceError(ValueError):
    """An object has two members of one name, of which Python's reader keeps the last."""


def decode(content: bytes) -> Any:
    """The value that stands there.

    Raises:
        NotJsonError: it is no JSON, an object names a member twice, or a value is too deep or has
            too many digits.
    """
    try:
        return json.loads(content, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise NotJsonError(f"is not JSON ({error.msg})", error.lineno, syntax=True) from error
    except UnicodeError as error:
        raise NotJsonError("is not JSON (not UTF-8 text)") from error
    except _NamedTwiceError as error:
        raise NotJsonError(f"names '{plain(str(error), _SHOWN)}' twice in one object") from error
    except RecursionError as error:
        raise NotJsonError("is nested too deeply") from error
    except ValueError as error:  # whole numbers of more than some 4300 digits
        raise NotJsonError("holds a number of too many digits") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise _NamedTwiceError(next(name for name in names if names.count(name) > 1))
    return made
