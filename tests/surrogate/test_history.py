"""The history of a run: against the front at its end, brute force, and a search of everything."""

import json
from dataclasses import replace

import numpy as np
import pytest
from support.made_up_trainings import OBJECTIVES, SPACE, make_trainings, records_of

from se_search.surrogate.coded_trainings import Question
from se_search.surrogate.fit_front import fit_front
from se_search.surrogate.history import MAX_TRACED, History, _measure, trace_history

QUESTION = Question(OBJECTIVES, 4)


@pytest.fixture(scope="module")
def records():
    trainings, _, costs = make_trainings(13, 50)
    return records_of(trainings, costs)


@pytest.fixture(scope="module")
def front(records):
    return fit_front(records, SPACE, QUESTION)


@pytest.fixture(scope="module")
def history(records, front):
    return trace_history(records, SPACE, QUESTION, front.kernels)


def test_at_its_end_the_search_has_found_the_hypervolume_of_the_front(front, history):
    last, whole = history.points[-1].found, front.hypervolume
    width = whole.high - whole.low
    assert last.median == pytest.approx(whole.median, abs=0.15 * width)
    assert last.low == pytest.approx(whole.low, abs=0.25 * width)


def test_more_trainings_never_find_less(history):
    for name in ("found", "at_random"):
        medians = [getattr(point, name).median for point in history.points]
        assert np.diff(medians).min() > -1e-12


def test_points_run_from_the_first_training_to_the_last_with_their_time(history, records):
    counts = [point.num_trainings for point in history.points]
    assert (counts[0], counts[-1]) == (1, len(records))
    assert counts == sorted(set(counts))
    assert [point.seconds for point in history.points] == [float(count) for count in counts]


def test_controls_alone_have_found_nothing_and_so_has_a_random_search(history):
    early = [point for point in history.points if point.num_trainings <= 4]
    assert {point.found.high for point in early} == {0.0}
    assert {point.at_random.high for point in early} == {0.0}


def test_the_gap_is_known_once_there_can_be_a_model(history):
    known = [point.num_trainings for point in history.points if point.gap is not None]
    assert known == [point.num_trainings for point in history.points if point.num_trainings >= 8]


def test_the_last_gap_is_about_that_of_the_run(history, front):
    assert history.points[-1].gap == pytest.approx(front.settled.gap, rel=0.5)


def test_failed_and_running_trials_are_no_part_of_it(records, front, history):
    more = [
        *records,
        replace(records[0], number=90, state="FAIL", accuracy=None),
        replace(records[0], number=91, state="RUNNING", accuracy=None),
    ]
    assert trace_history(more, SPACE, QUESTION, front.kernels) == history


def test_of_very_many_trainings_the_history_is_not_traced(records, front):
    many = [replace(records[0], number=number) for number in range(MAX_TRACED + 1)]
    assert trace_history(many, SPACE, QUESTION, front.kernels) is None


def test_without_a_model_there_is_no_history(records):
    assert trace_history(records, SPACE, QUESTION, ()) is None


def test_a_history_is_read_back_as_it_was(history):
    assert History.from_json(json.loads(json.dumps(history.to_json()))) == history


def test_the_average_best_gain_is_that_counted_cell_by_cell():
    rng = np.random.default_rng(0)
    logs = np.array([0.0, 0.25, 0.5, 0.875, 1.0])
    gains = rng.normal(0, 1, (6, 5))
    middles = (np.arange(8) + 0.5) / 8
    expected = [np.mean([max(0.0, *draw[logs <= middle]) for middle in middles]) for draw in gains]
    found = _measure(np.exp(logs), gains, np.exp(logs))
    assert found == pytest.approx(np.array(expected))
