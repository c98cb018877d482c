"""Estimates of what a whole search takes, from the trials so far."""

from dataclasses import replace

from support.records import make_record

from se_search.record import Progress
from se_search.report.estimate import Estimates, foretell_trainings

HOUR = 3600.0


def make_trial(number, wall_seconds, device_seconds=None, state="COMPLETE"):
    return replace(
        make_record("a", 0.8, state=state),
        number=number,
        attempts=1,
        wall_seconds=wall_seconds,
        device_seconds=wall_seconds if device_seconds is None else device_seconds,
    )


def tell(trials, total=100, num_workers=2, earlier=()):
    """Return what is said after each trial."""
    said = []
    estimates = Estimates(earlier, num_workers, lambda estimate: said.append(str(estimate)))
    after = []
    for number, trial in enumerate(trials, len(earlier) + 1):
        before = len(said)
        estimates.update(Progress(total, number, 0, 0, None, 0, changed=trial))
        after.append(said[before:])
    return after


def test_the_first_estimate_comes_after_two_trials_more_than_train_at_a_time():
    after = tell([make_trial(number, HOUR, HOUR / 2) for number in range(6)])
    assert after[:3] == [[], [], []]
    assert after[3] == [
        "By 4 trials so far, 100 trials take about 2 days with 2 at a time, and 50 "
        "device-hours; about 2 days are left"
    ]
    assert after[4:] == [[], []]


def test_failed_trials_and_all_their_attempts_count():
    trials = [make_trial(0, HOUR), make_trial(1, HOUR), make_trial(2, 5 * HOUR, state="FAIL")]
    (text,) = tell(trials, total=10, num_workers=1)[-1]
    assert "23.3 h with 1 at a time, and 23 device-hours; about 16.3 h are left" in text


def test_it_is_said_again_only_if_it_changes_by_more_than_a_half():
    first = [make_trial(number, 10.0) for number in range(4)]
    assert tell([*first, make_trial(4, 34.0)])[-1] == []  # 14.8 seconds a trial
    (text,) = tell([*first, make_trial(4, 36.0)])[-1]  # 15.2
    assert text.startswith("By 5 trials so far")


def test_trials_of_earlier_commands_count_at_once():
    earlier = [make_trial(number, HOUR) for number in range(10)]
    (text,) = tell([make_trial(3, HOUR, state="RUNNING")], earlier=earlier)[0]
    assert text.startswith("By 10 trials so far")


def test_nothing_is_said_when_nothing_is_left_or_nothing_is_known():
    trials = [make_trial(number, HOUR) for number in range(4)]
    assert tell(trials, total=4)[-1] == []
    assert tell([make_record("a", 0.8)] * 9)[-1] == []


def test_a_program_gets_the_numbers_of_the_sentence():
    said = []
    estimates = Estimates([make_trial(number, 30.0, 20.0) for number in range(4)], 2, said.append)
    estimates.update(Progress(100, 4, 0, 0, None, 0))
    event = said[0].to_json()
    assert (event["event"], event["num_known"], event["total"]) == ("estimate", 4, 100)
    assert event["seconds"] == 100 * 30.0 / 2
    assert event["seconds_left"] == 96 * 30.0 / 2
    assert event["device_seconds"] == 100 * 20.0


def test_trainings_of_a_confirmation_take_what_trials_of_their_epochs_took():
    short = replace(make_trial(0, 1.0), epochs=1)
    full = [replace(make_trial(number, 20.0 + number), epochs=4) for number in (1, 2, 3)]
    found = foretell_trainings([short, *full], 4, total=48, at_a_time=2)
    assert found.seconds == found.seconds_left == 48 * 22.0 / 2
    assert str(found) == (
        "By 3 trials of the search, 48 trainings take about 9 min with 2 at a time, and 0.29 "
        "device-hours"
    )
    assert foretell_trainings([short], 4, total=48, at_a_time=2) is None


def test_a_few_seconds_of_devices_are_not_told_in_hours():
    (known,) = [replace(make_trial(1, 6.0), epochs=4)]
    assert "24 device-seconds" in str(foretell_trainings([known], 4, total=4, at_a_time=2))


def test_with_supernets_it_is_the_whole_budget_that_is_estimated():
    said = []
    estimates = Estimates([make_trial(number, 30.0) for number in range(4)], 1, said.append)
    known = {"num_supernets": 1, "supernets_worth": 12.0}
    estimates.update(Progress(90, 4, 0, 0, None, 0, **known))
    (told,) = said
    assert "90 trainings' worth take about 45 min" in str(told)
    assert (told.total, told.seconds_left) == (90, (90 - 4 - 12) * 30.0)
