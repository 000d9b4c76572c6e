"""The parts of the card's code that differ from model to model, and how a finished run ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from glp_export.tasks import KINDS

if TYPE_CHECKING:
    from glp_export.bench.frontier import Frontier

REPORT = "glp/report.html"
"""Where an artifact's report lies below it."""

_TEXTS = ("The first text.", "A second text, which is longer.")
_PAIRS = (("One text.", "Its partner."), ("Another text.", "A partner that is longer."))
_QUESTIONS = (
    ("What is first?", "This document is the first."),
    ("Which one is longer?", "There are two documents, and the second one is longer."),
)
_WORDS = (("The", "first", "text", "."), ("A", "second", ",", "longer", "text", "."))
_POOLING = {
    "sentence-embeddings": """\
mask = {mask}
vectors = (last_hidden_state * mask).sum({axis}=1) / mask.sum({axis}=1)""",
    "sentence-embeddings-cls": "vectors = last_hidden_state[:, 0]",
}

_SENTENCE_TRANSFORMERS = """
sentence-transformers, which finds the pooling in `1_Pooling`:

```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer(
    ".", backend="onnx", model_kwargs={{"file_name": "onnx/model.onnx"}}
)
vectors = model.encode({texts})
print((vectors @ vectors.T).round(2).tolist())
```
"""


class Loading(Protocol):
    """What the code that loads a model depends on."""

    @property
    def kind(self) -> str:
        """Kind of task."""

    @property
    def labels(self) -> tuple[str, ...]:
        """In the order of their ids; () where there are none."""

    @property
    def text_pair(self) -> bool:
        """Whether the model reads two texts at a time."""

    @property
    def mask_token(self) -> str:
        """What hides a token from the model, empty where nothing is hidden."""


def of(facts: Loading) -> dict[str, str]:
    """Python source by its place in the card's template."""
    outputs = KINDS[facts.kind].outputs
    common = {
        "more_code": "",
        "tokenizers_options": "",
        "transformers_options": "",
        "numpy_outputs": ", ".join(outputs),
        "output_names": json.dumps(outputs),
        "torch_outputs": _torch_outputs(outputs),
    }
    return {**common, **_CODE.get(facts.kind, _of_texts)(facts)}


