from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from glp_export.core.progress import Piece, RankedCandidate, Standings
from glp_export.report.leaderboard import leaderboard, standings_line
from tests.report.helpers import printed

STANDINGS = Standings(
    title="step 2 of 3",
    metric="accuracy",
    column="without",
    verb="removed",
    candidates=(
        RankedCandidate("3", "layer 3", 0.884, 0.4123),
        RankedCandidate("1", "layer 1", 0.881, 0.4257, 0.0134, 0.914),
        RankedCandidate("0", "layer 0", 0.6, 1.2, 0.7877, 1.0),
    ),
    tried=3,
    of=5,
    detail="removed: 5",
    picture=(
        *(Piece("input"), Piece("0"), Piece("1"), Piece("2"), Piece("3", "strong"), Piece("4")),
        *(Piece("·", "faint"), Piece("head")),
    ),
)


def test_the_leader_comes_first_and_gaps_are_dots() -> None:
    text = printed(leaderboard(STANDINGS, 5))
    stack, title, head, _, first, second, third, *_ = text.splitlines()
    assert stack.split() == ["input", "0", "1", "2", "3", "4", "·", "head"]
    assert title.strip() == "step 2 of 3: 3 of 5 tried, removed: 5"
    assert head.split() == ["without", "loss", "accuracy", "behind", "first", "better"]
    assert first.split() == ["3", "0.4123", "0.884", "–", "–"]
    assert second.split() == ["1", "0.4257", "0.881", "0.0134", "0.91"]
    assert third.split()[-1] == "1.00"


@pytest.mark.parametrize("known", [0, 1, 3, 12])
def test_its_height_does_not_change_as_outcomes_come_in(known: int) -> None:
    candidates = tuple(
        RankedCandidate(str(layer), f"layer {layer}", 0.5, 0.7, 0.1, 0.6) for layer in range(known)
    )
    board = leaderboard(replace(STANDINGS, candidates=candidates, of=12), 5)
    assert len(printed(board).splitlines()) == 9


@pytest.mark.parametrize("width", [60, 80, 120])
def test_it_fits_the_terminal_however_many_layers_there_are(width: int) -> None:
    label = "+".join(map(str, range(0, 48, 2)))
    whole = RankedCandidate(label, label, 0.884, 0.4123)
    picture = tuple(Piece(str(layer)) for layer in range(48))
    board = leaderboard(replace(STANDINGS, picture=picture, candidates=(whole,) * 6), 5)
    text = printed(board, width)
    assert max(map(len, text.splitlines())) <= width
    assert len(text.splitlines()) == 9
    assert "0.4123" in text


def test_a_search_by_score_has_no_columns_of_losses() -> None:
    candidates = (
        RankedCandidate("3", "layer 3", 0.884),
        RankedCandidate("1", "layer 1", 0.881, behind=0.003),
    )
    by_score = replace(STANDINGS, candidates=candidates)
    text = printed(leaderboard(by_score, 3))
    assert "loss" not in text
    assert "better" not in text
    assert standings_line(by_score) == (
        "step 2 of 3: removed layer 3 (accuracy 0.884); layer 1 was 0.003 behind"
    )


@pytest.mark.parametrize(
    ("probability", "words"),
    [
        (0.54, "layer 1 was nearly as good: 54 % sure"),
        (0.914, "layer 1 was next: 91 % sure"),
        (0.999, "layer 1 was clearly worse: 99 % sure"),
    ],
)
def test_one_sentence_tells_what_went_and_how_sure_that_is(probability: float, words: str) -> None:
    first, second, _ = STANDINGS.candidates
    second = replace(second, probability=probability)
    line = standings_line(replace(STANDINGS, candidates=(first, second)))
    assert line == f"step 2 of 3: removed layer 3 (accuracy 0.884); {words}"


def test_nothing_is_said_of_a_second_where_there_is_none() -> None:
    alone = replace(STANDINGS, candidates=STANDINGS.candidates[:1], tried=1, of=1)
    assert standings_line(alone) == "step 2 of 3: removed layer 3 (accuracy 0.884)"


def test_the_layer_that_may_go_stands_out_in_colour_only() -> None:
    console = Console(force_terminal=True, color_system="standard", width=80)
    with console.capture() as capture:
        console.print(leaderboard(STANDINGS, 3))
    assert "\x1b[33m3 " in capture.get()
