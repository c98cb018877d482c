"""The picture of the front: what can be told from its pixels, and its scales."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.made_up_trainings import SPACE, record_of
from support.records import make_record

from se_search.analysis.pareto import summarize
from se_search.report.figures.pareto_front import (
    BAND_OPACITY,
    CANDIDATE,
    FRONT,
    LABEL_WIDTH,
    PANEL_HEIGHT,
    PANEL_WIDTH,
    _accuracy_range,
    describe_estimate,
    draw_front,
    tick_values,
)
from se_search.surrogate.posterior_front import fit_front, plain_front


def means_of(records, costs=("params",)):
    """Return the front of plain means."""
    return plain_front(summarize(records, ("accuracy", *costs)), "there is no model")


def draw(folder, records, costs=("params",), title="a title", credible=None):
    """Return the picture as an array of height x width x RGB."""
    path = folder / "front.png"
    draw_front(path, records, credible or means_of(records, costs), costs, title)
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def front_of_accuracies(accuracies, placement="s2:16"):
    """Return trials that are all on the front, each dearer than the one before."""
    return [
        make_record(f"{placement} {index}", accuracy, params=100 + index, macs=2_000 + index)
        for index, accuracy in enumerate(accuracies)
    ]


def scattered(number):
    return [
        make_record(f"s2:{i}", 0.5 + 0.4 * math.sin(i), params=100 + i * 37 % 101, seed=i)
        for i in range(number)
    ]


def pixels_of(picture, color):
    """Return the rows and columns of the pixels of this color, or nearly so at a dot's edge."""
    return np.nonzero((abs(picture - color) <= 24).all(axis=2))


def label_rows(picture):
    """Return the first and last pixel row of each line of text right of the plot."""
    is_inked = (picture[:, PANEL_WIDTH + 46 :] < 160).all(axis=2).any(axis=1).astype(int)
    edges = np.diff(is_inked, prepend=0, append=0)
    return list(zip(np.nonzero(edges == 1)[0], np.nonzero(edges == -1)[0] - 1, strict=True))


@pytest.mark.parametrize("costs", [("params",), ("macs",), ("params", "macs")])
@pytest.mark.parametrize("number", [0, 1, 2, 300])
def test_there_is_a_panel_for_each_cost(tmp_path, number, costs):
    picture = draw(tmp_path, scattered(number), costs)
    assert picture.shape == (PANEL_HEIGHT * len(costs), PANEL_WIDTH + LABEL_WIDTH, 3)
    for panel in np.split(picture, len(costs)):
        assert len(pixels_of(panel, FRONT)[0]) > 0 or number == 0


def test_without_trials_there_is_no_front(tmp_path):
    picture = draw(tmp_path, [])
    assert len(pixels_of(picture, FRONT)[0]) == 0
    assert len(pixels_of(picture, (34, 34, 34))[0]) > 0


def test_only_the_picture_is_left_in_the_folder(tmp_path):
    draw(tmp_path, scattered(3))
    draw(tmp_path, scattered(4))
    assert [path.name for path in tmp_path.iterdir()] == ["front.png"]


def test_a_worse_and_dearer_candidate_is_drawn_below_and_to_the_right(tmp_path):
    records = [make_record("good", 0.9, params=100), make_record("bad", 0.5, params=200)]
    picture = draw(tmp_path, records)
    front_rows, front_columns = pixels_of(picture, FRONT)
    other_rows, other_columns = pixels_of(picture, CANDIDATE)
    assert other_rows.min() > front_rows.max()
    assert other_columns.min() > front_columns.min() + 100


def test_candidates_stand_in_proportion_to_their_cost_and_accuracy(tmp_path):
    beaten = [(0.5, 200), (0.6, 300), (0.9, 500)]
    records = [make_record(f"{params}", accuracy, params=params) for accuracy, params in beaten]
    picture = draw(tmp_path, [make_record("best", 0.95, params=100), *records])
    rows, columns = pixels_of(picture[:, :PANEL_WIDTH], CANDIDATE)
    dots = np.split(np.argsort(columns), np.nonzero(np.diff(np.sort(columns)) > 1)[0] + 1)
    (x0, y0), (x1, y1), (x2, y2) = [(columns[dot].mean(), rows[dot].mean()) for dot in dots]
    assert (y0 - y1) / (y0 - y2) == pytest.approx((0.6 - 0.5) / (0.9 - 0.5), abs=0.01)
    assert (x1 - x0) / (x2 - x0) == pytest.approx((300 - 200) / (500 - 200), abs=0.01)


@pytest.mark.parametrize("accuracy", [0.0, 0.1, 0.87, 1.0])
def test_equal_accuracies_and_costs_can_be_drawn(tmp_path, accuracy):
    records = [make_record(f"s2:{i}", accuracy) for i in range(5)]
    assert len(label_rows(draw(tmp_path, records))) == 1 + 5


CROWDED = {
    "spread out": [0.5 + 0.01 * i for i in range(40)],
    "near the bottom": [0.5 + 1e-5 * i for i in range(39)] + [0.99],
    "near the top": [0.1] + [0.9 + 1e-5 * i for i in range(39)],
    "in two places": [0.1 + 1e-5 * i for i in range(20)] + [0.9 + 1e-5 * i for i in range(20)],
    "few, near the bottom": [0.5 + 1e-5 * i for i in range(15)] + [0.99],
}


@pytest.mark.parametrize("where", CROWDED)
def test_every_member_of_the_front_has_a_line_of_text_inside_the_picture(tmp_path, where):
    records = front_of_accuracies(CROWDED[where])
    assert len(means_of(records).front) == len(records)
    picture = draw(tmp_path, records)
    rows = label_rows(picture)
    assert len(rows) == 1 + len(records)  # a heading
    assert rows[-1][1] < len(picture) - 10