def _torch_outputs(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return f"{names[0]} = model(**inputs).{names[0]}"
    return f"{', '.join(names)} = model(**inputs)[:{len(names)}]"


def _of_texts(facts: Loading) -> dict[str, str]:
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


def _of_questions(facts: Loading) -> dict[str, str]:
    """The likeliest beginning and end; a whole search over windows is `glp_export.load`'s."""
    questions, documents = zip(*_QUESTIONS, strict=True)
    both = "\n".join(
        (
            "for number, (first, last) in enumerate(zip({first}, {last})):",
            "    print(tokenizer.decode({ids}[first : last + 1], skip_special_tokens=True))",
        )
    )
    return {
        "own_answer": "texts",
        "tokenizers_texts": _source(_QUESTIONS),
        "transformers_texts": f"{_source(questions)}, {_source(documents)}",
        "numpy_answer": both.format(
            first="start_logits.argmax(axis=-1)",
            last="end_logits.argmax(axis=-1)",
            ids="rows[number].ids",
        ),
        "torch_answer": both.format(
            first="start_logits.argmax(dim=-1)",
            last="end_logits.argmax(dim=-1)",
            ids="inputs.input_ids[number]",
        ),
    }


def _of_label_sets(facts: Loading) -> dict[str, str]:
    """A label is one whose logit is above 0."""
    ids = 'config.get("id2label", {}).get(str(label), label)'
    names = "model.config.id2label[label]"
    line = (
        "for row in logits.tolist():\n"
        "    print([{} for label, logit in enumerate(row) if logit > 0])"
    )
    return {
        **_of_texts(facts),
        "own_answer": "label_sets",
        "numpy_answer": line.format(ids),
        "torch_answer": line.format(names),
    }


def _of_words(facts: Loading) -> dict[str, str]:
    """The first token of a word says its tag."""
    words = _lists(_WORDS)
    return {
        "own_answer": "tags",
        "tokenizers_texts": words,
        "tokenizers_options": ", is_pretokenized=True",
        "transformers_texts": words,
        "transformers_options": "is_split_into_words=True, ",
        "numpy_answer": _tags("rows[number].word_ids", 'config["id2label"][str(label)]', "axis"),
        "torch_answer": _tags("inputs.word_ids(number)", "model.config.id2label[label]", "dim"),
    }


def _tags(word_ids: str, name: str, axis: str) -> str:
    return f"""\
for number, labels in enumerate(logits.argmax({axis}=-1).tolist()):
    tags = {{}}
    for word, label in zip({word_ids}, labels):
        if word is not None:
            tags.setdefault(word, {name})
    print(list(tags.values()))"""


def _of_vectors(facts: Loading) -> dict[str, str]:
    """The cosine of every two texts; the vectors themselves are long."""
    pooling = _POOLING[facts.kind]
    return {
        "own_answer": "dot(answers.T).round(2).tolist()",
        "tokenizers_texts": _source(_TEXTS),
        "transformers_texts": _source(_TEXTS),
        "numpy_answer": f"""\
{pooling.format(mask='inputs["attention_mask"][:, :, None]', axis="axis")}
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
print((vectors @ vectors.T).round(2).tolist())""",
        "torch_answer": f"""\
{pooling.format(mask="inputs.attention_mask.unsqueeze(-1)", axis="dim")}
vectors = vectors / vectors.norm(dim=1, keepdim=True)
print((vectors @ vectors.T).numpy().round(2).tolist())""",
        "more_code": _SENTENCE_TRANSFORMERS.format(texts=_source(_TEXTS)),
    }


def _of_masks(facts: Loading) -> dict[str, str]:
    """The likeliest token in the place of every mask."""
    texts = f'["The first {facts.mask_token}.", "A second {facts.mask_token}, which is longer."]'
    line = "print([{name} for token in logits[{ids} == {mask}].argmax({axis}=-1).tolist()])"
    return {
        "own_answer": "tokens",
        "tokenizers_texts": texts,
        "transformers_texts": texts,
        "numpy_answer": line.format(
            name="tokenizer.id_to_token(token)",
            ids='inputs["input_ids"]',
            mask=f'tokenizer.token_to_id("{facts.mask_token}")',
            axis="axis",
        ),
        "torch_answer": line.format(
            name="tokenizer.convert_ids_to_tokens(token)",
            ids="inputs.input_ids",
            mask="tokenizer.mask_token_id",
            axis="dim",
        ),
    }


_CODE: dict[str, Callable[[Loading], dict[str, str]]] = {
    "multi-label-classification": _of_label_sets,
    "token-classification": _of_words,
    "question-answering": _of_questions,
    "sentence-embeddings": _of_vectors,
    "sentence-embeddings-cls": _of_vectors,
    "masked-language-model": _of_masks,
}
"""By kind of task, where it is not asked and read as a classifier of texts is."""


def closing_words(output: Path, frontier: Frontier | None = None) -> str:
    """Where a run's artifacts and their report are and how to use one, for the end of its output.

    Args:
        output: the run's.
        frontier: of several depths; the shallowest that nothing beats is the example.
    """
    if frontier is None:
        return f"artifact: {output}\nlook:     {output / REPORT}\nuse it:   {_opening(output)}"
    sweep_variants = [point for point in frontier.points if point.directory and point.on_frontier]
    example = min(sweep_variants, key=lambda point: point.layers).directory
    opening = _opening(output / str(example))
    return f"artifacts: {output}\nlook:      {output / REPORT}\nuse one:   {opening}"


def _opening(artifact: Path) -> str:
    path = json.dumps(str(artifact), ensure_ascii=False)
    return f"model = glp_export.load({path}), as in {artifact / 'README.md'}"


def _calls(facts: Loading) -> str:
    if not facts.text_pair:
        return _source(_TEXTS)
    firsts, seconds = zip(*_PAIRS, strict=True)
    return f"{_source(firsts)}, {_source(seconds)}"


def _answer(facts: Loading, best: str, name: str) -> str:
    if not facts.labels:
        return "print(logits[:, 0].tolist())"
    return f"print([{name} for label in {best}.tolist()])"


def _lists(rows: tuple[tuple[str, ...], ...]) -> str:
    return json.dumps([list(row) for row in rows], ensure_ascii=False)


def _source(values: tuple[object, ...]) -> str:
    return "[" + ", ".join(_literal(value) for value in values) + "]"


def _literal(value: object) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(_literal(part) for part in value) + ")"
    return f'"{value}"'
