"""A compressor of one's own is one row: by its name, with its options, to a verified artifact."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from glp_export.artifact import ArtifactLayout
from glp_export.cache.store import Cache
from glp_export.cli.app import run
from glp_export.compress.budget import Budget, TimeBudget
from glp_export.compress.compressors import COMPRESSORS, Row
from glp_export.compress.compressors.base import Calibrator, CompressionEvaluator, Found
from glp_export.compress.compressors.layers.options import LayerOptions
from glp_export.compress.edits import RemoveSublayers
from glp_export.compress.plan import Plan
from glp_export.compress.search_cost import SearchCost
from glp_export.core.options import Options, option
from glp_export.core.shape import LayerShape, ModelShape
from glp_export.encoder.sublayers import require_sublayers
from tests.end_to_end.conftest import SMALL

if TYPE_CHECKING:
    from pydantic import BaseModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class DropFfnOptions(Options):
    """Which feed-forward sublayers go."""

    panel: ClassVar[str] = "Drop feed-forward"

    every: int = option(2, "Remove every so many-th feed-forward sublayer.", gt=1)


@dataclass(frozen=True)
class DropFfn:
    """Removes feed-forward sublayers by rule: it trains nothing and measures nothing."""

    name: str = "drop-ffn"
    summary: str = "every second feed-forward sublayer"
    options: type[BaseModel] = DropFfnOptions

    def require(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
        require_sublayers(model)

    def cost(
        self, options: DropFfnOptions, budget: Budget, base: ModelShape, removable: Sequence[int]
    ) -> SearchCost:
        return SearchCost(strategy=self.name)

    def search(
        self, options: DropFfnOptions, budget: Budget, evaluator: CompressionEvaluator
    ) -> list[Found]:
        gone = tuple(range(options.every - 1, evaluator.facts["num_layers"], options.every))
        edits = (RemoveSublayers(feed_forward=gone),)
        facts = dict(evaluator.facts)
        return [Found(Plan(**facts, compressors=(self.name,), strategy=self.name, edits=edits))]

    def start(self, plan: Plan, model: PreTrainedModel, calibrator: Calibrator) -> PreTrainedModel:
        return plan.apply(model)


@pytest.fixture
def row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMPRESSORS, "drop-ffn", Row(DropFfnOptions, DropFfn))


def test_a_row_goes_from_its_name_to_a_verified_artifact(row, encoder, data, tmp_path) -> None:
    output, cache = tmp_path / "out", tmp_path / "cache"
    config = tmp_path / "run.yaml"
    config.write_text("drop-ffn:\n  every: 3\n")
    command = ["prune-and-export", "-m", str(encoder), "--dataset", str(data), *SMALL]
    own = ["--compress", "drop-ffn", "--config", str(config), "--distilled", "none"]
    assert run([*command, *own, "--cache", str(cache), "-o", str(output), "-q"]) == 0
    assert run(["verify", str(output), "--threads", "1", "-q"]) == 0
    plan = Plan.load(ArtifactLayout(output).plan)
    assert plan.compressors == ("drop-ffn",)
    assert plan.edits == (RemoveSublayers(feed_forward=(2,)),)
    # What it did not ask for was not paid for.
    assert not {entry.kind for entry in Cache(cache).entries()} & {"teacher", "latency"}


def test_a_row_that_is_not_there_is_a_usage_error(encoder, data, tmp_path: Path) -> None:
    command = ["search", "-m", str(encoder), "--dataset", str(data), "--compress", "drop-ffn"]
    assert run([*command, "-o", str(tmp_path / "out"), "-q"]) == 2


def test_every_row_names_itself_and_its_options() -> None:
    for name, row in COMPRESSORS.items():
        compressor = row.load()
        assert compressor.name == name
        assert compressor.options is row.options
        assert compressor.summary


BASE = ModelShape(
    layers=(LayerShape(heads=2, head_size=16, neurons=64),) * 4, vocabulary=100, hidden_size=32
)


def test_every_row_tells_what_its_search_may_cost() -> None:
    times = (TimeBudget(1, 16, speedup=2.0), TimeBudget(1, 16, milliseconds=3.0))
    for name, row in COMPRESSORS.items():
        cost = row.load().cost(row.options(), Budget(cuts=2, times=times), BASE, range(4))
        assert cost.strategy
        assert cost.flag.startswith("--")
        assert (cost.trials > 0) == (
            not COMPRESSORS[name].whole_depth
        )  # which search by no training


def test_a_dry_run_for_speed_counts_the_trials_of_structure(
    encoder, data, tmp_path, capsys
) -> None:
    command = ["prune-and-export", "-m", str(encoder), "--dataset", str(data), *SMALL]
    own = ["--target-speedup", "1.5@1x16", "--criterion", "fisher", "--final-round", "8"]
    assert run([*command, *own, "-o", str(tmp_path / "none"), "--dry-run", "--json", "-q"]) == 0
    estimate = json.loads(capsys.readouterr().out)
    assert estimate["strategy"] == "fisher"
    layers = COMPRESSORS["layers"].load().cost(LayerOptions(), Budget(cuts=1), BASE, range(4))
    # The structure, what it has to beat (three rules and fast-greedy's layers), and finding those.
    assert estimate["trainings"] == 5 + layers.trials
    assert not list(tmp_path.iterdir())
