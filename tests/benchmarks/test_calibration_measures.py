"""The arithmetic of ``benchmarks/calibration``: means, shares, their errors, and verdicts."""

import math

import numpy as np
import pytest

from benchmarks.calibration.arms import ARMS
from benchmarks.calibration.figures import measure_arm
from benchmarks.calibration.measures import (
    Measurement,
    Target,
    calibration_error,
    mean_by_search,
    reliability_bins,
    share_of,
)

# --- arithmetic -----------------------------------------------------------------------------------


def test_the_error_of_a_mean_is_that_of_searches_and_not_of_their_candidates():
    rng = np.random.default_rng(0)
    means, errors = [], []
    searches = np.repeat(np.arange(40), 5)
    for _ in range(400):
        values = np.repeat(rng.normal(size=40), 5) + 0.1 * rng.normal(size=200)
        mean, error = mean_by_search(values, searches)
        means.append(mean)
        errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.1)


def test_with_one_value_a_search_the_error_is_the_standard_error_of_a_mean():
    values = np.random.default_rng(0).normal(size=50)
    mean, error = mean_by_search(values, np.arange(50))
    assert (mean, error) == pytest.approx((values.mean(), values.std(ddof=1) / math.sqrt(50)))


def test_the_error_of_a_share_is_binomial_and_never_zero():
    assert share_of(np.arange(100) < 20) == pytest.approx((0.2, 0.04), rel=0.01)
    assert share_of(np.zeros(50, bool)) == (0.0, 1 / 50)
    assert mean_by_search(np.ones(60), np.repeat(np.arange(20), 3)) == (1.0, 1 / 20)


def test_predictions_that_come_true_as_often_as_they_say_have_no_calibration_error():
    predicted = np.repeat([0.25, 0.75], 400)
    seen = np.concatenate([np.arange(400) % 4 == 0, np.arange(400) % 4 != 0]).astype(float)
    assert calibration_error(predicted, seen) == pytest.approx(0)
    assert calibration_error(predicted, 1 - seen) == pytest.approx(0.5)


def test_each_prediction_is_in_one_bin_the_certain_ones_too():
    predicted = np.array([0.0, 0.05, 0.1, 0.95, 1.0])
    bins = reliability_bins(predicted, np.array([0.0, 1.0, 1.0, 1.0, 0.0]))
    expected = [[0.025, 0.5, 2], [0.1, 1, 1], [0.975, 0.5, 2]]
    assert bins.tolist() == [pytest.approx(row) for row in expected]


@pytest.mark.parametrize(
    ("value", "error", "verdict"),
    [
        (0.95, 0.01, "met"),
        (0.95, 0.011, "open"),  # inside, and not sure enough
        (0.92, 0.006, "open"),
        (0.9, 0.01, "not met"),
        (math.nan, math.nan, "no data"),
    ],
)
def test_a_target_is_met_by_a_value_inside_whose_error_is_small(value, error, verdict):
    assert Measurement("", "", value, error, 9, Target(0.93, 0.97, 0.01)).verdict == verdict


def test_a_figure_without_target_has_no_verdict():
    assert Measurement("", "", 0.5, 0.1, 9).verdict == ""


# --- figures --------------------------------------------------------------------------------------


def _line(run, **changes):
    """Return the line of a made-up search of the plain network and two candidates."""
    candidates = {
        "rows": [0, 1, 2],
        "is_plain": [True, False, False],
        "trainings": [8, 1, 2],
        "gain": [0.0, 0.5, 0.3],
        "low": [0.0, 0.1, 0.1],
        "high": [0.0, 0.9, 0.5],
        "probability": [1.0, 0.95, 0.4],
        "on_front": [True, True, False],
        "is_listed": [True, True, True],
        "truth": [0.0, 0.4, 0.6],
        "on_true_front": [True, False, True],
    }
    line = {
        "arm": "as measured",
        "run": run,
        "shape": "gain",
        "model": 0,
        "best_gain": 0.7,
        "decision": "put",
        "regret": 0.1,
        "shortfall": 0.1,
        "recommends_se": True,
        "optimism": 0.1,
        "is_settled": True,
        "gap": 0.2,
        "noise": {"level_sd": 0.3},
        "false_effects": None,
        "candidates": candidates,
    }
    return line | changes


def test_figures_are_those_of_made_up_searches_counted_by_hand():
    lines = [
        _line(0),
        _line(1, decision="nothing", regret=0.3, shortfall=0.3, optimism=-0.1, gap=0.4),
        _line(
            2, decision="leave", regret=0.0, shortfall=0.7, recommends_se=False, is_settled=False
        ),
        _line(
            3,
            best_gain=0.0,
            shape="null",
            optimism=0.3,
            false_effects={"main": 2, "interactions": 0, "matched": 0},
        ),
    ]
    figures = {figure.name: figure for figure in measure_arm(ARMS[0], lines)}
    expected = {
        "95 % intervals hold the truth: all candidates": (0.5, 4),
        "95 % intervals hold the truth: front members": (1.0, 4),
        "optimism in points: front members": (0.1, 4),
        "optimism in points: recommended candidate with SE": (0.1, 3),
        # Half are predicted at 0.95 and never there, half at 0.4 and always; null worlds are out.
        "calibration error of P(front): all": (0.775, 3),
        "calibration error of P(front): 0.05 to 0.95": (0.775, 3),
        "members with P(front) >= 0.9 are on the true front": (0.0, 3),
        "recommended candidate within 0.2 points of the best at its cost": (0.75, 4),
        "… where it has SE: within 0.2 points": (2 / 3, 3),
        "recommended candidate within 0.2 points of the best at any cost": (0.5, 4),
        "'leave SE out' where 0.5 can be gained": (1 / 3, 3),
        "'put SE in' where nothing can be gained": (1.0, 1),
        "'nothing can be said' where 0.5 can be gained": (1 / 3, 3),
        "settled": (0.75, 4),
        "families of effects with a false one: main": (1.0, 1),
        "families of effects with a false one: matched": (0.0, 1),
        "settled, and no trained candidate more than 0.2 better": (2 / 3, 3),
    }
    for name, (value, count) in expected.items():
        assert (figures[name].value, figures[name].count) == (pytest.approx(value), count)


def test_targets_are_for_the_products_own_protocol_and_answers_are_due_after_200_trainings():
    def targets(arm):
        lines = [_line(run, arm=arm.name) for run in range(3)]
        return {figure.name for figure in measure_arm(arm, lines) if figure.verdict}

    arms = {arm.name: arm for arm in ARMS}
    assert targets(arms["before replicates"]) == set()
    due = targets(arms["as measured"]) - targets(arms["50 trainings"])
    assert due == {
        "recommended candidate within 0.2 points of the best at its cost",
        "'nothing can be said' where 0.5 can be gained",
    }
