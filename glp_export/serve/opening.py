"""An artifact is opened as it was measured: in which runtime, which file, with how many threads."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from glp_export.core import machine
from glp_export.core.arguments import count_of, path_of, text_of, threads_of
from glp_export.core.checksums import stamp, verify_files
from glp_export.core.errors import DeviceError, GlpError, ModelError, UsageError
from glp_export.serve.agreement import require_agreement
from glp_export.serve.answers import Head
from glp_export.serve.directory import (
    CONFIG,
    TOKENIZER_CONFIG,
    read_config,
    require_artifact,
    sense_required,
)
from glp_export.serve.graph import Graph
from glp_export.serve.kinds import served_kind
from glp_export.serve.model import BATCH_TOKENS, CPU_BATCH_TOKENS, ServedModel
from glp_export.serve.runtimes import OPENVINO, RUNTIMES, open_in, require_runtime
from glp_export.serve.session import provider_name
from glp_export.serve.settings import (
    CPU,
    ONNX_RUNTIME,
    PLAIN,
    SETTINGS,
    ServedFile,
    Settings,
    read_settings,
    recorded_cpu_features,
)
from glp_export.serve.text import TOKENIZER, open_encoder

logger = logging.getLogger(__name__)

ENVIRONMENT = "glp/environment.json"

BF16 = "bf16"
"""OpenVINO computes an fp32 file so, where it is asked to and the CPU can."""

_TRIES = 3
"""An artifact that is replaced while it is opened is opened anew so often, then refused."""


@dataclass(frozen=True)
class OpenOptions:
    """How an artifact is opened, as `glp_export.load` explains; None: as it was measured."""

    provider: str | None = None
    threads: int | None = None
    precision: str | None = None
    variant: str | None = None
    verify: bool = True
    batch_tokens: int | None = None
    runtime: str | None = None

    def checked(self) -> OpenOptions:
        """The same in plain types.

        Raises:
            UsageError: one is of another type, or no such number.
        """
        most = self.batch_tokens
        return OpenOptions(
            provider=text_of(self.provider, "provider"),
            threads=threads_of(self.threads),
            precision=text_of(self.precision, "precision"),
            variant=text_of(self.variant, "variant"),
            verify=self.verify,
            batch_tokens=None if most is None else count_of(most, "batch_tokens"),
            runtime=text_of(self.runtime, "runtime"),
        )


@dataclass(frozen=True)
class _Chosen:
    """What is opened, and how.

    Attributes:
        runtime: a key of `RUNTIMES`.
        provider: full name of the execution provider.
        file: below `onnx/`.
        precision: of its arithmetic.
        threads: intra-op.
        verify: whether checksums are compared.
    """

    runtime: str
    provider: str
    file: ServedFile
    precision: str
    threads: int
    verify: bool

    def again(self, batch_tokens: int) -> OpenOptions:
        """What opens the same once more."""
        in_bf16 = self.precision == BF16
        return OpenOptions(
            provider=self.provider,
            threads=self.threads,
            precision=BF16 if in_bf16 else None,
            variant=None if in_bf16 else self.file.variant,
            verify=self.verify,
            batch_tokens=batch_tokens,
            runtime=self.runtime,
        )


def open_artifact(path: str | Path, options: OpenOptions = OpenOptions()) -> ServedModel:
    """Open an artifact.

    Raises:
        GlpError: as of `glp_export.load`.
    """
    root, asked = path_of(path, "path"), options.checked()
    for _ in range(_TRIES):
        before = stamp(root)
        try:
            model = _open(root, asked)
        except (GlpError, OSError):
            if stamp(root) == before:
                raise
        else:
            if stamp(root) == before:
                return model
    raise ModelError(
        "the artifact is replaced again and again while it is opened",
        where=str(root),
        fix="open it when whatever writes there has ended",
    )


def _open(root: Path, asked: OpenOptions) -> ServedModel:
    """Open what stands there now; of an artifact that is replaced meanwhile, files of both."""
    require_artifact(root)
    if asked.verify:
        perhaps = (SETTINGS, ENVIRONMENT)
        verify_files(root, (CONFIG, TOKENIZER, TOKENIZER_CONFIG), perhaps=perhaps)
    settings, config = read_settings(root), read_config(root)
    require_agreement(root, settings, config)
    chosen = _choose(root, settings, asked)
    name = chosen.file.name
    if asked.verify:
        verify_files(root, (f"onnx/{name}",), perhaps=(f"onnx/{name}_data",))
    path = Path(os.path.abspath(root))
    kind = served_kind(settings.kind, config, root)
    with sense_required(root):
        head, width = Head.of(config), int(config.get("hidden_size") or config.get("dim") or 0)
    batch_tokens = asked.batch_tokens or _batch_tokens(chosen.provider)
    return ServedModel(
        path=path / "onnx" / name,
        variant=chosen.file.variant,
        precision=chosen.precision,
        provider=chosen.provider,
        threads=chosen.threads,
        kind=kind,
        head=head,
        encoder=open_encoder(
            root, config, max_length=settings.max_length, multiple=settings.pad_to_multiple_of
        ),
        graph=Graph(_session(root / "onnx" / name, settings, chosen), kind.outputs),
        batch_tokens=batch_tokens,
        reopen=partial(open_artifact, path, chosen.again(batch_tokens)),
        width=width,
        reads_pairs=settings.text_pair,
        runtime=chosen.runtime,
        pads=settings.pads,
    )


def _choose(root: Path, settings: Settings, asked: OpenOptions) -> _Chosen:
    """What is asked for, and for the rest what was measured to be fastest."""
    runtime = _runtime(settings, asked.runtime, asked.provider, root)
    provider = _provider(settings, asked.provider, root) if runtime == ONNX_RUNTIME else CPU
    in_bf16 = (runtime, asked.precision) == (OPENVINO, BF16)
    precision, variant = asked.precision, asked.variant
    if in_bf16 and variant is None:
        precision, variant = None, PLAIN.variant  # the file that is checked and measured so
    file = settings.choose(provider, precision=precision, variant=variant, runtime=runtime)
    if precision is None and variant is None:
        file = _for_this_cpu(root, settings, provider, file, runtime)
    return _Chosen(
        runtime=runtime,
        provider=provider,
        file=file,
        precision=BF16 if in_bf16 else file.precision,
        threads=asked.threads or _threads(settings),
        verify=asked.verify,
    )


def _runtime(settings: Settings, asked: str | None, provider: str | None, root: Path) -> str:
    """What runs it: what is asked for, or what was fastest and is there; ONNX Runtime else.

    A provider is ONNX Runtime's, so who names one and no runtime asks for ONNX Runtime.
    """
    if asked is not None:
        require_runtime(asked)
        if asked != ONNX_RUNTIME and provider not in (None, "cpu", CPU):
            raise UsageError(
                f"{RUNTIMES[asked].title} runs on the CPU here, not on {provider}",
                where="provider",
                fix="leave the provider away",
            )
        return asked
    fastest = settings.runtime
    if fastest == ONNX_RUNTIME or provider is not None:
        return ONNX_RUNTIME
    if fastest in RUNTIMES and RUNTIMES[fastest].installed():
        return fastest
    known = RUNTIMES.get(fastest)
    logger.warning(
        "%s was fastest in %s, which is not installed here (%s); its best file in ONNX Runtime is "
        "opened instead",
        root,
        known.title if known else fastest,
        known.install if known else "this version does not know it",
    )
    return ONNX_RUNTIME


def _for_this_cpu(
    root: Path, settings: Settings, provider: str, file: ServedFile, runtime: str
) -> ServedFile:
    """The file that was chosen; fp32 instead, with a warning, where int8 was for another CPU."""
    if provider != CPU or not file.precision.startswith("int8"):
        return file
    doubt = machine.int8_doubt(recorded_cpu_features(root / ENVIRONMENT), machine.cpu_features())
    if doubt is None:
        return file
    instead = settings.choose(provider, precision="fp32", runtime=runtime)
    logger.warning(
        '%s: %s; %s is opened instead of %s (glp_export.load(…, precision="%s") opens that one)',
        root,
        doubt,
        instead.name,
        file.name,
        file.precision,
    )
    return instead


def _session(path: Path, settings: Settings, chosen: _Chosen) -> Any:
    """Open a file in the runtime that was chosen; what ONNX Runtime alone is told stands here."""
    own: dict[str, Any] = {
        "graph_level": settings.graph_level,
        "provider_options": settings.of_provider(chosen.provider).options,
        "session_options": settings.session_config,
    }
    return open_in(
        chosen.runtime,
        path,
        precision=chosen.precision,
        provider=chosen.provider,
        threads=chosen.threads,
        **(own if chosen.runtime == ONNX_RUNTIME else {}),
    )


def _provider(settings: Settings, asked: str | None, root: Path) -> str:
    """Full name of the provider that is asked for, or of the one that the artifact names."""
    try:
        return provider_name(asked or settings.provider)
    except DeviceError as error:
        if asked is not None:
            raise
        raise DeviceError(
            f"The artifact was measured on {settings.provider}. {error.what}",
            where=str(root / SETTINGS),
            fix=f'{error.fix}; or ask for another: glp_export.load(…, provider="cpu")',
        ) from error


def _batch_tokens(provider: str) -> int:
    return CPU_BATCH_TOKENS if provider == CPU else BATCH_TOKENS


def _threads(settings: Settings) -> int:
    """As many as it was measured with, and no more than there are cores to use."""
    cores = machine.usable_cores()
    return cores if settings.threads is None else min(settings.threads, cores)
