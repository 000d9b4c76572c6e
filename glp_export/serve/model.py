"""An artifact opened for use: texts in, answers out, without PyTorch and without transformers."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from glp_export.core import machine
from glp_export.core.arguments import count_of, path_of, text_of, threads_of
from glp_export.core.checksums import stamp, verify_files
from glp_export.core.errors import DataError, DeviceError, GlpError, ModelError, UsageError
from glp_export.core.notebook import facts_html
from glp_export.serve.agreement import require_agreement
from glp_export.serve.answers import Head
from glp_export.serve.graph import Graph, batches_of
from glp_export.serve.kinds import ServedKind, served_kind
from glp_export.serve.rows import Row, as_rows
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
from glp_export.serve.text import TOKENIZER, TOKENIZER_CONFIG, TextEncoder, open_encoder

if TYPE_CHECKING:
    from tokenizers import Encoding

logger = logging.getLogger(__name__)

CONFIG = "config.json"
ENVIRONMENT = "glp/environment.json"
FRONTIER = "glp/frontier.json"

BF16 = "bf16"
"""OpenVINO computes an fp32 file so, where it is asked to and the CPU can."""

CPU_BATCH_TOKENS = 512
"""Tokens of a batch on a CPU. More rows gain nothing there and are padded more: 64 texts of 4 to 40
words take 1.3 to 1.7 times as long in batches of 4096 tokens (benchmarks/serving_overhead.py)."""

BATCH_TOKENS = 8192
"""Tokens of a batch elsewhere, where many rows are needed to keep the device busy."""

_WINDOW = 4096
"""Rows that are cut into tokens together, so that a long list needs no more memory."""

_TRIES = 3
"""An artifact that is replaced while it is opened is opened anew so often, then refused."""

_HUB = re.compile(r"(https?:/.*|[\w.-]+(/[\w.-]+)?)")
"""What may be meant as the name of a repository of the hub."""

Texts = str | Iterable[str] | Iterable[tuple[str, str]]


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A model, ready to answer. Threads may share it.

    Attributes:
        path: the ONNX file that it runs.
        variant: its variant.
        precision: of its arithmetic.
        provider: full name of the execution provider that it runs on.
        threads: intra-op threads.
        kind: how it is asked and what it answers.
        head: what its outputs stand for.
        encoder: makes batches of texts.
        graph: the opened file.
        batch_tokens: tokens of a batch at most, padding included.
        reopen: opens the same file in the same way.
        width: of the hidden states, where the configuration tells it.
        reads_pairs: whether it was trained on pairs of texts; None where nothing says it.
        runtime: that runs it, `onnxruntime` or `openvino`.
        pads: whether rows of several lengths are padded to one; some models answer otherwise then.
    """

    path: Path
    variant: str
    precision: str
    provider: str
    threads: int
    kind: ServedKind
    head: Head
    encoder: TextEncoder
    graph: Graph
    batch_tokens: int
    reopen: Callable[[], ServedModel]
    width: int = 0
    reads_pairs: bool | None = None
    runtime: str = ONNX_RUNTIME
    pads: bool = True

    def __repr__(self) -> str:
        threads = f"{self.threads} thread{'s' * (self.threads != 1)}"
        return (
            f"ServedModel({self.path.parent.parent}: {self.path.name}, {self.precision}, "
            f"{self.provider}, {threads})"
        )

    def _repr_html_(self) -> str:
        facts = {
            "artifact": self.path.parent.parent,
            "file": self.path.name,
            "precision": self.precision,
            "labels": ", ".join(self.head.names[:8]),
            "provider": self.provider,
            "threads": self.threads,
        }
        return facts_html("served model", facts)

    def __reduce__(self) -> tuple[Any, ...]:
        """A pickle, and a copy, is the artifact's path and how it was opened: it is opened anew.

        A session does not travel; the files have to be where it arrives.
        """
        return self.reopen, ()

    def __call__(self, texts: Any, text_pairs: str | Iterable[str] | None = None) -> Any:
        """Answer a text, texts, or pairs of texts.

        Args:
            texts: a text; or several; or pairs of them. Longer ones are truncated to the length
                that the model was trained with. A model that labels words takes lists of words
                as well.
            text_pairs: the second text of each row, where `texts` are the first ones.

        Returns:
            `Answers` of a model that labels or scores texts, `TaggedWords` of one that labels
            words, `FoundAnswers` of one that is asked questions on documents; of one that makes
            embeddings a float32 array ``(texts, width)`` of vectors of length 1.

        Raises:
            DataError: a row that is no text and no pair of texts.
        """
        return self.kind.answer(self, texts, text_pairs)

    def logits(
        self, texts: Texts, text_pairs: str | Iterable[str] | None = None
    ) -> NDArray[np.float32]:
        """Logits ``(texts, outputs)`` float32 in the order of the texts; see `__call__`.

        Raises:
            DataError: as of `__call__`.
            UsageError: the model has none of whole texts.
        """
        if not self.kind.of_texts:
            raise UsageError(
                "this model does not answer with logits of whole texts",
                fix="call the model itself: model(texts)",
            )
        rows = as_rows(texts, text_pairs)
        self._require_pairs(rows)
        if not rows:
            return np.empty((0, self.head.outputs), dtype=np.float32)
        windows = range(0, len(rows), _WINDOW)
        return np.concatenate([self._window(rows[start : start + _WINDOW]) for start in windows])

    def _require_pairs(self, rows: Sequence[Row]) -> None:
        """Refuse single texts where the model was trained on pairs, and pairs where it was not.

        It would answer anything; and two texts in a list of their own are seldom meant as a pair.
        """
        if self.reads_pairs is None:
            return
        for number, row in enumerate(rows):
            if isinstance(row, str) is not self.reads_pairs:
                continue
            raise DataError(
                f"this model reads pairs of texts, and one text came alone: {row!r:.80}"
                if self.reads_pairs
                else f"this model reads single texts, and a pair came: {row!r:.80}",
                where=f"row {number}, counted from 0",
                fix="model(first_texts, second_texts), or model([(first, second), …])"
                if self.reads_pairs
                else "give a flat list: model([first, second]) answers for each",
            )

    def of_tokens(self, encoded: Sequence[Encoding]) -> list[list[NDArray[np.float32]]]:
        """Every output for the tokens of each row, without padding, in the order of the rows."""
        found: list[list[NDArray[np.float32]]] = [[] for _ in encoded]
        for batch in self._batches(encoded):
            padded = self.encoder.pad([encoded[row] for row in batch])
            outputs = self.graph.run_all(padded)
            for place, row in enumerate(batch):
                there = padded["attention_mask"][place].astype(bool)
                found[row] = [output[place][there] for output in outputs]
        return found

    def _batches(self, encoded: Sequence[Encoding]) -> list[NDArray[Any]]:
        return batches_of([len(one) for one in encoded], self.batch_tokens, padded=self.pads)

    def _window(self, rows: Sequence[Row]) -> NDArray[np.float32]:
        encoded = self.encoder.encode(rows)
        order = self._batches(encoded)
        logits = [
            self.graph.run(self.encoder.pad([encoded[row] for row in batch])) for batch in order
        ]
        gathered = np.concatenate(logits)
        restored = np.empty_like(gathered)
        restored[np.concatenate(order)] = gathered
        return restored


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
    _require_artifact(root)
    if verify:
        perhaps = (SETTINGS, ENVIRONMENT)
        verify_files(root, (CONFIG, TOKENIZER, TOKENIZER_CONFIG), perhaps=perhaps)
    settings, config = read_settings(root), _read_config(root)
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


