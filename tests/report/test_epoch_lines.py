"""Lines about the epochs of long trainings: one a minute, and none of short ones."""

from se_search.record import EpochRow
from se_search.report.epoch_lines import EpochLines


def tell(*rows):
    """Return the lines that epochs give, each told as ``(epoch, seconds)`` of 40."""
    said = []
    lines = EpochLines(said.append)
    for epoch, seconds in rows:
        lines.update("s2:4 (replicate 7)", EpochRow(epoch, 40, 0.5, 0.4, 0.8125, seconds))
    return said


def test_a_line_is_said_each_minute_of_a_training():
    said = tell(*((epoch, 25.0 * epoch) for epoch in range(1, 8)))
    assert said == [
        "s2:4 (replicate 7) epoch 3 of 40, 81.25 %, 15 min left",
        "s2:4 (replicate 7) epoch 6 of 40, 81.25 %, 14 min left",
    ]


def test_the_last_epoch_is_not_told_for_the_training_has_ended():
    assert tell((39, 50.0), (40, 70.0)) == []


def test_a_training_that_begins_anew_is_silent_for_a_minute_again():
    said = tell((10, 70.0), (1, 30.0), (2, 65.0))
    assert [line.split(" of ")[0] for line in said] == [
        "s2:4 (replicate 7) epoch 10",
        "s2:4 (replicate 7) epoch 2",
    ]
