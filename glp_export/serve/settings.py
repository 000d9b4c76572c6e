"""How an artifact says it is best run, read from its `ort_config.json` with nothing but json.

`glp_export.artifact.serving` writes the file. Reading it has no use for pydantic, which a machine
that only serves need not have.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any, Final

from glp_export.core.errors import ModelError, UsageError

SETTINGS = "ort_config.json"
KEY = "serving"
"""Our part of the file; the keys beside it are those of optimum's ORTConfig."""

SCHEMA_VERSION: Final = 1
CPU = "CPUExecutionProvider"
ONNX_RUNTIME = "onnxruntime"


@dataclass(frozen=True)
class ServedFile:
    """An ONNX file below `onnx/`: its name, its variant and the precision of its arithmetic."""

    name: str
    variant: str
    precision: str


PLAIN = ServedFile("model.onnx", "fp32", "fp32")
"""Standard operators only: it runs on every provider, measured there or not."""


@dataclass(frozen=True)
class ProviderSettings:
    """What is known of one execution provider.

    Attributes:
        options: as its documentation names them.
        order: the files that were measured on it by name, the one to be preferred first.
    """

    options: Mapping[str, str] = field(default_factory=dict)
    order: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """What an artifact says of its serving; the defaults are for one that says nothing.

    Attributes:
        provider: the execution provider that it was measured on.
        threads: intra-op threads that it was measured with; None where that is not known.
        graph_level: optimisation while loading, a key of `GRAPH_LEVELS`.
        session_config: entries of ONNX Runtime's session configuration.
        max_length: longest input in tokens; None where the tokenizer alone decides.
        pad_to_multiple_of: lengths are padded to multiples of it; None for no such rule.
        files: every ONNX file that ships.
        providers: what is known of each provider by its full name.
        kind: of task; None for an artifact that does not say.
        labels: in the order of their ids; () where it has none, or says none.
        text_pair: whether the texts of its task come in pairs; None where that is not said.
        pad_token_id: what pads; None where it is not said.
        pads: whether rows may be padded to one length; else their answers would change.
        runtime: that was fastest, surely; a key of `runtimes.RUNTIMES`.
        runtimes: of every other runtime than ONNX Runtime that it was measured in the files by
            name, the one to be preferred first.
    """

    provider: str = CPU
    threads: int | None = None
    graph_level: str = "all"
    session_config: Mapping[str, str] = field(default_factory=dict)
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    files: tuple[ServedFile, ...] = (PLAIN,)
    providers: Mapping[str, ProviderSettings] = field(default_factory=dict)
    kind: str | None = None
    labels: tuple[str, ...] = ()
    text_pair: bool | None = None
    pad_token_id: int | None = None
    pads: bool = True
    runtime: str = ONNX_RUNTIME
    runtimes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def of_provider(self, provider: str) -> ProviderSettings:
        """What is known of a provider; of one that was not measured, nothing."""
        return self.providers.get(provider, ProviderSettings())

    def choose(
        self,
        provider: str,
        *,
        precision: str | None = None,
        variant: str | None = None,
        runtime: str = ONNX_RUNTIME,
    ) -> ServedFile:
        """The file to run on a provider of ONNX Runtime, or in another runtime.

        That is the one that was fastest there. On a provider that nothing was measured on it is
        the plain fp32 file, which every provider takes. A precision or a variant that is asked
        for narrows the choice.

        Raises:
            UsageError: nothing of that precision or variant ships, or both were given.
        """
        if precision is not None and variant is not None:
            raise UsageError(
                "a variant has its precision; both were given",
                where=f"precision {precision}, variant {variant}",
                fix="leave precision away",
            )
        asked = precision is not None or variant is not None
        for file in self._in_order(self._order(runtime, provider), asked=asked):
            if precision in (None, file.precision) and variant in (None, file.variant):
                return file
        asked_for = f"variant {variant!r}" if precision is None else f"precision {precision!r}"
        raise UsageError(
            f"no file of {asked_for} ships with this artifact",
            fix="there are "
            + ", ".join(f"{file.variant} ({file.precision})" for file in self.files),
        )

    def _order(self, runtime: str, provider: str) -> tuple[str, ...]:
        if runtime == ONNX_RUNTIME:
            return self.of_provider(provider).order
        return self.runtimes.get(runtime, ())

    def _in_order(self, order: tuple[str, ...], *, asked: bool) -> list[ServedFile]:
        by_name = {file.name: file for file in self.files}
        measured = [by_name[name] for name in order if name in by_name]
        rest = [file for file in self.files if file not in measured]
        return [*measured, *rest] if measured or asked else [PLAIN]


