"""The card's code for models that answer with vectors, or with what is hidden in a text."""

from __future__ import annotations

from glp_export.report.card_facts import CardFacts

_TEXTS = '["The first text.", "A second text, which is longer."]'

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


def of_vectors(facts: CardFacts) -> dict[str, str]:
    """The cosine of every two texts; the vectors themselves are long."""
    pooling = _POOLING[facts.kind]
    return {
        "own_answer": "dot(answers.T).round(2).tolist()",
        "tokenizers_texts": _TEXTS,
        "transformers_texts": _TEXTS,
        "numpy_answer": f"""\
{pooling.format(mask='inputs["attention_mask"][:, :, None]', axis="axis")}
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
print((vectors @ vectors.T).round(2).tolist())""",
        "torch_answer": f"""\
{pooling.format(mask="inputs.attention_mask.unsqueeze(-1)", axis="dim")}
vectors = vectors / vectors.norm(dim=1, keepdim=True)
print((vectors @ vectors.T).numpy().round(2).tolist())""",
        "more_code": _SENTENCE_TRANSFORMERS.format(texts=_TEXTS),
    }


def of_masks(facts: CardFacts) -> dict[str, str]:
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
