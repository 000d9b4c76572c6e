"""The colours of a report, each in a light and a dark shade, and how plots come to them.

Plots are drawn in placeholder colours, one a name; in the page each becomes the CSS variable of
that name, so that one drawing serves both schemes. Blue, orange and grey are distinct in every kind
of colour vision, and no meaning hangs on colour alone: shapes and words say it too.
"""

from __future__ import annotations

COLOURS: dict[str, tuple[str, str]] = {
    "paper": ("#fbfbf9", "#14171a"),
    "card": ("#ffffff", "#1b1f24"),
    "ink": ("#1c2126", "#e9e8e4"),
    "muted": ("#59626d", "#a7b0ba"),
    "line": ("#e2e1dc", "#323940"),
    "accent": ("#1d5bb8", "#8ab4f8"),
    "accent-soft": ("#e9f0fb", "#1c2a3f"),
    "unpruned": ("#4a515a", "#bcc3cb"),
    "distilled": ("#a3500b", "#f0a868"),
    "warning": ("#8a4b00", "#f2b56b"),
    "bad": ("#a3261b", "#ff9d8e"),
    "heat-0": ("#1d5bb8", "#8ab4f8"),
    "heat-1": ("#6b9be0", "#5f8fd6"),
    "heat-2": ("#9bbcec", "#36609c"),
    "heat-3": ("#c3d7f4", "#2b4a78"),
    "heat-4": ("#e0e9f8", "#22344f"),
    "heat-5": ("#f1f4f9", "#1b2533"),
    "heat-ink-0": ("#ffffff", "#0d1b2e"),
    "heat-ink-1": ("#0d1b2e", "#0d1b2e"),
    "heat-ink-2": ("#0d1b2e", "#ffffff"),
    "heat-ink-3": ("#0d1b2e", "#ffffff"),
    "heat-ink-4": ("#0d1b2e", "#e9e8e4"),
    "heat-ink-5": ("#0d1b2e", "#e9e8e4"),
}
"""Name to its light and its dark shade."""

CONTENDER_COLOURS = {"unpruned": "unpruned", "distilled": "distilled", "pruned": "accent"}
CONTENDER_MARKS = {"unpruned": ("s", "■"), "distilled": ("^", "▲"), "pruned": ("o", "●")}
"""How a kind of model is marked: in a plot, and in its legend."""

_PLACEHOLDER = "#0a0b{:02x}"
_NUMBERS = {name: number for number, name in enumerate(COLOURS)}


def placeholder(name: str) -> str:
    """The colour that a plot is drawn in where the page shall show this one."""
    return _PLACEHOLDER.format(_NUMBERS[name])


def in_page(svg: str) -> str:
    """A drawing with the page's colours in place of the placeholders."""
    for name in COLOURS:
        svg = svg.replace(placeholder(name), f"var(--{name})")
    return svg


def variables(scheme: int) -> str:
    """The CSS declarations of one scheme: 0 is light, 1 is dark."""
    return " ".join(f"--{name}: {shades[scheme]};" for name, shades in COLOURS.items())
