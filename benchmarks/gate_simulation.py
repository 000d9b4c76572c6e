"""The gate's tails: thousands of gates on rounds that were recorded, resampled in blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from glp_export.gate.budget_writer import MARGIN
from glp_export.gate.sequential import MedianTest
from glp_export.gate.verdicts import ALPHA, RESOLUTION

BLOCK = 5
"""Rounds that stay together: what disturbs one round often disturbs the next."""

ROUNDS = 300
TRUTHS = {"no change": 1.0, "+5 %": 1 / 1.05, "+10 %": 1 / 1.1, "+20 %": 1 / 1.2}


def simulation_table(traces: Mapping[str, Sequence[Sequence[float]]], *, runs: int) -> str:
    """Shares of simulated gates that end broken and undecided, by condition and truth."""
    rows = [["", *TRUTHS, "bound at the truth"]]
    for condition, recorded in traces.items():
        noise = _noise(recorded)
        if len(noise) < BLOCK:
            continue
        cells = [_shares(noise, truth, 1 - MARGIN, runs) for truth in TRUTHS.values()]
        rows.append([condition, *cells, _shares(noise, 1.0, 1.0, runs)])
    lines = [rows[0], ["---", *(["---"] * len(TRUTHS)), "---"], *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _noise(recorded: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Log ratios about their run's own median, all runs after one another."""
    return np.concatenate([np.log(run) - np.median(np.log(run)) for run in recorded])


def _shares(noise: NDArray[np.float64], truth: float, bound: float, runs: int) -> str:
    generator = np.random.default_rng(0)
    found = {"kept": 0, "broken": 0, "undecided": 0}
    for _ in range(runs):
        starts = generator.integers(0, len(noise) - BLOCK + 1, ROUNDS // BLOCK)
        stream = np.exp(np.concatenate([noise[start : start + BLOCK] for start in starts]))
        test = MedianTest(bound, ALPHA, RESOLUTION)
        for ratio in truth * stream:
            if test.add(float(ratio)) != "undecided":
                break
        found[test.verdict] += 1
    return f"{found['broken'] / runs:.2%} broken, {found['undecided'] / runs:.2%} undecided"
