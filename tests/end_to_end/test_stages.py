from __future__ import annotations

from dataclasses import replace

import pytest

from glp_export.artifact import ArtifactLayout, ParityReport, describe
from glp_export.bench import BenchmarkFile
from glp_export.config.targets import Targets
from glp_export.core.progress import Progress
from glp_export.workflows.artifact_jobs import _config, _pruned
from glp_export.workflows.final_training import learning_rate_for
from glp_export.workflows.stages.benchmark import time_contenders
from glp_export.workflows.stages.export import Exported
from glp_export.workflows.stages.scoring import score_contender
from glp_export.workflows.stages.trained import Trained


def test_further_test_sets_are_scored_beside_the_first(artifact, data):
    layout = ArtifactLayout(artifact)
    place, pruned = _pruned(layout, _config(layout, {"dataset": str(data)}))
    further = pruned.test.select(range(10))
    trained = Trained(
        "pruned", "here", artifact, pruned.tokenizer, pruned.test, {"mismatched": further}
    )
    file = describe(layout.onnx_model)
    scored = score_contender(place, Exported(trained, file, file, ParityReport(())))
    (other,) = scored.others
    assert (other.split, other.samples) == ("mismatched", 10)
    assert other.low <= other.value <= other.high
    (row,) = (r for r in BenchmarkFile.load(layout.benchmark).metrics if r.contender == "pruned")
    assert scored.rows[0].value == pytest.approx(row.value)


def test_the_shapes_of_targets_are_measured_too(artifact, data):
    layout = ArtifactLayout(artifact)
    place, pruned = _pruned(layout, _config(layout, {"dataset": str(data)}))
    place = replace(place, targets=Targets.parse("1.1@2x24", "1s@4x16", None))
    file = describe(layout.onnx_model)
    alone = Exported(replace(pruned, contender="unpruned"), file, file, ParityReport(()))
    measured = time_contenders(place, [alone], [], Progress()).file
    names = [row.shape for row in measured.rows if row.runtime == "onnxruntime"]
    assert sorted(names) == sorted({"2x24", *("1x8", "1x16", "4x8", "4x16"), "1xtask", "4xtask"})


@pytest.mark.parametrize(("width", "rate"), [(1024, 2e-5), (768, 2e-5), (384, 8e-5), (64, 5e-4)])
def test_narrow_encoders_learn_faster_and_wide_ones_as_in_the_paper(width, rate):
    assert learning_rate_for(width) == pytest.approx(rate)
