"""The latency lines of a budget: measured shape by shape, what is broken measured again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence

from glp_export.core.progress import Meter
from glp_export.gate.budget import BudgetTable
from glp_export.gate.budget_line import BudgetLine
from glp_export.gate.results import LineResult
from glp_export.gate.session import GateSession
from glp_export.gate.side_by_side import Round
from glp_export.gate.verdicts import (
    ALPHA,
    Measured,
    confirmed,
    judge_latency,
    second_look_seconds,
)

_WARM_UP_SHARE = 0.2


def check_all_latency(session: GateSession) -> tuple[list[LineResult], list[str]]:
    """All latency lines, shape by shape; what one shape does not need is left to the others.

    What is broken is looked at again when all others are done, so that some time lies between.

    Returns:
        Findings in the order of the budget, and what disturbed the measurement.

    Raises:
        DeviceError: a provider is not there.
        UsageError: a model does not read so many tokens.
    """
    asked: dict[tuple[str, str | None], list[tuple[BudgetTable, BudgetLine]]] = {}
    results, notes, looks = [], [], []
    for table, line in session.lines("latency"):
        if reason := session.left_out(table, line):
            results.append(LineResult.of_line(table.name, line, "not asked", reason=reason))
        else:
            asked.setdefault((table.name, line.shape_name), []).append((table, line))
    left, total = session.settings.max_seconds, sum(map(len, asked.values()))
    for number, pairs in enumerate(asked.values()):
        table, lines = pairs[0][0], [line for _, line in pairs]
        session.side_by_side(table)  # building a reference is not measuring
        start = time.perf_counter()
        share = left / (len(asked) - number)
        found, noise = check_latency(session, table, lines, seconds=share, shared_by=total)
        left -= time.perf_counter() - start
        looks.append((table, lines, found))
        notes += noise
    for table, lines, found in looks:
        seconds = second_look_seconds(found[0].seconds, session.settings.max_seconds)
        settled, noise = confirm_latency(
            session, table, lines, found, seconds=seconds, shared_by=total
        )
        results += settled
        notes += noise
    return _in_order(session, results), notes


def check_latency(
    session: GateSession,
    table: BudgetTable,
    lines: Sequence[BudgetLine],
    *,
    seconds: float,
    shared_by: int = 1,
) -> tuple[list[LineResult], list[str]]:
    """Lines of one table and shape, judged by rounds in turns with the reference.

    Args:
        session: that they belong to.
        table: likewise.
        lines: all of one shape; `session.left_out` says nothing against them.
        seconds: at most, warm-up included.
        shared_by: how many lines share the error rate.

    Returns:
        A finding for each line, and what disturbed the measurement. What is broken needs
        `confirm_latency`.

    Raises:
        DeviceError: the provider is not there.
        UsageError: a model does not read so many tokens.
    """
    shape = lines[0].shape or (1, 1)
    workload = session.workload(table, shape, lines[0].where)
    pair = session.side_by_side(table)
    title = f"{table.name} {workload.shape.name}"
    with session.progress.stage(title) as meter, session.progress.paused():
        rounds = pair.rounds(workload, warm_up_seconds=_WARM_UP_SHARE * seconds)
        recorded = session.recorded_reference_ms(table, workload)
        measured = Measured(table.name, lines, _counted(rounds, meter), recorded)
        return judge_latency(measured, seconds=seconds, alpha=ALPHA / shared_by)


def confirm_latency(
    session: GateSession,
    table: BudgetTable,
    lines: Sequence[BudgetLine],
    results: Sequence[LineResult],
    *,
    seconds: float,
    shared_by: int = 1,
) -> tuple[list[LineResult], list[str]]:
    """Look again at those lines that `check_latency` found broken, with both models opened anew.

    Args and errors as of `check_latency`; `results` are what it returned for the `lines`.

    Returns:
        The findings, the broken ones as both looks together say, and what disturbed the second.
    """
    broken = [line for line, one in zip(lines, results, strict=True) if one.outcome == "broken"]
    if not broken:
        return list(results), []
    session.reopen(table)
    again, noise = check_latency(session, table, broken, seconds=seconds, shared_by=shared_by)
    second = {one.where: one for one in again}
    return [
        confirmed(one, second[one.where]) if one.where in second else one for one in results
    ], noise


def _counted(rounds: Iterable[Round], meter: Meter) -> Iterator[Round]:
    """The rounds, shown by a meter between one and the next."""
    for one in rounds:
        meter.advance()
        yield one


def _in_order(session: GateSession, results: list[LineResult]) -> list[LineResult]:
    """As the budget has its lines."""
    order = [(table.name, line.where) for table, line in session.lines("latency")]
    return sorted(results, key=lambda result: order.index((result.table, result.where)))
