"""Latency tables: measured for a model as it will ship, kept by content, replayed on resume."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from glp_export.cache.store import Cache
from glp_export.compress.budget import TimeBudget
from glp_export.compress.latency_measurement import FASTEST_COUNTS, measure_table, measure_whole
from glp_export.compress.latency_probes import ProbeMaker
from glp_export.compress.latency_table import Conditions, LatencyTable, WholeModel
from glp_export.core.machine import describe
from glp_export.core.progress import Progress
from glp_export.core.scratch import scratch_directory
from glp_export.core.shape import ModelShape
from glp_export.core.sharing import SharingMonitor

DECIDING = ("onnxruntime", "torch", "transformers")
"""Packages whose version may change what a file takes."""

AUTO, FIRST_TOKEN = "auto", "first-token"

_NO_PART = frozenset(
    [
        "_name_or_path",
        "architectures",
        "dtype",
        "finetuning_task",
        "id2label",
        "label2id",
        "problem_type",
        "torch_dtype",
        "transformers_version",
    ]
)
"""Of a configuration: what no file differs by."""


@dataclass(frozen=True)
class Deployment:
    """What will ship, and where: all that a table depends on but the shape of the input.

    Attributes:
        config: transformers' configuration of the unpruned model.
        base: its shape.
        auto_class: class of transformers that loads it.
        export_task: task in optimum's words.
        device: `cpu` or `cuda`.
        provider: execution provider of ONNX Runtime.
        precision: `fp32` or `int8`.
        threads: intra-op threads.
        optimize: a level of `--optimize`, or `auto`.
    """

    config: Any
    base: ModelShape
    auto_class: str
    export_task: str
    device: str
    provider: str
    precision: str
    threads: int
    optimize: str = AUTO

    @cached_property
    def form(self) -> str:
        """The form of the file: of fp32 a level of optimisation, of int8 a graph pass.

        Of a head that reads one token it is the form that computes no other in the last layer.
        """
        from glp_export.artifact.graph_passes.passes import reads_first_token
        from glp_export.artifact.onnx_file import read_graph

        int8 = self.precision == "int8"
        plain = "lean" if int8 else "none"
        if not int8 and self.optimize not in (AUTO, FIRST_TOKEN):
            return plain
        small = self.base.model_copy(update={"layers": self.base.layers[:2]})
        with scratch_directory("glp-probes-") as scratch:
            graph = read_graph(self.maker("fp32", "none")(small, scratch), weights=True)
        return FIRST_TOKEN if reads_first_token(graph) else plain

    def conditions(self, time: TimeBudget) -> Conditions:
        """What a table for a budget's shape has to hold for."""
        machine = describe()
        return Conditions(
            device=machine.cpu if self.device == "cpu" else str(machine.gpu),
            runtime="onnxruntime",
            provider=self.provider,
            precision=self.precision,
            form=self.form,
            threads=self.threads,
            batch_size=time.batch_size,
            sequence_length=time.sequence_length,
            family=self.config.model_type,
            versions={name: machine.versions[name] for name in DECIDING},
        )

    @property
    def facts(self) -> dict[str, Any]:
        """What a file follows from beside the conditions: the same shape may compute more."""
        config = json.loads(self.config.to_json_string(use_diff=False))
        return {
            "base": self.base.model_dump(mode="json"),
            "auto_class": self.auto_class,
            "labels": self.config.num_labels,
            "config": {name: value for name, value in config.items() if name not in _NO_PART},
        }

    def maker(self, precision: str, form: str) -> ProbeMaker:
        """Makes files of random models of this family."""
        return ProbeMaker(self.config, self.auto_class, self.export_task, precision, form)


def measure(
    deployment: Deployment, conditions: Conditions, cache: Cache, progress: Progress
) -> LatencyTable:
    """The table of a deployment, measured in some seconds, or out of the cache.

    One that was measured while others used the machine says so, and the cache does not keep it.
    """
    facts = {"conditions": conditions.model_dump(mode="json"), **deployment.facts}

    def make(directory: Path) -> None:
        with (
            scratch_directory("glp-probes-") as scratch,
            progress.stage("measure the latency table") as meter,
            progress.paused(),
        ):
            monitor = SharingMonitor()
            table = measure_table(
                deployment.maker(conditions.precision, conditions.form),
                deployment.base,
                conditions,
                scratch,
                separate_top=conditions.form == FIRST_TOKEN,
                progress=lambda what, done, total: meter.update(done, total, what),
            )
        if notes := monitor.notes(FASTEST_COUNTS):
            raise _DisturbedError(table.model_copy(update={"notes": notes}))
        table.save(directory / "table.json")

    try:
        return LatencyTable.load(cache.get_or_make("latency", facts, make) / "table.json")
    except _DisturbedError as disturbed:
        progress.say(f"the latency table: {' '.join(disturbed.table.notes)}")
        return disturbed.table


class _DisturbedError(Exception):
    """Carries a table past the cache."""

    def __init__(self, table: LatencyTable) -> None:
        super().__init__(*table.notes)
        self.table = table


class Tables:
    """The tables of one run, and the whole models that correct them; both are kept beside it.

    What was measured is written down in its order, and a resumed run takes it from there: the same
    tables lead to the same choices.
    """

    def __init__(
        self,
        deployment: Deployment,
        given: Path | None,
        cache: Cache,
        work: Path,
        progress: Progress,
    ) -> None:
        self._deployment, self._given, self._cache = deployment, given, cache
        self._directory, self._progress = work / "latency", progress
        self._taken = 0

    def table(self, time: TimeBudget) -> LatencyTable:
        """The table for a budget's shape: the one that was given, kept, or is measured now.

        Raises:
            DataError: the table that was given cannot be read, or is for something else.
        """
        conditions = self._deployment.conditions(time)
        if self._given is not None:
            given = LatencyTable.load(self._given)
            given.require(self._deployment.base, conditions)
            for note in given.notes:
                self._progress.say(f"the latency table: {note}")
            return given
        shape = f"{conditions.batch_size}x{conditions.sequence_length}"
        kept = self._directory / f"{conditions.precision}-{shape}.json"
        if not kept.is_file():
            kept.parent.mkdir(parents=True, exist_ok=True)
            measure(self._deployment, conditions, self._cache, self._progress).save(kept)
        return LatencyTable.load(kept)

    def measure_whole(
        self, conditions: Conditions, shapes: Sequence[ModelShape]
    ) -> list[WholeModel]:
        """Models of some shapes, measured interleaved; of a table that was given as it predicts.

        What a table says of another machine cannot be measured on this one.
        """
        if self._given is not None:
            table = LatencyTable.load(self._given)
            return [WholeModel(shape=one, milliseconds=table.predict(one)) for one in shapes]
        self._taken += 1
        kept = self._directory / f"measured-{self._taken}.json"
        if kept.is_file():
            stored = [WholeModel.model_validate(one) for one in json.loads(kept.read_text())]
            if [one.shape for one in stored] == list(shapes):
                return stored
        with (
            scratch_directory("glp-probes-") as scratch,
            self._progress.stage("measure what was chosen"),
            self._progress.paused(),
        ):
            maker = self._deployment.maker(conditions.precision, conditions.form)
            monitor = SharingMonitor()
            models = measure_whole(maker, shapes, conditions, scratch)
        for note in monitor.notes(FASTEST_COUNTS):
            self._progress.say(f"what corrects the latency table: {note}")
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps([one.model_dump(mode="json") for one in models]))
        return models
