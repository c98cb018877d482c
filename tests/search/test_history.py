"""Trials as arrays: sorted by their status, each group in the order of the trials."""

import dataclasses

import numpy as np
import pytest

from se_search.search.history import History, PastTrial


def trial(code, status, epochs=8, accuracy=None, replicate=0):
    return PastTrial(np.array([code, 0], np.int16), status, epochs, replicate, accuracy)


TRIALS = (
    trial(3, "finished", 8, 0.5),
    trial(1, "running", 4, replicate=7),
    trial(2, "failed", 2),
    trial(4, "finished", 4, 0.25, replicate=1_000_000),
    trial(5, "running"),
)


def history(trials=TRIALS):
    return History.of(trials, full_epochs=8, num_slots=2)


def test_each_group_is_in_the_order_of_the_trials():
    found = history()
    assert found.trainings.codes[:, 0].tolist() == [3, 4]
    assert found.trainings.accuracies.tolist() == [0.5, 0.25]
    assert found.running[:, 0].tolist() == [1, 5]
    assert found.failed[:, 0].tolist() == [2]


def test_budgets_are_the_epochs_of_what_finished_or_runs_with_the_full_ones_last():
    assert history().budgets == (4, 8)
    assert history([trial(0, "failed", 2)]).budgets == (8,)


def test_budgets_of_trials_are_positions_among_the_budgets():
    found = history()
    assert found.trainings.budgets.tolist() == [1, 0]
    assert found.running_budgets.tolist() == [0, 1]


def test_replicates_are_those_of_the_trials():
    found = history()
    assert found.trainings.replicates.tolist() == [0, 1_000_000]
    assert found.running_replicates.tolist() == [7, 0]


def test_a_history_of_nothing_has_empty_arrays_of_the_right_width():
    found = history([])
    assert found.running.shape == found.failed.shape == found.trainings.codes.shape == (0, 2)


def test_all_that_has_been_tried_is_in_one_set():
    assert history().tried == {t.codes.tobytes() for t in TRIALS}


def test_histories_of_equal_trials_are_equal():
    assert history().equals(history(list(TRIALS)))


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (0, {"accuracy": 0.6}),
        (0, {"epochs": 4}),
        (0, {"replicate": 1}),
        (1, {"epochs": 8}),
        (1, {"replicate": 6}),
        (2, {"codes": np.array([9, 0], np.int16)}),
        (4, {"status": "failed"}),
    ],
)
def test_histories_that_differ_in_one_trial_are_not_equal(place, change):
    trials = list(TRIALS)
    trials[place] = dataclasses.replace(trials[place], **change)
    assert not history().equals(history(trials))
