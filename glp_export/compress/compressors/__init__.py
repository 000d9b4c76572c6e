"""The compressors: one file or folder each, and one row in `COMPRESSORS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pydantic import BaseModel


class HasOptions(Protocol):
    """A row of `COMPRESSORS`, as far as the configuration knows it.

    Attributes:
        options: a model whose fields are flags, keys of a configuration and rows of the docs.
    """

    options: type[BaseModel]


COMPRESSORS: dict[str, HasOptions] = {}
"""By name."""