def test_the_labels_of_two_panels_do_not_mix(tmp_path):
    records = front_of_accuracies(CROWDED["near the bottom"])
    picture = draw(tmp_path, records, costs=("params", "macs"))
    assert [len(label_rows(panel)) for panel in np.split(picture, 2)] == [41, 41]


def test_a_long_name_ends_inside_the_picture(tmp_path):
    picture = draw(tmp_path, front_of_accuracies([0.5], placement=40 * "s3.1-2:identity16 "))
    assert (picture[:, -4:] == 255).all()
    assert (picture[:, -40:] < 160).any()


def test_the_text_of_a_label_tells_candidates_apart(tmp_path):
    one, other = (draw(tmp_path, front_of_accuracies([0.5], name)) for name in ("s2:16", "s3:8"))
    assert (one[:, PANEL_WIDTH + 46 :] != other[:, PANEL_WIDTH + 46 :]).any()


def noisy(number, noise=0.02):
    """Return trainings of which only their noise is known, so that there is a model."""
    rng = np.random.default_rng(0)
    return [
        replace(
            record_of(i % 9, 0.8 + noise * rng.standard_normal(), params=100 + i % 9, seed=i // 9),
            number=i,
        )
        for i in range(number)
    ]


def test_the_band_is_shaded_and_holds_the_front(tmp_path):
    records = noisy(27)
    credible = fit_front(records, SPACE, ("accuracy", "params"), 4)
    picture = draw(tmp_path, records, credible=credible)[:, :PANEL_WIDTH]
    shaded = (1 - BAND_OPACITY) * 255 + BAND_OPACITY * np.array(FRONT)
    band, columns = np.nonzero((abs(picture - shaded) <= 3).all(axis=2))
    front, _ = pixels_of(picture, FRONT)
    assert len(band) > 10_000
    assert columns.min() > 72
    assert band.min() <= np.median(front) <= band.max()
    without = draw(tmp_path, records)[:, :PANEL_WIDTH]
    assert (abs(without - shaded) <= 3).all(axis=2).sum() == 0


def test_a_member_has_a_bar_as_long_as_its_interval(tmp_path):
    records = [make_record("s2:4", 0.8 + d, seed=i) for i, d in enumerate((-0.01, 0, 0.01))]
    credible = means_of(records)
    (member,) = credible.front
    rows, _ = pixels_of(draw(tmp_path, records)[84:-60, :PANEL_WIDTH], FRONT)
    height = PANEL_HEIGHT - 84 - 60
    low, high = _accuracy_range(credible.candidates, credible.front, 81)
    wanted = height * 100 * (member.high - member.low) / (high - low)
    assert rows.max() - rows.min() == pytest.approx(wanted, abs=4)


@pytest.mark.parametrize(
    ("low", "high", "text"), [(0.79, 0.83, "81.00 ± 2.00"), (None, None, "81.00")]
)
def test_an_estimate_is_written_with_half_its_interval(low, high, text):
    (candidate,) = means_of([make_record("a", 0.81)]).candidates
    assert describe_estimate(replace(candidate, low=low, high=high)) == text


def accuracy_range(records):
    credible = means_of(records)
    best = max(100 * candidate.estimate for candidate in credible.candidates)
    return _accuracy_range(credible.candidates, credible.front, best)


def test_a_few_bad_candidates_do_not_squash_the_picture():
    good = [make_record(f"good{i}", 0.86 + 0.0002 * i, params=100 + i) for i in range(95)]
    bad = [make_record(f"bad{i}", 0.1, params=500) for i in range(5)]
    low, high = accuracy_range(good + bad)
    assert 85 < low < 86
    assert 87.8 < high < 89


def test_a_bad_candidate_on_the_front_is_in_the_picture():
    good = [make_record(f"good{i}", 0.86, params=100 + i) for i in range(99)]
    low, _ = accuracy_range([*good, make_record("cheap", 0.1, params=60)])
    assert low < 10


@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_the_range_holds_the_whole_front_and_all_but_a_twentieth(accuracies):
    records = [make_record(str(i), a, params=100 + i % 7) for i, a in enumerate(accuracies)]
    low, high = accuracy_range(records)
    assert all(low < 100 * candidate.estimate < high for candidate in means_of(records).front)
    assert sum(100 * accuracy < low for accuracy in accuracies) <= len(accuracies) / 20


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (-3, 3, [-3, -2, -1, 0, 1, 2, 3]),
        (86.96, 88.14, [87, 87.2, 87.4, 87.6, 87.8, 88]),
        (154_000, 171_000, [155_000, 160_000, 165_000, 170_000]),
        (25_557_032, 28_071_976, [26_000_000, 26_500_000, 27_000_000, 27_500_000, 28_000_000]),
    ],
)
def test_ticks_of_known_ranges(low, high, ticks):
    assert tick_values(low, high) == pytest.approx(ticks)


@given(st.floats(-1e12, 1e12), st.floats(-6, 12), st.integers(2, 12))
def test_ticks_are_round_numbers_that_ascend_inside_the_range(low, exponent, num_ticks):
    span = max(10**exponent, abs(low) * 1e-4)
    ticks = tick_values(low, low + span, num_ticks)
    assert num_ticks / 2.5 - 1 <= len(ticks) <= num_ticks + 1
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in ticks)
    for step in np.diff(ticks):
        power = 10.0 ** math.floor(math.log10(step) + 1e-6)
        round_step = power * round(step / power)
        assert round(step / power) in (1, 2, 5)
        assert [tick / round_step for tick in ticks] == pytest.approx(
            [round(tick / round_step) for tick in ticks], abs=1e-6
        )