def read_settings(root: Path) -> Settings:
    """Read what the artifact at `root` says, or the defaults where it says nothing.

    Raises:
        ModelError: the file is broken, or another version of this program wrote it.
    """
    path = root / SETTINGS
    if not path.is_file():
        return Settings()
    try:
        content = json.loads(path.read_text(encoding="utf-8")).get(KEY)
        if content is None:  # optimum's own file, of whoever optimised or quantised here
            return Settings()
        if content["schema_version"] != SCHEMA_VERSION:
            raise ModelError(
                f"the serving settings have version {content['schema_version']}, this program "
                f"reads {SCHEMA_VERSION}",
                where=str(path),
                fix="serve it with the glp-export that made it, or make it again",
            )
        return _settings(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"the serving settings cannot be read: {error!r:.200}",
            where=str(path),
            fix="copy the file again, or make the artifact again",
        ) from error


def _settings(content: Mapping[str, Any]) -> Settings:
    shapes = content["shapes"]
    return Settings(
        provider=_typed(content, "provider", str),
        threads=_count(content, "threads"),
        graph_level=_typed(content, "graph_level", str),
        session_config=_texts(content["session_config"]),
        max_length=_count(shapes, "max_length"),
        pad_to_multiple_of=_count(shapes, "pad_to_multiple_of"),
        files=tuple(_file(entry) for entry in content["files"]),
        providers={
            name: ProviderSettings(
                _texts(entry["options"]), tuple(file["name"] for file in entry["files"])
            )
            for name, entry in content["providers"].items()
        },
        kind=_typed(content, "kind", str, NoneType),
        labels=tuple(content.get("labels") or ()),
        text_pair=_typed({"text_pair": None, **content}, "text_pair", bool, NoneType),
        pad_token_id=_typed({"pad_token_id": None, **shapes}, "pad_token_id", int, NoneType),
        pads=_typed({"pads": True, **shapes}, "pads", bool),
        runtime=_typed({"runtime": ONNX_RUNTIME, **content}, "runtime", str),
        runtimes={
            name: tuple(file["name"] for file in entry["files"])
            for name, entry in (content.get("runtimes") or {}).items()
        },
    )


def _typed(content: Mapping[str, Any], name: str, *types: type) -> Any:
    """A value that is of one of some types.

    Raises:
        ValueError: it is of another.
    """
    value = content[name]
    if type(value) not in types:
        raise ValueError(f"{name} is {value!r:.60}, which is no {types[0].__name__}")
    return value


def _count(content: Mapping[str, Any], name: str) -> int | None:
    """A number of at least one, or None."""
    found: int | None = _typed(content, name, int, NoneType)
    if found is not None and found < 1:
        raise ValueError(f"{name} is {found}, less than 1")
    return found


def _texts(content: Mapping[str, Any]) -> dict[str, str]:
    return {name: _typed(content, name, str) for name in content}


def recorded_cpu_features(environment: Path) -> tuple[str, ...] | None:
    """Instruction sets of the CPU that an artifact was made on; None where nothing says them."""
    try:
        features = json.loads(environment.read_text(encoding="utf-8"))["features"]
        return tuple(map(str, features))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _file(entry: Mapping[str, Any]) -> ServedFile:
    name = entry["name"]
    if Path(name).name != name:
        raise ValueError(f"{name!r} is no name of a file below onnx/")
    return ServedFile(name, _typed(entry, "variant", str), _typed(entry, "precision", str))
