"""The gate: whether a finished artifact is what was verified, and keeps what its budget says."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from glp_export.artifact import OnnxFile, StoredInputs, one_artifact
from glp_export.bench import BenchmarkFile
from glp_export.core.checksums import staying
from glp_export.core.errors import DataError, GlpError, ModelError, ParityError, UsageError
from glp_export.core.numbers import threads_in_words
from glp_export.core.progress import Progress
from glp_export.gate.accuracy import answers_of
from glp_export.gate.agreement import check_agreement
from glp_export.gate.budget import PLACES, BudgetTable, Place
from glp_export.gate.budget_line import KEYS, BudgetLine
from glp_export.gate.latency import check_all_latency
from glp_export.gate.results import GateReport, LineResult, Outcome
from glp_export.gate.session import GateSession, GateSettings, runs_here
from glp_export.serve.runtimes import ONNX_RUNTIME, RUNTIMES
from glp_export.tasks import changed_predictions, count_examples, score, truth_of
from glp_export.tasks.metrics import AGREEMENT

_CHANGED = "the files are not those that were verified"


def gate(
    artifact: Path, settings: GateSettings | None = None, progress: Progress | None = None
) -> GateReport:
    """Check an artifact against its budget.

    Files come first: if they are not those that were verified, nothing else is looked at.

    Raises:
        DeviceError: the budget speaks of a provider that is not there.
        GlpError: see `core.errors`; what the artifact does not keep is in the report and is not
            raised.
    """
    start, asked = time.perf_counter(), settings or GateSettings()
    looked_at = (artifact, *([asked.against] if asked.against else ()))
    for path in looked_at:
        one_artifact(path)
    with staying(*looked_at), GateSession(artifact, asked, progress or Progress()) as session:
        tables = session.tables  # a budget that cannot be read is known before any work
        _require_question(session)
        results = check_integrity(session)
        notes = [*thread_notes(session), *cpu_notes(session), *runtime_notes(session)]
        if all(result.outcome == "kept" for result in results):
            results += [check_size(session, *line) for line in session.lines("size")]
            # Before the timings: data of another task need not wait for them.
            _require_data_that_is_asked_about(session)
            accuracy = [check_accuracy(session, *line) for line in session.lines("accuracy")]
            latency, noise = check_all_latency(session)
            results += [*latency, *accuracy]
            notes += noise
        else:
            results += [
                LineResult.of_line(table.name, line, "not asked", reason=_CHANGED)
                for table in tables
                for line in table.lines
            ]
        return GateReport(
            artifact=str(session.layout.root),
            reference=session.reference_name,
            budget=str(session.budget.path),
            threads=session.threads,
            undecided=session.settings.undecided,
            files=_judged_files(session),
            findings=tuple(results),
            notes=tuple(dict.fromkeys(notes)),
            seconds=round(time.perf_counter() - start, 2),
        )


def _judged_files(session: GateSession) -> dict[str, str]:
    """The name of the file that each table judges; none where it cannot be opened."""
    found = {}
    for table in session.tables:
        with suppress(GlpError):
            found[table.name] = session.file(table).variant
    return found


def check_integrity(session: GateSession) -> list[LineResult]:
    """Whether the files are those that were verified, and still compute the same.

    Raises:
        DeviceError: a provider is not there.
    """
    results = [_integrity("checksums", session.layout.verify_checksums)]
    if results[0].outcome == "broken":
        return results
    results.append(_integrity("agreement", lambda: check_agreement(session.layout)))
    if results[-1].outcome == "broken":
        return results
    try:
        stored = StoredInputs.load(session.layout.parity_inputs)
    except ParityError as error:
        return [*results, _broken("parity", error)]
    with session.progress.stage("parity"):
        for file, place in _places(session):
            results.append(_parity(stored, file, place, session.threads))
    return results


def check_size(session: GateSession, table: BudgetTable, line: BudgetLine) -> LineResult:
    """A line on the size of the file."""
    value = session.file(table).bytes / 1e6
    outcome: Outcome = "kept" if value <= line.bound else "broken"
    return LineResult.of_line(table.name, line, outcome, value=value)


def check_accuracy(session: GateSession, table: BudgetTable, line: BudgetLine) -> LineResult:
    """A line on predictions: what the metric is below the unpruned model's, or how many changed.

    The same file on the same rows answers the same, so the numbers are compared as they are.

    Raises:
        DataError: the data cannot be read.
        UsageError: it is data of another task.
    """
    if reason := session.left_out(table, line):
        return LineResult.of_line(table.name, line, "not asked", reason=reason)
    with session.progress.stage(f"{table.name} accuracy"):
        judge = _changed if line.key == "changed_predictions" else _drop
        return judge(session, table, line)


def _drop(session: GateSession, table: BudgetTable, line: BudgetLine) -> LineResult:
    """Points of the metric below the unpruned model's as recorded, or below the reference's."""
    against = session.settings.against

    def scored(artifact: Path, file: OnnxFile) -> tuple[float, int]:
        data = session.test_rows(artifact)
        task = data.task
        truth, answers = truth_of(task, data.rows), _answers(session, table, artifact, file)
        return score(task, answers, truth), count_examples(task, truth)

    value, samples = scored(session.layout.root, session.file(table))
    if against:
        wanted, _ = scored(against, session.reference_file(table, against))
    else:
        wanted = _recorded_metric(session)
    # Scores are shares of whole examples: what rounding leaves of a difference is none.
    outcome: Outcome = "kept" if wanted - value <= line.bound + 1e-9 else "broken"
    reason = f"{value:.4g} on {samples} examples, the reference {wanted:.4g}"
    return LineResult.of_line(table.name, line, outcome, value=wanted - value, reason=reason)


def _changed(session: GateSession, table: BudgetTable, line: BudgetLine) -> LineResult:
    """The share of rows for which the reference predicts another label.

    Raises:
        UsageError: the kind of task predicts no labels.
    """
    against, data = session.settings.against, session.test_rows(session.layout.root)
    assert against is not None  # else the line is left out
    own = _answers(session, table, session.layout.root, session.file(table))
    other = _answers(session, table, against, session.reference_file(table, against))
    share = changed_predictions(data.task, own, other, truth_of(data.task, data.rows))
    if share is None:
        raise UsageError(
            f"{data.task.kind} predicts no labels, of which some could have changed",
            where=line.where,
            fix="bound metric_drop instead",
        )
    outcome: Outcome = "kept" if share.value <= line.bound + 1e-9 else "broken"
    reason = (
        f"{share.value:.2%} of {len(data.rows)} rows ({share.low:.2%} to {share.high:.2%}) "
        "have another label than the reference gives"
    )
    return LineResult.of_line(table.name, line, outcome, value=share.value, reason=reason)


def _answers(
    session: GateSession, table: BudgetTable, artifact: Path, file: OnnxFile
) -> NDArray[Any]:
    return answers_of(
        session.test_rows(artifact),
        file,
        provider=table.provider,
        threads=session.threads,
        runtime=table.runtime,
    )


def thread_notes(session: GateSession) -> list[str]:
    """A sentence if the run that made the artifact measured with other threads."""
    path = session.layout.benchmark
    if not path.is_file():
        return []
    recorded = {row.threads for row in BenchmarkFile.load(path).rows}
    if session.threads in recorded:
        return []
    return [
        f"{threads_in_words(session.threads)}, but the artifact was measured with "
        f"{' or '.join(map(str, sorted(recorded)))}: its speedup may differ"
    ]


def cpu_notes(session: GateSession) -> list[str]:
    """A sentence if int8 lines are left out because they were decided on another kind of CPU."""
    if session.int8_doubt is None or not any(table.is_int8_on_cpu for table in session.tables):
        return []
    return [f"{session.int8_doubt}; --int8 judges these lines, too, and `load` opens fp32 here"]


def runtime_notes(session: GateSession) -> list[str]:
    """A sentence for every runtime that the budget speaks of and that is not installed."""
    missing = dict.fromkeys(t.runtime for t in session.tables if not runs_here(t))
    return [
        f"the lines about {RUNTIMES[name].title} are left out: it is not installed "
        f"({RUNTIMES[name].install})"
        for name in missing
    ]


def _require_question(session: GateSession) -> None:
    """A reference that no line is over would be measured for nothing, and pass.

    Raises:
        UsageError: there is such a reference.
    """
    settings = session.settings
    asked = [line.key for kind in ("latency", "accuracy") for _, line in session.lines(kind)]
    drop = settings.data and "metric_drop" in asked  # then of the reference on the same rows
    over = drop or any(KEYS[key].of_reference for key in asked)
    if settings.against and not settings.quick and not over:
        raise UsageError(
            "no line of the budget is over the reference that was given",
            where=f"--against {settings.against}",
            fix='add "speedup_vs_reference >= 0.95 at 1x128" to the budget, or with --dataset '
            '"changed_predictions <= 2 %"',
        )


def _require_data_that_is_asked_about(session: GateSession) -> None:
    """Data that fits the artifact, and a line that it is for: else accuracy passes unseen.

    Raises:
        DataError: the data cannot be read.
        UsageError: it is data of another task, or no line of the budget is on the metric.
    """
    settings = session.settings
    if not settings.data or settings.quick:
        return
    session.test_rows(session.layout.root)
    if not any(session.lines("accuracy")):
        raise UsageError(
            "no line of the budget is on the metric of the data that was given",
            where=str(session.budget.path),
            fix='add "metric_drop <= 0.01" to the budget, or leave --dataset away',
        )


def _places(session: GateSession) -> list[tuple[OnnxFile, Place]]:
    """Every file with where the budget runs it; ONNX Runtime on the CPU for all others.

    In another runtime than ONNX Runtime a table runs the one file that it is about.
    """
    places: list[tuple[OnnxFile, Place]] = []
    for file in session.files():
        tables = [t for t in session.tables if t.precision == file.precision]
        own = [PLACES[t.device] for t in tables if t.runtime == ONNX_RUNTIME]
        places += [(file, place) for place in own or [PLACES["cpu"]]]
        places += [
            (file, PLACES[t.device])
            for t in tables
            if t.runtime != ONNX_RUNTIME and runs_here(t) and session.file(t).path == file.path
        ]
    return places


def _parity(stored: StoredInputs, file: OnnxFile, place: Place, threads: int) -> LineResult:
    runtime, provider = place
    report = stored.check([file], provider=provider, threads=threads, runtime=runtime)
    (found,) = report.files
    return LineResult(
        part="integrity",
        check=f"parity of {found.label}",
        outcome="kept" if found.passed else "broken",
        value=found.max_abs,
        reason="; ".join(found.failures)
        or f"max |Δlogit| over {found.samples} rows and {len(found.probes)} shapes",
        where=str(file.path),
    )


def _integrity(check: str, look: Callable[[], None]) -> LineResult:
    try:
        look()
    except (DataError, ModelError, ParityError) as error:
        return _broken(check, error)
    return LineResult(part="integrity", check=check, outcome="kept")


def _broken(check: str, error: GlpError) -> LineResult:
    return LineResult(
        part="integrity",
        check=check,
        outcome="broken",
        reason=error.what,
        where=error.where or "",
    )


def _recorded_metric(session: GateSession) -> float:
    """The unpruned model's metric, as the run that made the artifact has it."""
    recorded = BenchmarkFile.load(session.layout.benchmark)
    if recorded.metric == AGREEMENT:
        raise UsageError(
            "the artifact was made without labels, and records agreement with its unpruned model",
            where=str(session.layout.benchmark),
            fix="give the unpruned model's artifact with --against, or leave --dataset away",
        )
    data = session.test_rows(session.layout.root)
    asked = data.task.metric
    if recorded.metric != asked:
        raise UsageError(
            f"the artifact records {recorded.metric}, which {asked} does not compare with",
            where=f"--metric {asked}",
            fix=f"leave it away, or ask for --metric {recorded.metric}",
        )
    found = [row.value for row in recorded.metrics if row.contender == "unpruned"]
    if not found:
        raise UsageError(
            "the artifact does not say what the unpruned model scored",
            where=str(session.layout.benchmark),
            fix="give a reference with --against",
        )
    if recorded.test_rows not in (None, data.checksum):
        raise UsageError(
            "the unpruned model's score is recorded for another test set than the one that was "
            "given, and what it scores on this one is not known",
            where="--dataset",
            fix="give the data that the artifact was made with, or the unpruned model's artifact "
            "with --against",
        )
    return found[0]
