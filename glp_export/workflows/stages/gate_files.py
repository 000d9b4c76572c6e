"""What a run leaves for the gate: inputs with PyTorch's answers, and a budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from glp_export.artifact import ArtifactLayout, StoredInputs
from glp_export.artifact.reference import Reference
from glp_export.bench import BenchmarkFile
from glp_export.bench.contenders import longest_input
from glp_export.bench.winners import fastest_runtime
from glp_export.encoder import random_rows
from glp_export.gate.budget_writer import write_budget
from glp_export.serve.runtimes import ONNX_RUNTIME
from glp_export.workflows.execution import ExecutionContext

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def write_gate_files(
    layout: ArtifactLayout,
    execution: ExecutionContext,
    tokenizer: PreTrainedTokenizerBase,
    benchmark: BenchmarkFile,
    *,
    unpruned: Mapping[str, str],
) -> None:
    """Write `glp/parity_inputs.npz` and `glp/budget.toml`.

    Args:
        layout: of an artifact whose checkpoint is in place.
        execution: that it was measured at.
        tokenizer: its own.
        benchmark: of its pruned model.
        unpruned: by precision, at which level the unpruned file was optimised.
    """
    store_inputs(layout, execution, tokenizer)
    served = {ONNX_RUNTIME, fastest_runtime(benchmark, execution.provider)}
    write_budget(layout.budget, benchmark, unpruned=unpruned, runtimes=served)


def store_inputs(
    layout: ArtifactLayout,
    execution: ExecutionContext,
    tokenizer: PreTrainedTokenizerBase,
    *,
    reference: Reference | None = None,
) -> None:
    """Write `glp/parity_inputs.npz`: random tokens, so no data travels with the artifact.

    Args:
        layout: of an artifact whose checkpoint is in place.
        execution: that its files were checked by.
        tokenizer: its own.
        reference: the PyTorch model of that checkpoint, where it has answered before.
    """
    length = min(execution.max_length, tokenizer.model_max_length, longest_input(layout.root))
    rows = random_rows(tokenizer, length, execution.seed)
    stored = StoredInputs.compute(
        reference or layout.root,
        rows,
        tokenizer,
        auto_class=execution.kind.auto_class,
        max_length=length,
        threads=execution.threads,
    )
    stored.save(layout.parity_inputs)
