"""The parts of the card's code that differ from model to model."""

from __future__ import annotations

from glp_export.report.card_facts import CardFacts

_TEXTS = ("The first text.", "A second text, which is longer.")
_PAIRS = (("One text.", "Its partner."), ("Another text.", "A partner that is longer."))


def of(facts: CardFacts) -> dict[str, str]:
    """Python source by its place in the card's template."""
    # Labels that are called LABEL_0, LABEL_1, … are left out of config.json.
    ids = 'config.get("id2label", {}).get(str(label), label)'
    names = "model.config.id2label[label]"
    return {
        "tokenizers_texts": _source(_PAIRS if facts.text_pair else _TEXTS),
        "transformers_texts": _calls(facts),
        "numpy_answer": _answer(facts, "logits.argmax(axis=-1)", ids),
        "torch_answer": _answer(facts, "logits.argmax(dim=-1)", names),
    }


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
