"""Runs of a fresh export at shapes other than the one it was traced with.

Exporters freeze shapes without a word (pytorch #150842). Here a file only has to *run* at them
and answer in the right shape; whether it answers right is for `parity`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from glp_export.artifact.session import open_session, run_outputs
from glp_export.core.errors import ParityError
from glp_export.encoder.positions import UNLIMITED, rows_of

ODD_LENGTH = 7
LONGEST = 512
"""Tokens of the longest try: past it a frozen shape would already have shown."""


def try_shapes(path: Path, config: Any, where: str, *, threads: int) -> None:
    """Run a file at batch 1 and 3, at an odd and at the maximum length.

    Args:
        path: of the file.
        config: of the model, as transformers has it.
        where: what an error calls the model.
        threads: of the session.

    Raises:
        ModelError: it cannot be loaded.
        ParityError: it fails, or answers in another shape, at one of them; the shape is named.
    """
    import numpy as np

    session = open_session(path, threads=threads)
    generator = np.random.default_rng(0)
    longest = longest_sequence(config)
    for batch, length in ((1, ODD_LENGTH), (3, ODD_LENGTH), (3, ODD_LENGTH + 1), (1, longest)):
        ids = generator.integers(0, getattr(config, "vocab_size", None) or 2, (batch, length))
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
        try:
            outputs = run_outputs(session, feeds)
        except Exception as error:  # ONNX Runtime's errors share no base class but Exception
            raise _frozen(where, batch, length, str(error)) from error
        for name, values in outputs.items():
            if len(values) != batch:
                raise _frozen(where, batch, length, f"{len(values)} rows of {name} came out")


def longest_sequence(config: Any) -> int:
    """Tokens that a model of this configuration takes for certain, at most `LONGEST`.

    RoBERTa and its kin count positions from the padding id on, MPNet from 2; leaving that many out
    is right for them and harmless for the others.
    """
    unused = max(2, int(getattr(config, "pad_token_id", None) or 0) + 1)
    rows = rows_of(config)
    return min(LONGEST, (LONGEST if rows == UNLIMITED else rows) - unused)


def _frozen(where: str, batch: int, length: int, reason: str) -> ParityError:
    return ParityError(
        f"The exported file does not run at batch {batch} × length {length}: {reason}",
        where=where,
        fix="A shape was frozen by the export: try another --opset or --exporter.",
    )
