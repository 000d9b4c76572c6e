"""What files on disk have in common: strict records, and errors that name the field."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from glp_export.core.errors import DataError, quoted, reason_of


class Record(BaseModel):
    """A file, or a part of one."""

    # A number that is not finite has no place in JSON; a field that is not in the contract is a
    # misspelt one. What is always written is required of whoever writes such a file.
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,
    )

    def write(self, path: Path) -> Path:
        """Write the record as JSON, in a directory that is made where it is not there."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return path

    @classmethod
    def read_optional(cls, path: Path, *, what: str, fix: str) -> Self | None:
        """`read`, or None where there is no such file."""
        return cls.read(path, what=what, fix=fix) if path.is_file() else None

    @classmethod
    def read(
        cls,
        path: Path,
        *,
        what: str,
        fix: str,
        part: Callable[[Any], Any] | None = None,
    ) -> Self:
        """Read a record from JSON.

        Args:
            path: of the file.
            what: it holds, for errors: `the benchmark`.
            fix: what to do about a broken one.
            part: of the JSON that is the record; it may refuse the whole.

        Raises:
            DataError: no such file, no JSON, or a field that is missing, unknown or out of range;
                the field is named.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            content = part(content) if part else content
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(
                f"{what} cannot be read: {quoted(reason_of(error))}", where=str(path), fix=fix
            ) from error
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            first = error.errors()[0]
            field = quoted(".".join(str(part) for part in first["loc"]))
            raise DataError(
                f"{what}'s {field or 'content'} is not as it should be: {quoted(first['msg'])}",
                where=str(path),
                fix=fix,
            ) from error
