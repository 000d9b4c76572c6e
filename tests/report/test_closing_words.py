from __future__ import annotations

from pathlib import Path

from glp_export.bench import Frontier
from glp_export.report import closing_words
from tests.report.helpers import make_sweep


def test_a_run_ends_with_where_the_artifact_is_and_how_to_use_it() -> None:
    words = closing_words(Path("out/it's mine"))
    assert words.startswith("artifact: out/it's mine\n")
    assert "out/it's mine/glp/report.html\n" in words
    assert 'glp_export.load("out/it\'s mine")' in words


def test_of_several_depths_one_that_nothing_beats_is_the_example() -> None:
    frontier = Frontier.of(make_sweep())
    words = closing_words(Path("out"), frontier)
    best = {point.directory for point in frontier.points if point.on_frontier}
    assert words.startswith("artifacts: out\n")
    assert "out/glp/report.html\n" in words
    assert any(f'glp_export.load("out/{name}")' in words for name in best)


def test_where_the_unpruned_model_beats_each_one_is_named_all_the_same() -> None:
    frontier = Frontier.of(make_sweep())
    beaten = [
        point.model_copy(update={"on_frontier": point.contender == "unpruned"})
        for point in frontier.points
    ]
    words = closing_words(Path("out"), frontier.model_copy(update={"points": tuple(beaten)}))
    assert any(f'load("out/{point.directory}")' in words for point in beaten if point.directory)
