"""Whether an ONNX file computes what the PyTorch model computes.

No exporter fails on wrong numbers, so every file is compared before it ships: on real rows padded
together, and on shapes other than the one it was traced with.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from glp_export.artifact.difference import Difference, agreement, compare
from glp_export.artifact.onnx_file import OnnxFile
from glp_export.artifact.parity_hints import approximated, unread
from glp_export.artifact.parity_report import FileParity, ParityReport, Probe
from glp_export.artifact.probes import LONGEST_PROBE, Case, probe_cases, sample_cases
from glp_export.artifact.reference import Reference
from glp_export.artifact.session import open_session, provider_name, run_batch
from glp_export.artifact.tolerance import SAME_NOISE, TOLERANCES, tolerance_for
from glp_export.core.errors import ModelError
from glp_export.core.tolerance import Tolerance
from glp_export.serve.runtimes import ONNX_RUNTIME, open_in
from glp_export.tasks.kinds import Choices, TaskKind
from glp_export.tasks.predictions import attended

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from onnxruntime import InferenceSession
    from transformers import PreTrainedTokenizerBase

    from glp_export.artifact.modules import Source

    Array = np.ndarray[Any, Any]

logger = logging.getLogger(__name__)

_BLIND = 10
"""Times the tolerance that logits must vary by for a comparison to mean something."""


@dataclass(frozen=True)
class OpenedFile:
    """A file that is open in a runtime.

    Attributes:
        session: ONNX Runtime's, or one that is called so.
        runtime: a key of `serve.runtimes.RUNTIMES`.
    """

    file: OnnxFile
    session: InferenceSession
    runtime: str
    threads: int

    @classmethod
    def open(cls, file: OnnxFile, *, runtime: str, provider: str, threads: int) -> OpenedFile:
        """Open a file as it would be deployed.

        Raises:
            DeviceError: the runtime or the provider is not there.
            ModelError: the file cannot be loaded.
        """
        session = open_in(
            runtime, file.path, precision=file.precision, provider=provider, threads=threads
        )
        return cls(file, session, runtime, threads)


@dataclass(frozen=True)
class _Run:
    """One batch as PyTorch and as the file computed it; `error` says why the file did not."""

    case: Case
    wanted: Array
    found: Array | None
    error: str = ""


def check_parity(
    files: Sequence[OnnxFile],
    source: Source | Reference,
    encoded: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    *,
    auto_class: str,
    max_length: int,
    threads: int,
    provider: str = "CPUExecutionProvider",
    atol: float | None = None,
    rtol: float | None = None,
    samples: int = 256,
    batch_size: int = 8,
    runtime: str = ONNX_RUNTIME,
) -> ParityReport:
    """Compare the answers of ONNX files with those of the model in PyTorch, fp32 on the CPU.

    Where every token has its answer, those of padding are left out: nobody reads them.

    Args:
        files: the files to check, each opened as it would be deployed.
        source: the module, a directory with config.json and safetensors weights, or what was
            made of one before, which knows the answers that it gave.
        encoded: real tokenised rows, not padded.
        tokenizer: pads them.
        auto_class: class of transformers that loads the checkpoint.
        max_length: longest sequence of the run, in tokens.
        threads: of ONNX Runtime, and of PyTorch meanwhile.
        provider: execution provider of the sessions.
        atol: in place of the precision's own; see `tolerance.TOLERANCES`.
        rtol: likewise.
        samples: rows compared at most, spread over the data set.
        batch_size: rows padded together.
        runtime: that runs the files, a key of `serve.runtimes.RUNTIMES`.

    Returns:
        The findings, good or bad; `ParityReport.require` turns bad ones into an error.

    Raises:
        DataError: there are no rows.
        DeviceError: the provider is not there.
        ModelError: a file or the model cannot be loaded, or PyTorch itself computes NaN.
        UsageError: `max_length` is more than the model takes.
    """
    provider = provider_name(provider)
    reference = (
        source if isinstance(source, Reference) else Reference(source, auto_class, threads=threads)
    )
    rows = sample_cases(encoded, tokenizer, samples=samples, batch_size=batch_size)
    probes = probe_cases(encoded, tokenizer, max_length=min(max_length, LONGEST_PROBE))
    cases = [*rows, *probes]
    wanted = [reference.predictions(case.batch) for case in cases]
    checked = []
    for file in files:
        opened = OpenedFile.open(file, runtime=runtime, provider=provider, threads=threads)
        session = opened.session
        tolerance = tolerance_for(file.precision, atol=atol, rtol=rtol)
        found = compare_with(wanted, opened, rows, probes, tolerance, kind=reference.kind)
        if not found.passed:
            reasons = (*approximated(file), *unread(session, cases, reference))
            found = replace(found, failures=(*found.failures, *reasons))
        checked.append(found)
        _announce(found)
    return ParityReport(tuple(checked))


def compare_with(
    wanted: Sequence[Array],
    opened: OpenedFile,
    rows: Sequence[Case],
    probes: Sequence[Case],
    tolerance: Tolerance | None,
    *,
    kind: TaskKind,
) -> FileParity:
    """Compare one open file with what PyTorch computed.

    Args:
        wanted: PyTorch's answers to every batch of `rows`, then of `probes`.
        opened: the file.
        rows: batches of rows; together they give the differences that are reported.
        probes: batches of special shapes, each reported alone.
        tolerance: None where differences do not judge.
        kind: knows how answers are read, and the labels in them.
    """
    import numpy as np

    cases = [*rows, *probes]
    runs = [_run(opened.session, case, one, kind) for case, one in zip(cases, wanted, strict=True)]
    if tolerance and kind.scaled:
        answers = np.concatenate(wanted[: len(rows)])
        tolerance = tolerance.around(answers, opened.file.precision)
    found = _judge(opened, runs[: len(rows)], runs[len(rows) :], tolerance, kind)
    if tolerance is None:
        found = replace(found, failures=(*found.failures, *_unlike(opened, runs, kind)))
    if kind.choices is None:
        return found
    return _with_labels(found, runs[: len(rows)], tolerance, kind.choices)


def _unlike(opened: OpenedFile, runs: Sequence[_Run], kind: TaskKind) -> Iterator[str]:
    """Whether another runtime rounds more than ONNX Runtime, which the metric was taken in."""
    tolerance = TOLERANCES["fp32"]
    if opened.runtime == ONNX_RUNTIME or tolerance is None:
        return
    session = open_session(opened.file.path, threads=opened.threads)
    own = [_run(session, run.case, run.wanted, kind) for run in runs]
    here, there = _mean_difference(runs, kind), _mean_difference(own, kind)
    if here > SAME_NOISE * there + tolerance.atol:
        yield (
            f"its logits are {here:.2g} from PyTorch's on average, and in ONNX Runtime, where its "
            f"metric was taken, {there:.2g}"
        )


def _mean_difference(runs: Sequence[_Run], kind: TaskKind) -> float:
    """Mean difference from PyTorch over all batches that ran."""
    import numpy as np

    parts = [
        abs(_numbers(run.found, run, kind) - _numbers(run.wanted, run, kind)).ravel()
        for run in runs
        if run.found is not None
    ]
    return float(np.concatenate(parts).mean()) if parts else 0.0


def _run(session: InferenceSession, case: Case, wanted: Array, kind: TaskKind) -> _Run:
    """Run one batch; a file that cannot is a finding to report, not a crash."""
    try:
        found = run_batch(session, case.batch, read=kind.read)
    except ModelError:
        raise
    except Exception as error:  # ONNX Runtime's errors share no base class but Exception
        return _Run(case, wanted, None, str(error))
    if found.shape != wanted.shape:
        return _Run(case, wanted, None, f"it answers {found.shape}, not {wanted.shape}")
    return _Run(case, wanted, found)


def _judge(
    opened: OpenedFile,
    rows: Sequence[_Run],
    probes: Sequence[_Run],
    tolerance: Tolerance | None,
    kind: TaskKind,
) -> FileParity:
    """Everything there is to say about one file, but for the labels."""
    whole, samples = _over_rows(rows, tolerance, kind)
    probed = [_over(run, tolerance, kind) for run in probes]
    named = [("real rows", whole), *((_title(r), d) for r, d in zip(probes, probed, strict=True))]
    file = opened.file
    return FileParity(
        variant=file.variant,
        precision=file.precision,
        optimisation=file.optimisation,
        provider=opened.session.get_providers()[0],
        samples=samples,
        max_abs=whole.max_abs,
        mean_abs=whole.mean_abs,
        spread=_spread(rows, kind),
        label_agreement=None,
        disagreements=(),
        non_finite=sum(difference.non_finite for _, difference in named),
        probes=tuple(
            Probe(run.case.name, *run.case.shape, difference.max_abs)
            for run, difference in zip(probes, probed, strict=True)
        ),
        atol=tolerance.atol if tolerance else None,
        rtol=tolerance.rtol if tolerance else None,
        centre=tolerance.centre if tolerance else 0.0,
        failures=tuple(f"{name}: {fault}" for name, found in named for fault in found.faults),
        runtime=opened.runtime,
    )


def _with_labels(
    parity: FileParity,
    rows: Sequence[_Run],
    tolerance: Tolerance | None,
    choices: Callable[[Array, Array], Choices],
) -> FileParity:
    """The finding with what becomes of the labels."""
    same: list[bool] = []
    listed: set[int] = set()
    for run in rows:
        if run.found is None:
            continue
        mask = run.case.batch["attention_mask"]
        found, wanted = choices(run.found, mask), choices(run.wanted, mask)
        equal, differing = agreement(found, wanted, tolerance)
        same += equal.tolist()
        listed |= {run.case.rows[wanted.rows[decision]] for decision in differing}
    if not same:
        return parity
    disagreements = tuple(sorted(listed))
    fault = f"real rows: the label of {len(listed)} differs, first of row {[*disagreements[:1]]}"
    return replace(
        parity,
        label_agreement=sum(same) / len(same),
        disagreements=disagreements,
        failures=(*parity.failures, fault) if listed and tolerance else parity.failures,
    )


def _over_rows(
    rows: Sequence[_Run], tolerance: Tolerance | None, kind: TaskKind
) -> tuple[Difference, int]:
    """The real rows as one comparison, and how many of them the file could run."""
    import numpy as np

    ran = [(run, run.found) for run in rows if run.found is not None]
    broken = tuple(f"{run.case.shape} does not run: {run.error}" for run in rows if run.error)
    if not ran:
        return Difference(None, None, 0, broken), 0
    found = np.concatenate([_numbers(predictions, run, kind) for run, predictions in ran])
    wanted = np.concatenate([_numbers(run.wanted, run, kind) for run, _ in ran])
    difference = compare(found, wanted, tolerance)
    faults = (*broken, *difference.faults, *_first_not_finite(rows))
    return replace(difference, faults=faults), sum(len(predictions) for _, predictions in ran)


def _first_not_finite(rows: Sequence[_Run]) -> tuple[str, ...]:
    """Where the first NaN or infinity came out: in padded batches a mask is the usual culprit."""
    import numpy as np

    for number, run in enumerate(rows):
        if run.found is None or np.isfinite(run.found).all():
            continue
        finite = np.isfinite(run.found).reshape(len(run.found), -1).all(axis=1)
        batch_size, length = run.case.shape
        row = run.case.rows[int(finite.argmin())]
        return (f"the first in batch {number} ({batch_size} × {length}), row {row} of the data",)
    return ()


def _numbers(predictions: Array, run: _Run, kind: TaskKind) -> Array:
    """What of one batch is compared number by number, (n, width)."""
    return kind.numbers(attended(predictions, run.case.batch))


def _spread(rows: Sequence[_Run], kind: TaskKind) -> float:
    """How far PyTorch's own logits vary from row to row, or from token to token."""
    import numpy as np

    wanted = np.concatenate([_numbers(run.wanted, run, kind) for run in rows])
    return float(wanted.std(axis=0).mean())


def _over(run: _Run, tolerance: Tolerance | None, kind: TaskKind) -> Difference:
    if run.found is None:
        return Difference(None, None, 0, (f"does not run: {run.error}",))
    return compare(_numbers(run.found, run, kind), _numbers(run.wanted, run, kind), tolerance)


def _title(run: _Run) -> str:
    batch_size, length = run.case.shape
    return f"probe {run.case.name!r} ({batch_size} × {length})"


def _announce(found: FileParity) -> None:
    logger.info(
        "parity of %s: max |Δlogit| %s, spread %.3g", found.label, found.max_abs, found.spread
    )
    # fp32 in bf16 is only timed: nobody gets it without asking, and its tolerance is wide.
    chosen = found.precision != "bf16"
    if chosen and found.atol and found.spread < _BLIND * found.atol:
        logger.warning(
            "the logits vary by %.2g only: atol %g cannot tell right from wrong; lower --atol",
            found.spread,
            found.atol,
        )
