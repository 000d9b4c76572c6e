"""What a search by structure asks for is wrong before anything is trained, with --dry-run too."""

from __future__ import annotations

import pytest
import torch

from glp_export.compress.budget import Budget, TimeBudget
from glp_export.compress.compressors.structure.compressor import StructureCompressor
from glp_export.compress.compressors.structure.options import StructureOptions
from glp_export.core.errors import UsageError
from glp_export.encoder.sublayers import shape_of
from tests.tiny import make_config

FASTER = Budget(times=(TimeBudget(1, 16, speedup=2.0),))


def ask(options: StructureOptions, budget: Budget = FASTER) -> None:
    from transformers import AutoModel

    with torch.device("meta"):
        base = shape_of(AutoModel.from_config(make_config(layers=2)))
    StructureCompressor().cost(options, budget, base, (0, 1))


def test_a_criterion_that_is_not_there() -> None:
    ask(StructureOptions())
    with pytest.raises(UsageError, match="obss"):
        ask(StructureOptions(criterion="obss"))


def test_no_speed() -> None:
    with pytest.raises(UsageError, match="speed"):
        ask(StructureOptions(), Budget(depths=(1,)))
