"""Letters are readable on what lies below them, in light and dark."""

from __future__ import annotations

import pytest

from glp_export.report.html.theme import COLOURS

ENOUGH = 4.5
"""WCAG 2.2, success criterion 1.4.3, for text of ordinary size."""

TEXTS = ("ink", "muted", "accent", "unpruned", "distilled", "warning", "bad")


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", ["paper", "card"])
@pytest.mark.parametrize("text", TEXTS)
def test_text_on_its_ground(text: str, ground: str, scheme: int) -> None:
    assert contrast(COLOURS[text][scheme], COLOURS[ground][scheme]) >= ENOUGH


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("shade", range(6))
def test_scores_on_the_shades_of_the_heat_map(shade: int, scheme: int) -> None:
    ink, ground = COLOURS[f"heat-ink-{shade}"], COLOURS[f"heat-{shade}"]
    assert contrast(ink[scheme], ground[scheme]) >= ENOUGH


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_the_shades_go_one_way(scheme: int) -> None:
    steps = [luminance(COLOURS[f"heat-{shade}"][scheme]) for shade in range(6)]
    assert steps == sorted(steps, reverse=scheme == 1)