def _require_artifact(root: Path) -> None:
    """Check that there is something to open, and say what to open instead."""
    if (root / CONFIG).is_file() and (root / "onnx").is_dir():
        return
    sweep_variants = [name for name in _listed(root) if (root / name / "onnx").is_dir()]
    if sweep_variants:
        raise ModelError(
            "this directory holds several artifacts",
            where=str(root),
            fix=f"open one of them: {', '.join(str(root / name) for name in sweep_variants)}",
        )
    if not root.exists() and _HUB.fullmatch(str(root)):
        raise ModelError(
            "there is no such directory, and ids of the hub are not loaded: serving does without "
            "the network",
            where=str(root),
            fix="fetch it first: huggingface_hub.snapshot_download(id) gives a directory to open",
        )
    raise ModelError(
        f"this is no artifact: it has no {CONFIG} and no onnx/",
        where=str(root),
        fix="give a directory that `glp-export prune-and-export` or `glp-export export` wrote",
    )


def _listed(root: Path) -> list[str]:
    """The artifacts that a sweep's `glp/frontier.json` lists, each once."""
    try:
        content = json.loads((root / FRONTIER).read_text(encoding="utf-8"))
        found = [str(point["directory"]) for point in content["points"] if point["directory"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return list(dict.fromkeys(found))


def _read_config(root: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((root / CONFIG).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ModelError(
            f"the model's configuration cannot be read: {error!s:.200}",
            where=str(root / CONFIG),
            fix="copy the file again",
        ) from error


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
