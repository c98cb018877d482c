"""The arithmetic of ``benchmarks/calibration``, and a small run of its measurements."""

import csv
import math

import numpy as np
import pandas as pd
import pytest
from support.tables import write_made_up_table

from benchmarks.calibration.claims import CLAIM_SD, boundary_cases, false_verdicts
from benchmarks.calibration.judging import NUM_CONFIRM, judge_search, make_judge
from benchmarks.calibration.measure import Effort, list_bins, measure_all
from benchmarks.calibration.measures import (
    Measurement,
    calibration_error,
    mean_by_search,
    reliability_bins,
)
from benchmarks.calibration.searches import search
from benchmarks.calibration.worlds import TRUE_SD, restrict, simulate
from se_search.benchmark.table_file import read_table


@pytest.fixture
def table(tmp_path):
    return read_table(write_made_up_table(tmp_path / "made_up.csv"))


# --- worlds and searches ------------------------------------------------------------------------


def test_simulated_trainings_scatter_about_the_truth_by_the_standard_deviation_asked_for():
    world = simulate("interactions", 0.4, seed=0)
    off = 100 * (world.space.accuracies - world.truth[:, None])
    assert abs(off.mean()) < 4 * 0.4 / math.sqrt(off.size)
    assert off.std() == pytest.approx(0.4, rel=0.03)
    assert 100 * world.truth.std() == pytest.approx(TRUE_SD, rel=0.3)


@pytest.mark.parametrize(("shape", "is_additive"), [("additive", True), ("interactions", False)])
def test_a_simulated_truth_is_a_sum_over_stages_only_where_it_is_said_to_be(shape, is_additive):
    truth = simulate(shape, 0.2, seed=1).truth.reshape(5, 5, 5, 5)
    corner = truth[1, 2] - truth[0, 2] - truth[1, 0] + truth[0, 0]
    assert np.allclose(corner, 0, atol=1e-12) == is_additive


def test_a_table_is_searched_only_where_it_has_all_seeds(tmp_path):
    path = write_made_up_table(tmp_path / "t.csv")
    lines = path.read_text().splitlines()
    lines[5] = lines[5].rpartition(",")[0] + ","
    path.write_text("\n".join(lines) + "\n")
    world = restrict(read_table(path), num_seen=1)
    assert world.space.size == 80
    assert not np.isnan(world.space.accuracies).any()


@pytest.mark.parametrize("num_seen", [1, 2])
def test_no_training_is_seen_twice_and_none_of_those_that_judge_is_seen(table, num_seen):
    world = restrict(table, num_seen)
    made = search(world, "pareto", run=3, num_trials=25)
    seeds = world.space.accuracies.shape[1]
    assert made.held_back.shape == (world.space.size, seeds - num_seen)
    for row in np.unique(made.rows):
        seen = made.accuracies[made.rows == row].tolist()
        left = sorted([*seen, *made.held_back[row]])
        assert len(seen) <= num_seen
        assert set(left) <= set(world.space.accuracies[row])
        assert len(set(left)) == len(left)


def test_a_search_that_is_cut_off_is_the_one_that_was_shorter(table):
    world = restrict(table, 2)
    long, short = (search(world, "pareto", 0, count) for count in (16, 12))
    assert long.first(12).rows.tolist() == short.rows.tolist()
    assert long.first(12).accuracies.tolist() == short.accuracies.tolist()


# --- judging --------------------------------------------------------------------------------------


def test_simulated_searches_are_judged_by_the_truth_and_confirmed_by_unseen_seeds():
    world = simulate("additive", 0.2, seed=0)
    made = search(world, "random", 0, 30)
    frame = judge_search(made)
    assert frame["judged"].tolist() == (100 * world.truth[frame["row"]]).tolist()
    members = frame[frame["front"]]
    fresh = 100 * made.held_back[members["row"], :NUM_CONFIRM].mean(axis=1)
    assert members["confirmed"].to_numpy() == pytest.approx(fresh)
    assert frame.loc[~frame["front"], "confirmed"].isna().all()


def test_intervals_are_widened_just_where_seeds_judge(table):
    judged = judge_search(search(restrict(table, 1), "pareto", 0, 20))
    assert (judged["reach_high"] - judged["reach_low"] > judged["high"] - judged["low"]).all()
    true = judge_search(search(simulate("additive", 0.2, 0), "pareto", 0, 20))
    assert true["reach_low"].tolist() == true["low"].tolist()


def test_the_noise_of_held_back_means_is_that_of_the_table(table):
    # Its seeds have a standard deviation of 0.005; two of three are held back.
    judge = make_judge(search(restrict(table, 1), "random", 0, 4))
    assert judge.sds == pytest.approx(0.005 / math.sqrt(2), rel=0.15)
    assert judge.fresh.shape == (81, 1)


