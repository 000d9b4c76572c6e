from __future__ import annotations

import numpy as np
import pytest

from glp_export.artifact import open_session, predict_onnx
from glp_export.artifact.onnx_file import write_graph
from glp_export.precision.int8.mixed_precision import (
    compare_with,
    divergence,
    fewest_in_float,
)
from glp_export.tasks import Task
from tests.exported import THREADS
from tests.precision.int8.outlier_channel import (
    OUTLIER_MATMUL,
    dynamic_int8,
    outlier_graph,
    product_names,
)

ROWS = 400
TASK = Task(
    name="feelings",
    kind="text-classification",
    metric="accuracy",
    text_columns=("text",),
    label_column="label",
    labels=("bad", "good"),
)


class Files:
    """int8 files whose products each add an error of their own to the fp32 logits."""

    def __init__(self, errors, seed=0):
        self.errors = errors
        generator = np.random.default_rng(seed)
        margin = generator.normal(size=ROWS)
        self.reference = np.stack([-margin, margin], axis=1).astype(np.float32)
        self.labels = (margin > 0).astype(int)
        self.noise = {name: generator.normal(size=(ROWS, 2)) for name in errors}
        self.built = []

    def judge(self, keep_float):
        self.built.append(keep_float)
        logits = self.reference.copy()
        for name, size in self.errors.items():
            if name not in keep_float:
                logits += (size * self.noise[name]).astype(np.float32)
        return logits

    def search(self, max_drop=0.005, costs=None, **options):
        return fewest_in_float(
            costs or dict.fromkeys(self.errors, 1.0),
            self.judge,
            self.reference,
            compare_with(TASK, self.reference, self.labels),
            max_drop=max_drop,
            **options,
        )


@pytest.fixture(scope="module")
def has_outliers(tmp_path_factory):
    """A graph that int8 spoils in one product."""
    return outlier_graph(tmp_path_factory.mktemp("outlier"))


def small_errors(count, **large):
    return {f"product.{number:02d}": 1e-4 for number in range(count)} | large


def test_a_file_that_is_accurate_in_int8_is_the_only_one_built():
    files = Files(small_errors(20))
    kept = files.search()
    assert kept.within
    assert kept.keep_float == frozenset()
    assert files.built == [frozenset()]


def test_the_products_that_cost_accuracy_stay_in_float():
    files = Files(small_errors(20, bad=1.0, worse=2.0))
    kept = files.search()
    assert kept.keep_float == {"bad", "worse"}
    assert kept.within
    assert kept.low <= kept.drop <= kept.high
    assert kept.share == pytest.approx(2 / 22)


def test_few_files_are_built_and_none_twice():
    files = Files(small_errors(72, bad=1.0, worse=2.0))
    kept = files.search()
    # One at a time would be 74 files before the first is chosen.
    assert len(files.built) < 30
    assert len(set(files.built)) == len(files.built) == len(kept.trials)


def test_a_cheap_product_is_given_back_before_a_dear_one_that_does_as_much_harm():
    files = Files(small_errors(6, cheap=1.0, dear=1.0))
    costs = dict.fromkeys(files.errors, 1.0) | {"dear": 4.0}
    ranking = [trial.keep_float for trial in files.search(max_drop=-1.0, costs=costs).trials]
    assert ("cheap",) in ranking
    assert ("dear",) not in ranking


def test_a_dear_product_goes_first_if_it_does_more_harm_for_its_cost():
    files = Files(small_errors(6, cheap=0.4, dear=2.0))
    costs = dict.fromkeys(files.errors, 1.0) | {"dear": 4.0}
    ranking = [trial.keep_float for trial in files.search(max_drop=-1.0, costs=costs).trials]
    assert ("dear",) in ranking
    assert ("cheap",) not in ranking


def test_what_accuracy_does_not_need_is_taken_back():
    """One product makes sure answers surer: it diverges most, and no answer changes."""
    files = Files(small_errors(10, sure=1.0, bad=1.0))
    files.noise["sure"] = np.where(abs(files.reference) > 1, 5 * np.sign(files.reference), 0)
    kept = files.search()
    assert ("bad", "sure") in [trial.keep_float for trial in kept.trials]
    assert kept.keep_float == {"bad"}


def test_where_no_share_of_float_is_enough_the_nearest_is_returned_and_said_to_fall_short():
    files = Files(small_errors(0, **{name: 2.0 for name in "abcdefgh"}))
    kept = files.search(max_drop=0.0, most=0.25)
    assert not kept.within
    assert kept.share <= 0.25
    affordable = [trial.comparison.drop for trial in kept.trials if trial.share <= 0.25]
    assert kept.drop == min(affordable) > 0


def test_the_same_answers_give_the_same_search():
    first, second = (Files(small_errors(12, bad=1.0, worse=2.0)).search() for _ in range(2))
    assert first == second


def test_every_trial_is_announced():
    heard = []
    kept = Files(small_errors(4, bad=2.0)).search(announce=heard.append)
    assert tuple(heard) == kept.trials


def test_divergence_forgives_a_shift_of_all_scores_of_a_row_but_not_of_a_number():
    assert divergence([[1.0, 2.0]], [[4.0, 5.0]]) == pytest.approx(0.0)
    assert divergence([[1.0]], [[4.0]]) == pytest.approx(9.0)


def test_the_product_that_spoils_a_real_int8_file_is_found(
    has_outliers, encoded, tokenizer, tmp_path
):
    def predictions(path):
        return predict_onnx(open_session(path, threads=THREADS), encoded, tokenizer)

    reference = predictions(write_graph(has_outliers, tmp_path / "model.onnx"))
    answer = reference.argmax(axis=1)
    kept = fewest_in_float(
        dict.fromkeys(product_names(has_outliers), 1.0),
        lambda keep: predictions(dynamic_int8(has_outliers, tmp_path / "int8.onnx", keep)),
        reference,
        compare_with(TASK, reference, answer),
        max_drop=0.025,  # one of forty answers
    )
    assert kept.trials[0].comparison.drop > 0.025
    assert kept.within
    assert kept.keep_float == {OUTLIER_MATMUL}
