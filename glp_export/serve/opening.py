"""An artifact is opened as it was measured: in which runtime, which file, with how many threads."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from glp_export.core import machine
from glp_export.core.arguments import count_of, path_of, text_of, threads_of
from glp_export.core.checksums import stamp, verify_files
from glp_export.core.errors import DeviceError, GlpError, ModelError, UsageError
from glp_export.serve.agreement import require_agreement
from glp_export.serve.answers import Head
from glp_export.serve.directory import CONFIG, read_config, require_artifact
from glp_export.serve.graph import Graph
from glp_export.serve.kinds import served_kind
from glp_export.serve.model import BATCH_TOKENS, CPU_BATCH_TOKENS, ServedModel
from glp_export.serve.runtimes import OPENVINO, RUNTIMES, open_in, require_runtime
from glp_export.serve.session import provider_name
from glp_export.serve.settings import (
    CPU,
    ONNX_RUNTIME,
    SETTINGS,
    ServedFile,
    Settings,
    read_settings,
    recorded_cpu_features,
)
from glp_export.serve.text import TOKENIZER, TOKENIZER_CONFIG, open_encoder

logger = logging.getLogger(__name__)

ENVIRONMENT = "glp/environment.json"

BF16 = "bf16"
"""OpenVINO computes an fp32 file so, where it is asked to and the CPU can."""

_TRIES = 3
"""An artifact that is replaced while it is opened is opened anew so often, then refused."""


def load(
    path: str | Path,
    *,
    provider: str | None = None,
    threads: int | None = None,
    precision: str | None = None,
    variant: str | None = None,
    verify: bool = True,
    batch_tokens: int | None = None,
    runtime: str | None = None,
) -> ServedModel:
    """Open an artifact; `glp_export.load` tells of the arguments."""
    root, threads = path_of(path, "path"), threads_of(threads)
    if batch_tokens is not None:
        batch_tokens = count_of(batch_tokens, "batch_tokens")
    for name, value in (
        ("provider", provider),
        ("precision", precision),
        ("variant", variant),
        ("runtime", runtime),
    ):
        text_of(value, name)
    for _ in range(_TRIES):
        before = stamp(root)
        try:
            model = _open(
                root,
                provider=provider,
                threads=threads,
                precision=precision,
                variant=variant,
                verify=verify,
                batch_tokens=batch_tokens,
                runtime=runtime,
            )
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


def _open(
    root: Path,
    *,
    provider: str | None,
    threads: int | None,
    precision: str | None,
    variant: str | None,
    verify: bool,
    batch_tokens: int | None,
    runtime: str | None,
) -> ServedModel:
    """Open what stands there now; of an artifact that is replaced meanwhile, files of both."""
    require_artifact(root)
    if verify:
        perhaps = (SETTINGS, ENVIRONMENT)
        verify_files(root, (CONFIG, TOKENIZER, TOKENIZER_CONFIG), perhaps=perhaps)
    settings, config = read_settings(root), read_config(root)
    require_agreement(root, settings, config)
    ran_by = _runtime(settings, runtime, provider, root)
    chosen = _provider(settings, provider, root) if ran_by == ONNX_RUNTIME else CPU
    in_bf16 = (ran_by, precision) == (OPENVINO, BF16)
    file = settings.choose(
        chosen, precision="fp32" if in_bf16 else precision, variant=variant, runtime=ran_by
    )
    if precision is None and variant is None:
        file = _for_this_cpu(root, settings, chosen, file, ran_by)
    arithmetic = BF16 if in_bf16 else file.precision
    if verify:
        verify_files(root, (f"onnx/{file.name}",), perhaps=(f"onnx/{file.name}_data",))
    cores = _threads(settings) if threads is None else threads
    kind = served_kind(settings.kind, config, root)
    most = batch_tokens or _batch_tokens(chosen)
    path = Path(os.path.abspath(root))
    reopen = partial(load, path, provider=chosen, threads=cores, batch_tokens=most, runtime=ran_by)
    return ServedModel(
        path=path / "onnx" / file.name,
        variant=file.variant,
        precision=arithmetic,
        provider=chosen,
        threads=cores,
        kind=kind,
        head=Head.of(config),
        encoder=open_encoder(
            root, config, max_length=settings.max_length, multiple=settings.pad_to_multiple_of
        ),
        graph=_open_graph(
            root / "onnx" / file.name,
            settings,
            (ran_by, chosen, arithmetic),
            cores,
            kind.outputs,
        ),
        batch_tokens=most,
        reopen=partial(reopen, precision=BF16)
        if in_bf16
        else partial(reopen, variant=file.variant),
        width=int(config.get("hidden_size") or config.get("dim") or 0),
        reads_pairs=settings.text_pair,
        runtime=ran_by,
        pads=settings.pads,
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


def _open_graph(
    path: Path,
    settings: Settings,
    place: tuple[str, str, str],
    threads: int,
    outputs: Sequence[str],
) -> Graph:
    """Open a file by runtime, provider and precision."""
    runtime, provider, precision = place
    own: dict[str, Any] = {
        "graph_level": settings.graph_level,
        "provider_options": settings.of_provider(provider).options,
        "session_options": settings.session_config,
    }
    options = own if runtime == ONNX_RUNTIME else {}
    return Graph(
        open_in(runtime, path, precision=precision, provider=provider, threads=threads, **options),
        outputs,
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