def test_fronts_are_those_of_pairwise_comparison():
    made = search(simulate("interactions", 0.4, 2), "pareto", 0, 30)
    frame = judge_search(made)
    for column, mark in (("mean", "plain_front"), ("estimate", "front"), ("judged", "true_front")):
        for one in frame.itertuples():
            other = frame[(frame["cost"] <= one.cost) & (frame[column] >= getattr(one, column))]
            beaten = (other["cost"] < one.cost) | (other[column] > getattr(one, column))
            assert getattr(one, mark) == (not beaten.any())


def test_intervals_mostly_hold_the_truth_where_no_candidate_has_a_second_seed():
    """Also where a fifth of the variance is each network's own, which looks like noise.

    Were seeds expected to matter little, their noise would be taken for interactions: the sd found
    would be 0.65 of the true one, and of the intervals 77 % would hold the truth.
    """
    covered, ratios = [], []
    for shape, seed_sd in (("rough", 0.2), ("rough", 0.4), ("interactions", 0.2)):
        for run in range(2):
            frame = judge_search(search(simulate(shape, seed_sd, run), "random", run, 50))
            covered.append(frame["judged"].between(frame["low"], frame["high"]).mean())
            ratios.append(frame["noise_sd"].iloc[0] / seed_sd)
    assert np.mean(covered) > 0.84
    assert 0.75 < np.exp(np.mean(np.log(ratios))) < 1.35


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
    [(0.95, 0.01, "met"), (0.92, 0.006, "open"), (0.9, 0.01, "not met"), (0.99, 0.015, "open")],
)
def test_a_target_within_two_errors_is_open(value, error, verdict):
    assert Measurement("", "", value, error, 0.93, 0.97).verdict == verdict


def test_a_figure_without_target_has_no_verdict_and_one_without_data_says_so():
    assert Measurement("", "", 0.5, 0.1).verdict == ""
    assert Measurement("", "", math.nan, math.nan, 0.9).verdict == "no data"


# --- claims ---------------------------------------------------------------------------------------


def test_at_the_boundary_no_claim_is_true():
    for claim, difference in boundary_cases():
        assert not claim.region.holds(difference / 100)
        inside = [claim.region.holds((difference + step) / 100) for step in (-0.01, 0.01)]
        assert sum(inside) == 1


def test_claims_at_the_edge_are_supported_as_often_as_the_level_of_two_tests_allows():
    # One-sided at 0.025: of 6 pairs a sign-flip test rejects one of 64 patterns, and t agrees
    # nearly always where all signs are equal.
    noise = np.random.default_rng(0).normal(0, CLAIM_SD, 20_000)
    claim, difference = boundary_cases()[0]
    share, error = false_verdicts(claim, difference, (noise, noise), 6, 2_000)
    assert 1 / 64 - 4 * error < share < 0.025 + 4 * error


def test_with_three_pairs_nothing_is_supported():
    noise = np.random.default_rng(0).normal(0, CLAIM_SD, 1_000)
    for claim, difference in boundary_cases():
        assert false_verdicts(claim, difference, (noise, noise), 3, 50)[0] == 0


# --- the whole ------------------------------------------------------------------------------------


def test_every_number_is_printed_and_written_with_the_candidates_that_it_rests_on(
    table, tmp_path, capsys
):
    output = tmp_path / "out"
    effort = Effort(
        runs=2, trainings=(10, 14), claims=20, shapes=("additive",), seed_sds=(0.4,), pairs=(6,)
    )
    measure_all([table], effort, output)
    lines = capsys.readouterr().out.splitlines()
    with (output / "measurements.csv").open(newline="") as file:
        measured = list(csv.DictReader(file))
    assert len(lines) == len(measured)
    assert {row["group"] for row in measured} == {
        "normal noise",
        "left-skewed a noise",
        "made_up noise",
        *(
            f"{group}, {trainings} trainings"
            for group in (
                "simulated, random",
                "simulated, pareto",
                "tables, 1 seed",
                "tables, 2 seeds",
            )
            for trainings in (10, 14)
        ),
    }
    candidates = pd.read_csv(output / "candidates.csv")
    for row in measured:
        if row["name"] == "coverage, all candidates":
            group, _, trainings = row["group"].rpartition(", ")
            own = candidates[
                (candidates["group"] == group)
                & (candidates["trainings"] == int(trainings.split()[0]))
            ]
            inside = (own["reach_low"] <= own["judged"]) & (own["judged"] <= own["reach_high"])
            assert float(row["value"]) == pytest.approx(inside.mean())
            assert int(row["count"]) == len(own)
    assert (output / "reliability.png").read_bytes().startswith(b"\x89PNG")
    assert (output / "reliability.pdf").read_bytes().startswith(b"%PDF")
    bins = list_bins(pd.read_csv(output / "reliability.csv"))
    assert len(bins) == 4
    assert len(pd.read_csv(output / "reliability.csv"))
