"""What a run is asked to do: flags over a file over defaults, validated once.

A setting is a field of one section, and has one name everywhere. Python and YAML take the names
side by side, as the command line does, or below the name of their section:

    epochs: 1                training:
                               epochs: 1
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import (
    BaseModel,
    Field,
    SerializeAsAny,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from glp_export.compress.compressors.layers.options import LayerOptions
from glp_export.config.sections import (
    COUNTS,
    AuxiliaryOptions,
    BenchmarkOptions,
    CompressOptions,
    DataOptions,
    ExportOptions,
    HubOptions,
    MachineOptions,
    ModelOptions,
    OutputOptions,
    PrecisionOptions,
    TrainingOptions,
)
from glp_export.config.targets import Targets
from glp_export.core.options import Options, former_names, panel_of

__all__ = ["COUNTS", "NOT_RECORDED", "RunConfig", "fields", "flat", "may_change", "sections"]

NOT_RECORDED = frozenset({"token", *OutputOptions.model_fields, *HubOptions.model_fields}) - {
    "output"
}
"""How a run was started, not what it was asked to do: left out of `glp/run.yaml`."""

COMPRESSOR_ERRORS = "compressor_options"
"""The type of an error that holds those of the compressors' options."""


class RunConfig(Options):
    """One run of the main job, in a section for each stage.

    Attributes:
        compressors: the options of each compressor, by its name in `COMPRESSORS`.
    """

    model: ModelOptions = Field(default_factory=ModelOptions)
    data: DataOptions = Field(default_factory=DataOptions)
    compress: CompressOptions = Field(default_factory=CompressOptions)
    training: TrainingOptions = Field(default_factory=TrainingOptions)
    auxiliary: AuxiliaryOptions = Field(default_factory=AuxiliaryOptions)
    export: ExportOptions = Field(default_factory=ExportOptions)
    precision: PrecisionOptions = Field(default_factory=PrecisionOptions)
    machine: MachineOptions = Field(default_factory=MachineOptions)
    benchmark: BenchmarkOptions = Field(default_factory=BenchmarkOptions)
    output: OutputOptions = Field(default_factory=OutputOptions)
    hub: HubOptions = Field(default_factory=HubOptions)
    compressors: dict[str, SerializeAsAny[BaseModel]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _in_sections(cls, given: Any) -> Any:
        """Put each setting into its section, whichever way it was written."""
        if not isinstance(given, Mapping):
            return given
        nested: dict[str, Any] = {"compressors": {}}
        for name, value in flat(given).items():
            owners = owners_of(name)
            for owner in owners:
                within = nested if owner in cls.model_fields else nested["compressors"]
                within.setdefault(owner, {})[name] = value
            if not owners:
                nested[name] = value
        _name_criterion(nested)
        return nested

    @field_validator("compressors", mode="before")
    @classmethod
    def _options_of_compressors(cls, given: Mapping[str, Any]) -> dict[str, BaseModel]:
        if not isinstance(given, Mapping):
            raise ValueError("should be a mapping")
        options: dict[str, BaseModel] = {}
        errors: list[Any] = []
        for name, model in compressor_sections().items():
            try:
                options[name] = model.model_validate(given.get(name, {}))
            except ValidationError as error:
                errors += error.errors()
        if errors:
            words = "; ".join(f"{one['loc'][0]}: {one['msg']}" for one in errors)
            raise PydanticCustomError(
                COMPRESSOR_ERRORS, "{words}", {"words": words, "errors": errors}
            )
        return options

    @model_validator(mode="after")
    def _fits_together(self) -> RunConfig:
        if self.data.unlabeled is not None and self.training.recover == "finetune":
            raise ValueError("--unlabeled needs a teacher's answers: leave out --recover finetune")
        if self.hub.push_to_hub is None:
            return self
        if self.model.offline:
            raise ValueError("--offline forbids --push-to-hub")
        counts = (self.compress.depths or (), self.targets.speedups)
        if self.compress.sweep or any(len(asked) > 1 for asked in counts):
            raise ValueError(
                "several depths or speeds are several models: leave out --push-to-hub, and give "
                "each its repository with glp-export push"
            )
        return self

    @property
    def targets(self) -> Targets:
        """What the pruned model shall reach, where no number of layers is asked for."""
        return self.compress.targets

    @property
    def layers(self) -> LayerOptions:
        """How whole layers are chosen."""
        options = self.compressors["layers"]
        assert isinstance(options, LayerOptions)
        return options

    def updated(self, **settings: Any) -> RunConfig:
        """The same with other values for these settings, which are taken as they are."""
        changed: dict[str, dict[str, Any]] = {}
        for name, value in settings.items():
            for owner in owners_of(name):
                changed.setdefault(owner, {})[name] = value
        compressors = {
            name: options.model_copy(update=changed.pop(name, {}))
            for name, options in self.compressors.items()
        }
        return self.model_copy(
            update={"compressors": compressors}
            | {
                section: getattr(self, section).model_copy(update=values)
                for section, values in changed.items()
            }
        )

    def recorded(self) -> dict[str, Any]:
        """What `glp/run.yaml` keeps: settings side by side, as plain values."""
        found: dict[str, Any] = {}
        for section in self.model_dump(mode="json", exclude={"compressors"}).values():
            found |= section
        for options in self.compressors.values():
            found |= options.model_dump(mode="json")
        return {name: value for name, value in found.items() if name not in NOT_RECORDED}

    def save(self, path: Path) -> Path:
        """Write the resolved configuration as YAML, readable by `--config`."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(self.recorded(), sort_keys=False))
        return path


def _name_criterion(nested: dict[str, Any]) -> None:
    """Read the name of a criterion in `--compress` as structure by that criterion.

    Raises:
        ValueError: another criterion was named besides.
    """
    from glp_export.compress.compressors import COMPRESSORS
    from glp_export.compress.criteria import CRITERIA

    search = nested.get("compress", {})
    asked = search.get("compress")
    if not isinstance(asked, str):
        return
    names = [name.strip() for name in asked.split(",")]
    for place, name in enumerate(names):
        if name in COMPRESSORS or name not in CRITERIA:
            continue
        own = nested["compressors"].setdefault("structure", {})
        if own.setdefault("criterion", name) != name:
            raise ValueError(f"--compress {asked} is another criterion than {own['criterion']}")
        names[place] = "structure"
        search["compress"] = ",".join(names)


def compressor_sections() -> dict[str, type[BaseModel]]:
    """The options of every compressor: one that has some brings its flags and keys along."""
    from glp_export.compress.compressors import COMPRESSORS

    return {name: row.options for name, row in COMPRESSORS.items()}


def sections() -> dict[str, type[BaseModel]]:
    """All sections by name, those of the compressors last."""
    fixed = {
        name: field.annotation
        for name, field in RunConfig.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Options)
    }
    return fixed | compressor_sections()


def fields() -> Iterator[tuple[str, FieldInfo, type[BaseModel]]]:
    """Every setting once, with its section: one that several compressors share is one setting."""
    seen: set[str] = set()
    for section in sections().values():
        for name, field in section.model_fields.items():
            if name not in seen:
                yield name, field, section
            seen.add(name)


def heading(section: type[BaseModel]) -> str:
    """What a section's flags and its table in the docs stand below."""
    own = panel_of(section)
    named = (name for name, one in compressor_sections().items() if one is section)
    return own or f"Compressor {next(named, section.__name__)}"


def owners_of(setting: str) -> list[str]:
    """The sections that have a setting; compressors may share one."""
    return [name for name, section in sections().items() if setting in section.model_fields]


def may_change(setting: str) -> bool:
    """Whether a resumed run may change a setting: no trained weight depends on it."""
    return setting in ("workers", "worker_gpus") or bool(
        {"export", "precision", "machine", "benchmark", "output"}.intersection(owners_of(setting))
    )


def flat(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings side by side, by the names that they have now.

    Below a section's name stands a mapping or a section: `model: bert-dir` is the setting
    `model`, and `model: {revision: main}` the section. What a section does not have keeps its
    name as `section.key`.

    Raises:
        ValueError: a setting is given twice.
    """
    now = _names_now()
    found: dict[str, Any] = {}
    for name, value in given.items():
        above = isinstance(value, Mapping) and name == "compressors"
        for part, content in value.items() if above else [(name, value)]:
            for key, one in _inside(str(part), content, now):
                if key in found:
                    raise ValueError(f"{key} is given twice")
                found[key] = one
    return found


def _inside(name: str, value: Any, now: Mapping[str, str]) -> list[tuple[str, Any]]:
    """The settings of a section, or the one setting that a name stands for."""
    known = sections()
    section = known.get(name) or known.get(name.replace("_", "-"))  # a file's keys have no dash
    if section is None or not isinstance(value, Mapping | BaseModel):
        return [(now.get(name, name), value)]
    own = value if isinstance(value, Mapping) else value.model_dump(exclude_unset=True)
    names = {key: now.get(key, key) for key in own}
    return [
        (names[key] if names[key] in section.model_fields else f"{name}.{key}", one)
        for key, one in own.items()
    ]


def _names_now() -> dict[str, str]:
    """By former name the one that a setting has now."""
    return {old: name for name, field, _ in fields() for old in former_names(field)}
