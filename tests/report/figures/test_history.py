"""The figure of a history draws the medians and the ends that the history has."""

from itertools import pairwise

import numpy as np
import pytest
from support.made_up_pages import HISTORY

from se_search.report.figures.history import draw_history, prepare_history


@pytest.fixture(scope="module")
def axes():
    return draw_history(prepare_history(HISTORY)).axes[-1]


def test_each_curve_has_the_medians_in_points(axes):
    lines = {line.get_label(): line for line in axes.lines}
    for name, field in (("this search", "found"), ("candidates at random", "at_random")):
        medians = [100 * getattr(point, field).median for point in HISTORY.points]
        assert np.allclose(lines[name].get_ydata(), medians)
        assert list(lines[name].get_xdata()) == [p.num_trainings for p in HISTORY.points]
        assert lines[name].get_drawstyle() == "steps-post"


def test_bands_reach_to_the_ends_of_the_intervals(axes):
    _, found = (band.get_paths()[0].vertices[:, 1] for band in axes.collections)
    assert found.max() == pytest.approx(100 * max(p.found.high for p in HISTORY.points))
    assert found.min() == pytest.approx(100 * min(p.found.low for p in HISTORY.points))


def test_times_are_added_up_in_a_unit_that_the_axis_names():
    shown = prepare_history(HISTORY, "time")
    unit = {"hours": 3600, "minutes": 60, "seconds": 1}[shown.axis.rpartition("(")[2][:-1]]
    assert np.allclose(np.array(shown.xs) * unit, [p.seconds for p in HISTORY.points])
    assert all(before <= after for before, after in pairwise(shown.xs))
