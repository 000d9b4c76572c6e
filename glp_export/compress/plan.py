"""The plan: what was taken away, in which order, with which score, at what cost."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError, model_validator

from glp_export.compress.combined_edits import (
    blocks_after,
    factors_after,
    kept_after,
    shape_after,
    tokens_after,
)
from glp_export.compress.edits import Edit, RemoveLayers, SparsifyBlocks, TrimVocabulary
from glp_export.compress.plan_v1 import PlanV1
from glp_export.compress.steps import Candidate, Cost, Step, digest_of_choices
from glp_export.core import numbers
from glp_export.core.errors import DataError, UsageError, quoted, reason_of
from glp_export.core.factors import Preset
from glp_export.core.notebook import facts_html
from glp_export.core.numbers import layers_in_words
from glp_export.core.records import Record
from glp_export.core.shape import MAX_LAYERS, Kept, ModelShape

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["SCHEMA_VERSION", "Candidate", "Cost", "Plan", "Step", "plan_id"]

SCHEMA_VERSION: Literal[2] = 2


class Plan(Record):
    """What of a model goes, and why: the edits that make the smaller model of the unpruned one.

    Attributes:
        schema_version: of this file.
        base_model: name of the model that was searched.
        revision: of it on the hub; null for a local one.
        checksum: of its weights; null for one on the hub.
        num_layers: that it has.
        base_shape: its heads, neurons and vocabulary; null where only its layers were counted, as
            in published plans.
        compressors: keys of `COMPRESSORS`, in the order in which they were used.
        edits: in the order in which they are applied.
        task: name of the data.
        metric: that candidates were scored by.
        strategy: what chose: a key of `STRATEGIES` or of `CRITERIA`, or where the plan comes from.
        seed: of the search; null where nothing was drawn.
        steps: one for each choice, in that order.
        cost: what the search spent.
        settings: that the candidates were trained with.
        data_checksum: of the data and its splits.
        auxiliary: checksums of the auxiliary tasks that were learned from.
        latency_table: id of the table that the choice was made by; null where there was none.
        predicted_speedup: over the unpruned model, by that table.
        versions: of the packages.
        source: of a published plan.
    """

    schema_version: Literal[2] = SCHEMA_VERSION
    base_model: str
    revision: str | None = None
    checksum: str | None = None
    num_layers: int = Field(gt=1, le=MAX_LAYERS)
    base_shape: ModelShape | None = None
    compressors: tuple[str, ...] = ("layers",)
    edits: tuple[Edit, ...] = ()
    task: str
    metric: str
    strategy: str
    seed: int | None = None
    steps: tuple[Step, ...] = ()
    cost: Cost = Cost()
    settings: dict[str, Any] = Field(default={})
    data_checksum: str | None = None
    auxiliary: tuple[str, ...] = ()
    latency_table: str | None = None
    predicted_speedup: float | None = None
    versions: dict[str, str] = Field(default={})
    source: str | None = None

    @model_validator(mode="after")
    def _edits_fit_the_model(self) -> Plan:
        if any(layer >= self.num_layers for layer in self.order):
            raise ValueError(f"order {list(self.order)} leaves the {self.num_layers} layers")
        if len(self.order) >= self.num_layers:
            raise ValueError("order removes every layer")
        if self.base_shape is not None:
            if self.base_shape.depth != self.num_layers:
                raise ValueError("base_shape has another number of layers than num_layers")
            kept_after(self.edits, self.base_shape)  # raises where they do not fit
            factors_after(self.edits)
            blocks_after(self.edits)
        elif any(not isinstance(edit, RemoveLayers) for edit in self.edits):
            raise ValueError("edits of other things than whole layers need base_shape")
        return self

    @classmethod
    def of_layers(cls, order: Sequence[int], **fields: Any) -> Plan:
        """A plan that removes whole layers, in the order of removal."""
        edits = (RemoveLayers(layers=tuple(order)),) if order else ()
        return cls(edits=edits, **fields)

    @property
    def order(self) -> tuple[int, ...]:
        """The whole layers that go, in the order of removal, numbered as in the base model."""
        first = next((edit for edit in self.edits if not isinstance(edit, TrimVocabulary)), None)
        return first.layers if isinstance(first, RemoveLayers) else ()

    @property
    def layers_only(self) -> bool:
        """Whether nothing but whole layers goes, so that a prefix of `order` is a plan too."""
        return len(self.edits) == bool(self.order)

    @property
    def depth(self) -> int:
        """How many layers stay."""
        return self.num_layers - len(self.order)

    @property
    def kept(self) -> tuple[int, ...]:
        """The layers that stay, bottom first, numbered as in the base model."""
        return tuple(layer for layer in range(self.num_layers) if layer not in self.order)

    @property
    def shape(self) -> ModelShape | None:
        """The shape of the pruned model; None where that of the unpruned one is not known."""
        return None if self.base_shape is None else shape_after(self.edits, self.base_shape)

    @property
    def kept_units(self) -> Kept | None:
        """The heads and neurons that stay in the layers that stay; None for all of them."""
        return None if self.base_shape is None else kept_after(self.edits, self.base_shape)

    @property
    def base_vocabulary(self) -> int | None:
        """Tokens of the unpruned model; None where that is not known."""
        return None if self.base_shape is None else self.base_shape.vocabulary

    @property
    def kept_tokens(self) -> tuple[int, ...] | None:
        """The tokens that stay, by their ids in the unpruned model; None for all."""
        return tokens_after(self.edits)

    @property
    def factors(self) -> Preset | None:
        """How matrices are divided into Kronecker factors; None where they are not."""
        return factors_after(self.edits)

    @property
    def blocks(self) -> SparsifyBlocks | None:
        """How blocks of matrices are made sparse; None where they are not."""
        return blocks_after(self.edits)

    @property
    def whole_blocks(self) -> Plan:
        """The same with dense matrices."""
        left = tuple(edit for edit in self.edits if not isinstance(edit, SparsifyBlocks))
        return self.model_copy(update={"edits": left})

    @property
    def whole_vocabulary(self) -> Plan:
        """The same with all tokens."""
        left = tuple(edit for edit in self.edits if not isinstance(edit, TrimVocabulary))
        return self.model_copy(update={"edits": left})

    @property
    def inside_layers(self) -> bool:
        """Whether heads or neurons go of layers that stay."""
        return self.kept_units is not None

    @property
    def changes_layers(self) -> bool:
        """Whether layers that stay are not what they were."""
        return self.inside_layers or self.factors is not None or self.blocks is not None

    @property
    def id(self) -> str:
        """16 hexadecimal digits of the base model's checksum and the edits alone.

        Two plans with one id make the same model; the order in which layers went has no part in it.
        """
        return plan_id(self.checksum or f"{self.base_model}@{self.revision}", self.edits)

    @property
    def label(self) -> str:
        """For people: `6 layers`, `12 layers, 61 % of heads, 40 % of neurons`."""
        shape = self.shape
        left = layers_in_words(self.depth) if shape is None else shape.label(self.base_shape)
        if self.blocks is not None:
            return f"{left}, sparse blocks ({100 * self.blocks.keep:g} %)"
        return left if self.factors is None else f"{left}, Kronecker factors"

    @property
    def digest(self) -> str:
        """SHA-256 of everything that the search decided: all but times and versions.

        Two runs that chose alike from the same scores have the same digest. Fields that hold their
        default are left out, so that a field that is added later changes no old plan.
        """
        return digest_of_choices(self)

    def apply(self, model: PreTrainedModel) -> PreTrainedModel:
        """The compact model that the edits make of a live unpruned one, which stays as it is.

        Raises:
            UsageError: the model has another number of layers than the plan is for.
            ModelError: see the edits.
        """
        from glp_export.encoder.sublayers import layers_of

        layers = len(layers_of(model))
        if layers != self.num_layers:
            raise UsageError(
                f"the plan is for a model of {self.num_layers} layers, this one has {layers}",
                fix="give the model that was searched, or one of its shape",
            )
        for edit in self.edits:
            model = edit.compact(model)
        return model

    def expand(self, model: PreTrainedModel) -> PreTrainedModel:
        """The dense form of a model that `apply` made, for saving, in the stock architecture.

        Zeros stand for heads and neurons that are gone, and factors are multiplied out. Whole
        layers leave nothing to fill in, so a plan of them gives the model itself.
        """
        from glp_export.encoder.compaction import expand
        from glp_export.encoder.kronecker import multiply_out

        if self.factors is not None:
            return multiply_out(model)
        kept = self.kept_units
        return model if kept is None else expand(model, kept)

    def cut(self, removals: int) -> Plan:
        """The plan of the first `removals` layers in the order.

        Raises:
            UsageError: the order is shorter than that, or more goes than whole layers.
        """
        if not self.layers_only:
            raise UsageError(
                "the plan changes more than whole layers, so a part of it is no plan",
                fix="take it as it is: leave --depth, --depths and --prune out",
            )
        if not 1 <= removals <= len(self.order):
            raise UsageError(
                f"the plan removes {len(self.order)} layers, {removals} were asked for",
                fix=f"ask for 1 to {len(self.order)}, or search anew",
            )
        if removals == len(self.order):
            return self
        edits = (RemoveLayers(layers=self.order[:removals]),)
        return self.model_copy(update={"edits": edits, "steps": self.steps[:removals]})

    def __repr__(self) -> str:
        return (
            f"Plan({self.label} of {self.base_model}, for {self.task}, {self.strategy}, {self.id})"
        )

    def _repr_html_(self) -> str:
        facts = {
            "left": self.label,
            "base model": self.base_model,
            "task": self.task,
            "chosen by": self.strategy,
            "layers removed": ", ".join(map(str, self.order)) or "none",
            "predicted speedup": self.predicted_speedup or numbers.MISSING,
            "id": self.id,
        }
        return facts_html("plan", facts)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, with what follows from them: `order`, as schema 1 had it, and the id."""
        return {**self.model_dump(mode="json"), "order": list(self.order), "id": self.id}

    def save(self, path: Path) -> Path:
        """Write the plan as JSON, with its id and its digest for people to compare."""
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {**self.as_dict(), "digest": self.digest}
        path.write_text(json.dumps(content, indent=2) + "\n")
        return path

    @classmethod
    def load(cls, path: Path) -> Plan:
        """Read a plan that `save` wrote, of this schema or of schema 1.

        Raises:
            DataError: no file there, no JSON, not a plan, of an unknown schema, or edited since
                (the digest differs).
        """
        try:
            content = json.loads(path.read_text())
            digest = content.pop("digest", None)
            version = content.get("schema_version", 1)
            if version not in (1, SCHEMA_VERSION):
                raise ValueError(
                    f"it has schema version {quoted(version)}, this program reads 1 and 2"
                )
            order = content.pop("order", None) if version == SCHEMA_VERSION else None
            content.pop("id", None)  # it follows from the edits
            if version == 1:
                old = PlanV1.model_validate(content)
                read, own_digest = cls.of_layers(**old.fields), old.digest
            else:
                read = cls.model_validate(content)
                own_digest = read.digest
        except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(_reason(error), where=str(path), fix="give a plan.json") from error
        if digest is not None and digest != own_digest:
            raise DataError(
                "the plan was changed after it was written: its digest differs",
                where=str(path),
                fix="remove the `digest` line if the change is meant",
            )
        if order is not None and order != list(read.order):
            raise DataError(
                "the plan's `order` is not that of its `edits`",
                where=str(path),
                fix="change the edits, and leave `order` out",
            )
        return read


def plan_id(base: str, edits: Sequence[Edit]) -> str:
    """16 hexadecimal digits of a base model's identity and the edits made to it."""
    content = [
        {"kind": edit.kind, "layers": sorted(edit.layers)}
        if isinstance(edit, RemoveLayers)
        else edit.model_dump(mode="json")
        for edit in edits
    ]
    whole = json.dumps({"base": base, "edits": content}, sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return f"not a plan: {quoted(place) + ': ' if place else ''}{quoted(first['msg'])}"
    return f"the plan cannot be read: {quoted(reason_of(error))}"
