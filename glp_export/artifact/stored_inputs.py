"""A few batches kept with PyTorch's logits, so that a file is checked again without PyTorch.

They are random tokens: no example of anybody's data travels with the artifact.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from glp_export.artifact.onnx_file import OnnxFile
from glp_export.artifact.parity import OpenedFile, compare_with
from glp_export.artifact.parity_report import ParityReport
from glp_export.artifact.probes import LONGEST_PROBE, Case, probe_cases, sample_cases
from glp_export.artifact.reference import Reference
from glp_export.artifact.session import provider_name
from glp_export.artifact.tolerance import tolerance_for
from glp_export.core.errors import ParityError, reason_of
from glp_export.serve.runtimes import ONNX_RUNTIME
from glp_export.tasks import KINDS

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase

    from glp_export.artifact.modules import Source

    Array = np.ndarray[Any, Any]

_ROWS = "rows"
_LOGITS = "logits"
_KIND = "kind"


@dataclass(frozen=True)
class StoredInputs:
    """Batches and what PyTorch computed of them.

    Attributes:
        cases: batches of rows, then the probes of special shapes.
        logits: PyTorch's answers, float32, one array a case.
        kind: of the task.
    """

    cases: tuple[Case, ...]
    logits: tuple[Array, ...]
    kind: str

    @classmethod
    def compute(
        cls,
        source: Source | Reference,
        encoded: Dataset,
        tokenizer: PreTrainedTokenizerBase,
        *,
        auto_class: str,
        max_length: int,
        threads: int,
        samples: int = 16,
        batch_size: int = 8,
    ) -> StoredInputs:
        """Run rows and probes through a model in PyTorch, fp32 on the CPU.

        Args:
            source: as of `check_parity`.
            encoded: tokenised rows, not padded.
            tokenizer: pads them.
            auto_class: class of transformers that loads the checkpoint.
            max_length: longest sequence of the run, in tokens.
            threads: of PyTorch meanwhile.
            samples: rows at most.
            batch_size: rows padded together.

        Raises:
            DataError: there are no rows.
            ModelError: the checkpoint cannot be loaded, or computes NaN.
            UsageError: `max_length` is more than the model takes.
        """
        reference = (
            source
            if isinstance(source, Reference)
            else Reference(source, auto_class, threads=threads)
        )
        cases = (
            *sample_cases(encoded, tokenizer, samples=samples, batch_size=batch_size),
            *probe_cases(encoded, tokenizer, max_length=min(max_length, LONGEST_PROBE)),
        )
        predictions = tuple(reference.predictions(case.batch) for case in cases)
        return cls(cases, predictions, reference.kind.name)

    def save(self, path: Path) -> Path:
        """Write them as one compressed npz file, some ten kB."""
        import numpy as np

        arrays: dict[str, Any] = {
            f"{number}|{case.name}|{name}": values
            for number, (case, logits) in enumerate(zip(self.cases, self.logits, strict=True))
            for name, values in {**case.batch, _LOGITS: logits}.items()
        }
        arrays[_KIND] = np.array(self.kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(path, **arrays)
        return path

    @classmethod
    def load(cls, path: Path) -> StoredInputs:
        """Read what `save` wrote.

        Raises:
            ParityError: it is missing or broken, so there is nothing to hold the files against.
        """
        import numpy as np

        batches: dict[tuple[int, str], dict[str, Array]] = {}
        try:
            with np.load(path, allow_pickle=False) as arrays:
                kind = str(arrays[_KIND])
                for key in arrays.files:
                    if key == _KIND:
                        continue
                    number, case, name = key.split("|")
                    batches.setdefault((int(number), case), {})[name] = arrays[key]
            logits = tuple(batch.pop(_LOGITS) for batch in batches.values())
            _require_sense(kind, tuple(batches.values()), logits)
        except (OSError, EOFError, ValueError, KeyError, BadZipFile, zlib.error) as error:
            raise ParityError(
                f"the stored inputs cannot be read: {reason_of(error)}",
                where=str(path),
                fix="copy the whole artifact again, or make it again",
            ) from error
        cases: list[Case] = []
        for (_, name), batch in batches.items():
            first = sum(len(case.rows) for case in cases)
            count = len(batch["input_ids"]) if name == _ROWS else 0
            cases.append(Case(name, tuple(range(first, first + count)), batch))
        return cls(tuple(cases), logits, kind)

    def check(
        self,
        files: Sequence[OnnxFile],
        *,
        provider: str,
        threads: int,
        runtime: str = ONNX_RUNTIME,
    ) -> ParityReport:
        """Run every file on the batches, and compare with what is stored.

        Raises:
            DeviceError: the runtime or the provider is not there.
            ModelError: a file cannot be loaded.
        """
        rows = [case for case in self.cases if case.name == _ROWS]
        probes = [case for case in self.cases if case.name != _ROWS]
        provider = provider_name(provider)
        return ParityReport(
            tuple(
                compare_with(
                    self.logits,
                    OpenedFile.open(file, runtime=runtime, provider=provider, threads=threads),
                    rows,
                    probes,
                    tolerance_for(file.precision),
                    kind=KINDS[self.kind],
                )
                for file in files
            )
        )


def _require_sense(
    kind: str, batches: Sequence[Mapping[str, Array]], logits: Sequence[Array]
) -> None:
    """Check that there are batches of tokens and a number for every answer to each.

    Raises:
        ValueError: there are not.
    """
    import numpy as np

    if kind not in KINDS:
        raise ValueError(f"{kind!r:.60} is no kind of task")
    for batch, own in zip(batches, logits, strict=True):
        shape = batch["input_ids"].shape
        if len(shape) != 2 or any(
            one.shape != shape or one.dtype.kind != "i" for one in batch.values()
        ):
            raise ValueError("a batch is no rows of token ids")
        if own.dtype.kind != "f" or own.ndim < 2 or len(own) != shape[0]:
            raise ValueError(f"a batch of {shape[0]} rows has logits {own.dtype} {own.shape}")
        if not np.isfinite(own).all():
            raise ValueError("a logit is NaN or infinite")
    if len({(own.ndim, own.shape[-1]) for own in logits}) != 1:
        raise ValueError("the batches have no logits of one width")
