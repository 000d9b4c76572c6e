"""The rules by which text-embeddings-inference loads a directory into its ONNX backend, as code.

The server is a container of a Rust program and is not run here. What it asks of a local directory
stands in its repository: `router/src/lib.rs` (what kind of model, how long inputs are) and
`backends/ort/src/lib.rs` (which files, which sizes, how a batch is fed and which output is read).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from onnxruntime import InferenceSession
    from tokenizers import Tokenizer

SOURCE = "router/src/lib.rs at 009f067, backends/ort/src/lib.rs at 04a0215"

OFFSET_FAMILIES = ("xlm-roberta", "camembert", "roberta")
LENGTH_FILES = tuple(
    f"sentence_{family}_config.json"
    for family in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)


@dataclass(frozen=True)
class Settings:
    """What is read of the JSON files before any weights are."""

    kind: str
    longest: int
    pad_token_id: int
    padding_side: str


@dataclass(frozen=True)
class Server:
    """A started model."""

    kind: str
    longest: int
    settings: Settings
    tokenizer: Tokenizer
    session: InferenceSession

    def predict(self, rows: Sequence[Any]) -> np.ndarray[Any, Any]:
        """The logits of a batch, padded to its longest row."""
        encoded = self.tokenizer.encode_batch([tuple(row) for row in rows])
        return self._run([row.ids for row in encoded], [row.type_ids for row in encoded])

    def warm_up(self, rows: int = 2) -> np.ndarray[Any, Any]:
        """Run the longest inputs that would be let through."""
        return self._run([[0] * self.longest] * rows, [[0] * self.longest] * rows)

    def _run(self, ids: list[list[int]], types: list[list[int]]) -> np.ndarray[Any, Any]:
        import numpy as np

        longest = max(map(len, ids))
        fed = {
            "input_ids": _pad(ids, longest, self.settings.pad_token_id),
            "attention_mask": _pad([[1] * len(row) for row in ids], longest, 0),
            "token_type_ids": _pad(types, longest, 0),
            "position_ids": [list(range(longest))] * len(ids),
        }
        wanted = {node.name for node in self.session.get_inputs()}
        assert wanted <= fed.keys(), f"it feeds no {wanted - fed.keys()}"
        feeds = {name: np.array(fed[name], dtype=np.int64) for name in wanted}
        (logits,) = self.session.run(["logits"], feeds)
        assert logits.dtype == np.float32
        return logits


def start(root: Path) -> Server:
    """Start a directory, or fail as the server would."""
    import onnxruntime
    from tokenizers import Tokenizer

    settings = read_settings(root)
    tokenizer = Tokenizer.from_file(str(root / "tokenizer.json"))
    tokenizer.no_padding()
    model = root / "model.onnx"
    session = onnxruntime.InferenceSession(
        model if model.exists() else root / "onnx" / "model.onnx",
        providers=["CPUExecutionProvider"],
    )
    return Server(settings.kind, settings.longest, settings, tokenizer, session)


def read_settings(root: Path) -> Settings:
    """Read the JSON files as its deserialisers do: what has no default is required."""
    config = json.loads((root / "config.json").read_text())
    architectures, model_type = config["architectures"], config["model_type"]
    positions = _whole(config, "max_position_embeddings", "n_positions")
    _whole(config, "hidden_size", "n_embd")
    _whole(config, "num_hidden_layers", "n_layer")
    pad = config.get("pad_token_id")
    assert pad is None or (isinstance(pad, int) and pad >= 0)
    assert any(name.endswith("Classification") for name in architectures)
    labels, ids = config["id2label"], config["label2id"]
    assert all(isinstance(label, str) for label in labels.values())
    assert all(isinstance(value, int) for value in ids.values())
    side = json.loads((root / "tokenizer_config.json").read_text()).get("padding_side", "right")
    assert side in ("left", "right")
    offset = (pad or 0) + 1 if model_type in OFFSET_FAMILIES else 0
    return Settings(
        kind="classifier" if len(labels) > 1 else "reranker",
        longest=_stated_length(root) or positions - offset,
        pad_token_id=pad if pad is not None else config.get("eos_token_id") or 0,
        padding_side=side,
    )


def _stated_length(root: Path) -> int | None:
    for name in LENGTH_FILES:
        if (root / name).is_file():
            return json.loads((root / name).read_text()).get("max_seq_length")
    return None


def _whole(config: dict[str, Any], *names: str) -> int:
    """A number under one of its names; none of them is an error."""
    (value, *_) = (config[name] for name in names if name in config)
    assert isinstance(value, int)
    return value


def _pad(rows: list[list[int]], length: int, value: int) -> list[list[int]]:
    return [row + [value] * (length - len(row)) for row in rows]
