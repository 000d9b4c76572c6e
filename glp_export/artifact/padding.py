"""Whether padding beside a row changes what a graph answers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glp_export.artifact.batches import lengths_of, pad, read_rows
from glp_export.artifact.session import open_session, run_outputs
from glp_export.core.machine import CPU
from glp_export.tasks import padding

if TYPE_CHECKING:
    import numpy as np
    from datasets import Dataset
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase


def padding_matters(
    path: Path,
    rows: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    *,
    longest: int | None = None,
    provider: str = CPU,
    threads: int = 1,
    scaled: bool = False,
) -> bool:
    """Run a few of the shortest rows alone and with padding.

    Args:
        path: of the ONNX file, in fp32: what is rounded differs with padding anyhow.
        rows: encoded.
        tokenizer: that pads.
        longest: input in tokens; None for the longest of the rows.
        provider: execution provider of ONNX Runtime.
        threads: intra-op threads.
        scaled: whether the answers are numbers of any size, as a regression's.
    """
    session = open_session(path, provider=provider, threads=threads)

    def ask(row: int, length: int) -> tuple[Mapping[str, NDArray[Any]], NDArray[np.bool_]]:
        batch = pad(read_rows(rows, [row]), tokenizer, length=length)
        return run_outputs(session, batch), batch["attention_mask"][0].astype(bool)

    return padding.padding_matters(ask, lengths_of(rows), longest=longest, scaled=scaled)
