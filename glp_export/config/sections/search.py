"""How much of a model is removed, and how the search for it goes."""

from __future__ import annotations

from typing import ClassVar

from pydantic import ValidationInfo, field_validator, model_validator

from glp_export.config.targets import Targets
from glp_export.core.errors import UsageError
from glp_export.core.machine import MOST_THREADS
from glp_export.core.options import Numbers, Options, Written, option

COUNTS = ("depth", "prune", "depths", "sweep")
"""The ways to say how many layers are left; one run takes one."""

WRITTEN = ("target_speedup", "latency_budget", "size_budget")
"""The targets that have a notation of their own."""


class CompressOptions(Options):
    """How much is removed, and how the search for it goes."""

    panel: ClassVar[str] = "Search"

    depth: int | None = option(None, "Number of layers to keep.", gt=0)
    prune: int | None = option(None, "Number of layers to remove.", gt=0)
    depths: Numbers | None = option(None, "Make a model of each of these depths from one search.")
    sweep: bool = option(
        False,
        "As --depths: two layers fewer each time, down to a quarter of them.",
        former=("ladder",),
    )
    target_speedup: Written | None = option(
        None,
        "Speedup over the unpruned model in ONNX Runtime: 2.0, 2.0@8x128 (batch size x length), or "
        "several: 2,3,4@1x128.",
    )
    latency_budget: Written | None = option(
        None,
        "Largest median latency of a batch in ONNX Runtime: 10ms, or 10ms@1x128; of another "
        "percentile: 'p95 10ms@1x128'.",
    )
    size_budget: Written | None = option(
        None, "Largest size of ONNX file and tokenizer.json together: 8MB."
    )
    max_drop: float | None = option(None, "Largest loss of the metric on dev: 0.01.", ge=0)
    compress: str = option(
        "auto",
        "What is removed: layers; structure (heads, neurons and layers); the name of a --criterion "
        "(structure, by that criterion); kronecker (matrices become factors); block-sparse (zeros "
        "in matrices, for storage); vocabulary (tokens); several in turn (layers,vocabulary); or "
        "auto: structure for a target of speed or accuracy, vocabulary for a size, otherwise "
        "layers.",
    )
    plan: str | None = option(
        None, "Skip the search: plan.json, a layer file, or paper:bert-base-uncased/rte."
    )
    search_epochs: float | None = option(
        None, "Passes over the data for each candidate. Default: as --epochs.", gt=0
    )
    max_search_samples: int | None = option(
        None, "Train candidates on at most this many rows.", gt=0
    )
    workers: str = option("serial", "Where candidates are tried: serial, processes or ray.")
    worker_cpus: int | None = option(
        None,
        "CPUs and PyTorch threads of each candidate. Default: as --threads.",
        gt=0,
        le=MOST_THREADS,
    )
    worker_gpus: float | None = option(
        None, "Share of a GPU for each candidate with --workers processes or ray: 0.25.", gt=0, le=1
    )
    cache: str | None = option(
        None,
        "Directory of the cache of trained teachers and scored candidates; `none`: no cache.",
    )

    @field_validator(*WRITTEN)
    @classmethod
    def _can_be_read(cls, value: str | None, field: ValidationInfo) -> str | None:
        try:
            speedup, latency, size = (
                value if field.field_name == name else None for name in WRITTEN
            )
            Targets.parse(speedup, latency, None, size)
        except UsageError as error:
            raise ValueError(f"{error.what}: {error.fix}") from error
        return value

    @model_validator(mode="after")
    def _one_way_to_say_how_much(self) -> CompressOptions:
        counts = [name for name in COUNTS if getattr(self, name) not in (None, False)]
        flags = " and ".join(f"--{name}" for name in counts)
        if len(counts) > 1:
            raise ValueError(f"{flags} say in more than one way how much goes; give one")
        if self.targets.any and counts:
            raise ValueError(f"targets find the depth by themselves; leave {flags} out")
        return self

    @property
    def targets(self) -> Targets:
        """What the pruned model shall reach, where no number of layers is asked for.

        Raises:
            UsageError: a target is not written as it should be.
        """
        return Targets.parse(
            self.target_speedup, self.latency_budget, self.max_drop, self.size_budget
        )
