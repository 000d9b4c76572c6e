"""The parts of the card's code that differ from model to model, and how a finished run ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from glp_export.report.card_facts import CardFacts

if TYPE_CHECKING:
    from glp_export.bench.frontier import Frontier

REPORT = "glp/report.html"
"""Where an artifact's report lies below it."""

_TEXTS = ("The first text.", "A second text, which is longer.")
_PAIRS = (("One text.", "Its partner."), ("Another text.", "A partner that is longer."))


def of(facts: CardFacts) -> dict[str, str]:
    """Python source by its place in the card's template."""
    # Labels that are called LABEL_0, LABEL_1, … are left out of config.json.
    ids = 'config.get("id2label", {}).get(str(label), label)'
    names = "model.config.id2label[label]"
    return {
        "own_answer": "values.tolist()" if not facts.labels else "labels",
        "tokenizers_texts": _source(_PAIRS if facts.text_pair else _TEXTS),
        "transformers_texts": _calls(facts),
        "numpy_answer": _answer(facts, "logits.argmax(axis=-1)", ids),
        "torch_answer": _answer(facts, "logits.argmax(dim=-1)", names),
    }


def closing_words(output: Path, frontier: Frontier | None = None) -> str:
    """Where a run's artifacts and their report are and how to use one, for the end of its output.

    Args:
        output: the run's.
        frontier: of several depths; the shallowest that nothing beats is the example.
    """
    if frontier is None:
        return f"artifact: {output}\nlook:     {output / REPORT}\nuse it:   {_opening(output)}"
    rungs = [point for point in frontier.points if point.directory and point.on_frontier]
    example = min(rungs, key=lambda point: point.layers).directory
    opening = _opening(output / str(example))
    return f"artifacts: {output}\nlook:      {output / REPORT}\nuse one:   {opening}"


def _opening(artifact: Path) -> str:
    path = json.dumps(str(artifact), ensure_ascii=False)
    return f"model = glp_export.load({path}), as in {artifact / 'README.md'}"


def _calls(facts: CardFacts) -> str:
    if not facts.text_pair:
        return _source(_TEXTS)
    firsts, seconds = zip(*_PAIRS, strict=True)
    return f"{_source(firsts)}, {_source(seconds)}"


def _answer(facts: CardFacts, best: str, name: str) -> str:
    if not facts.labels:
        return "print(logits[:, 0].tolist())"
    return f"print([{name} for label in {best}.tolist()])"


def _source(values: tuple[object, ...]) -> str:
    return "[" + ", ".join(_literal(value) for value in values) + "]"


def _literal(value: object) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(_literal(part) for part in value) + ")"
    return f'"{value}"'
