"""Which file to deploy: on each provider and shape, the one that was measured to be fastest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from statistics import median

from glp_export.bench.benchmark_file import Interval, OfModel, Winner
from glp_export.bench.contenders import Contender
from glp_export.bench.statistics import paired_ratio
from glp_export.bench.timing import Samples


def winners(samples: Sequence[Samples]) -> list[Winner]:
    """The fastest file of each pruned model in ONNX Runtime, on each provider and shape.

    The plain export may win as well as any other. How far the winner is ahead is the median of
    paired ratios to the runner-up, with its interval.
    """
    files = [sample for sample in samples if _is_file_of_ours(sample.contender)]
    files.sort(key=_comparison)
    return [_winner(list(compared)) for _, compared in groupby(files, key=_comparison)]


def _is_file_of_ours(contender: Contender) -> bool:
    return contender.contender == "pruned" and contender.runtime.startswith("onnxruntime")


def _comparison(sample: Samples) -> tuple[int, str, str, int, int, str]:
    contender, shape = sample.contender, sample.shape
    size = (shape.batch_size, shape.sequence_length)
    return (-contender.layers, contender.plan_id, contender.provider, *size, shape.name)


def _winner(compared: Iterable[Samples]) -> Winner:
    first, *others = sorted(compared, key=lambda sample: median(sample.milliseconds))
    lead = paired_ratio(others[0].round_medians, first.round_medians) if others else None
    own = first.contender
    return Winner(
        **{name: getattr(own, name) for name in OfModel.model_fields},
        provider=own.provider,
        shape=first.shape.name,
        runtime=own.runtime,
        precision=own.precision,
        variant=own.variant,
        p50_ms=median(first.milliseconds),
        runner_up=others[0].contender.variant if others else None,
        lead=Interval(value=lead.value, low=lead.low, high=lead.high) if lead else None,
    )
