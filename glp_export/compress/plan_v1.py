"""Plans of schema 1, as version 0.1 wrote them: whole layers alone, read and never written."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from glp_export.compress.steps import Cost, Step, digest_of_choices
from glp_export.core.records import Record
from glp_export.core.shape import MAX_LAYERS


class PlanV1(Record):
    """The content of a `plan.json` of schema 1; `Plan` tells what the fields mean."""

    schema_version: int = 1
    base_model: str
    revision: str | None = None
    checksum: str | None = None
    num_layers: int = Field(gt=1, le=MAX_LAYERS)
    task: str
    metric: str
    strategy: str
    seed: int | None = None
    order: tuple[int, ...]
    steps: tuple[Step, ...] = ()
    cost: Cost = Cost()
    settings: dict[str, Any] = Field(default={})
    data_checksum: str | None = None
    versions: dict[str, str] = Field(default={})
    source: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of all but times and versions, by the rule of schema 1."""
        return digest_of_choices(self)

    @property
    def fields(self) -> dict[str, Any]:
        """What `Plan.of_layers` takes: the order, and the fields that schema 2 has as well."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        del fields["schema_version"]
        return fields
