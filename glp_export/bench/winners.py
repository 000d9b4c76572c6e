"""Which file to deploy: on each provider and shape, the one that was measured to be fastest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from statistics import median

from glp_export.artifact.serving import deciding_shape
from glp_export.bench.benchmark_file import BenchmarkFile
from glp_export.bench.benchmark_rows import Interval, OfModel, Winner
from glp_export.bench.contenders import Contender
from glp_export.bench.statistics import paired_ratio
from glp_export.bench.timing import Samples
from glp_export.serve.runtimes import ONNX_RUNTIME

UNSCORED = ("openvino", "bf16")
"""An fp32 file that OpenVINO computes in bf16: it is timed, but the task's metric is not taken of
it, so it wins nothing."""


def winners(samples: Sequence[Samples]) -> list[Winner]:
    """The fastest file of each pruned model in any runtime, on each provider and shape.

    The plain export may win as well as any other. How far the winner is ahead is the median of
    paired ratios to the runner-up, with its interval.
    """
    files = [sample for sample in samples if _is_file_of_ours(sample.contender)]
    files.sort(key=_comparison)
    return [_winner(list(compared)) for _, compared in groupby(files, key=_comparison)]


def fastest_runtime(benchmark: BenchmarkFile, provider: str) -> str:
    """The runtime to serve a pruned model from: another than ONNX Runtime has to be surely faster.

    At the shape by which files are put in order.

    Args:
        benchmark: of one pruned model.
        provider: that it is served on.
    """
    shape = deciding_shape(benchmark.rows)
    for winner in benchmark.winners:
        lead = winner.over_onnxruntime
        if (winner.provider, winner.shape) == (provider, shape) and lead and lead.low > 1:
            return winner.runtime
    return ONNX_RUNTIME


def _is_file_of_ours(contender: Contender) -> bool:
    if contender.contender != "pruned" or contender.runtime.startswith("pytorch"):
        return False
    return (contender.runtime, contender.precision) != UNSCORED


def _in_onnxruntime(sample: Samples) -> bool:
    return sample.contender.runtime.startswith("onnxruntime")


def _comparison(sample: Samples) -> tuple[int, str, str, int, int, str]:
    contender, shape = sample.contender, sample.shape
    size = (shape.batch_size, shape.sequence_length)
    return (-contender.layers, contender.plan_id, contender.provider, *size, shape.name)


def _winner(compared: Iterable[Samples]) -> Winner:
    first, *others = sorted(compared, key=lambda sample: median(sample.milliseconds))
    own = first.contender
    beside = None if _in_onnxruntime(first) else next(filter(_in_onnxruntime, others), None)
    return Winner(
        **{name: getattr(own, name) for name in OfModel.model_fields},
        provider=own.provider,
        shape=first.shape.name,
        runtime=own.runtime,
        precision=own.precision,
        variant=own.variant,
        p50_ms=median(first.milliseconds),
        runner_up=others[0].contender.variant if others else None,
        lead=_faster(first, others[0]) if others else None,
        over_onnxruntime=_faster(first, beside) if beside else None,
    )


def _faster(one: Samples, other: Samples) -> Interval:
    """How many times faster the one is, round by round."""
    ratio = paired_ratio(other.round_medians, one.round_medians)
    return Interval(value=ratio.value, low=ratio.low, high=ratio.high)
