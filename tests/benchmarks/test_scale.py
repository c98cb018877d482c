"""What the benchmark of large runs measures with, against closed forms and what is stored."""

import numpy as np
import pytest

from benchmarks.made_up_runs import MadeUpNetworks, write_run
from benchmarks.scale_comparisons import value_of_front
from benchmarks.timed_loop import MINUTES, draw_seconds
from se_search.store.trials import read_records

NETWORKS = MadeUpNetworks(1)


def test_a_front_is_worth_the_true_gains_of_whom_it_names_averaged_over_the_cost():
    costs, truth = np.array([0.0, 2.0, 1.0, 4.0]), np.array([0.0, 0.5, 0.3, 0.1])
    assert value_of_front(costs, truth, truth) == pytest.approx((0.0 + 0.3 + 2 * 0.5) / 4)
    wrong = np.array([0.0, 0.5, 0.3, 0.9])  # the dearest one ends at the end of the costs
    assert value_of_front(costs, wrong, truth) == pytest.approx((0.0 + 0.3 + 2 * 0.5) / 4)
    assert value_of_front(costs, np.array([0.9, 0.5, 0.3, 0.1]), truth) == 0.0


def test_trainings_take_between_ten_and_thirty_minutes():
    seconds = [draw_seconds(number) for number in range(2_000)]
    low, high = MINUTES
    assert min(seconds) >= 60 * low
    assert max(seconds) <= 60 * high
    assert np.mean(seconds) == pytest.approx(60 * (low + high) / 2, rel=0.03)


def test_a_made_up_run_is_stored_with_its_accuracies_and_controls(tmp_path):
    records = read_records(write_run(tmp_path / "run", NETWORKS, 12).database)
    trainings = NETWORKS.draw_trainings(12)
    assert [record.accuracy for record in records] == trainings.accuracies.tolist()
    assert [record.seed for record in records if record.role == "control"][:8] == [*range(8)]
    codes = NETWORKS.space.codes_of(NETWORKS.space.parse(records[-1].candidate))
    assert codes.tolist() == trainings.codes[-1].tolist()


def test_accuracies_are_gains_levels_likings_and_noise_as_large_as_measured():
    codes = NETWORKS.allowed.draw_codes(3_000, np.random.default_rng(5))
    replicates = np.zeros(len(codes), np.int64)
    rest = NETWORKS.train(codes, replicates) - NETWORKS.gains(codes)
    again = NETWORKS.train(codes, replicates, first=len(codes)) - NETWORKS.gains(codes)
    noise = (rest - again).std() / np.sqrt(2)
    assert 100 * noise == pytest.approx(0.45, rel=0.05)
    assert 100 * NETWORKS.gains(codes).std() == pytest.approx(0.2, rel=0.1)
