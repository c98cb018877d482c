"""The figure of the front: its prepared values, and the artists that show them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.figures import check_texts, lines_of, points_of, shown_texts, words_of
from support.made_up_fronts import DEAR, GOOD, LEAVE, NOTHING, PLAIN, PUT, make_front
from support.records import make_record

from se_search.analysis.pareto import summarize
from se_search.report.figures.front_points import MAX_NAMED, prepare_front
from se_search.report.figures.pareto_front import draw_front
from se_search.report.figures.style import TWO_COLUMNS, text_width
from se_search.surrogate.posterior_front import PosteriorCandidate, Step

COSTS = ("params", "macs")


def means_of(records, costs=("params",)):
    """Return a front without a model, on which an accuracy is told as the gain."""
    candidates = [
        PosteriorCandidate(
            summary,
            gain=summary.accuracy,
            **dict.fromkeys(("gain_sd", "low", "high", "probability_better")),
            probability_on_front=None,
            on_front=summary.on_front,
            is_listed=summary.on_front,
            is_plain=False,
            is_better=False,
        )
        for summary in summarize(records, ("accuracy", *costs))
    ]
    return make_front(
        NOTHING, candidates=candidates, reason="there is no model", recommended_key=None
    )


def front_of(accuracies, name="s2:16", step=1):
    """Return trials that are all on the front, each dearer than the one before."""
    return [
        make_record(f"{name} {index}", accuracy, params=100 + step * index, macs=2_000 + index)
        for index, accuracy in enumerate(accuracies)
    ]


def scattered(number):
    return [
        make_record(f"s2:{i}", 0.5 + 0.4 * math.sin(i), params=100 + i * 37 % 101, seed=i)
        for i in range(number)
    ]


def modelled(credible):
    """Return a front with a made-up posterior: intervals, probabilities, a band in params."""
    candidates = tuple(
        replace(
            each,
            low=each.gain - 0.01,
            high=each.gain + 0.02,
            probability_on_front=0.9 if each.on_front else 0.1 * (index % 2),
        )
        for index, each in enumerate(credible.candidates)
    )
    costs = sorted({each.summary.params for each in candidates})
    band = tuple(Step(float(c), 0.9, 0.88 + n / 1e4, 0.95 + n / 1e4) for n, c in enumerate(costs))
    return replace(credible, candidates=candidates, reason=None, attainment={"params": band})


def unlisted(credible):
    return [each for each in credible.credible_set if not each.is_listed]


def prepare(records, costs=("params",), title="a title"):
    return prepare_front(means_of(records, costs), costs, title)


def plots_of(figure):
    """Return the axes of the panels, from left to right."""
    return figure.axes


@pytest.mark.parametrize("costs", [("params",), ("macs",), COSTS])
@pytest.mark.parametrize("number", [0, 1, 2, 200])
def test_there_is_a_panel_for_each_cost_with_its_name_and_unit(costs, number):
    figure = draw_front(prepare(scattered(number), costs))
    check_texts(figure)
    assert figure.get_figwidth() == TWO_COLUMNS
    names = {"params": "parameters", "macs": "MACs for one image"}
    assert len(plots_of(figure)) == len(costs)
    for axes, cost in zip(plots_of(figure), costs, strict=True):
        assert axes.get_xlabel().startswith(names[cost])
    assert plots_of(figure)[0].get_ylabel() == "gain over the plain network (points)"


def test_without_trials_the_figure_says_so():
    figure = draw_front(prepare([]))
    assert "no complete trial yet" in words_of(figure)
    assert points_of(plots_of(figure)[0], "front") == []


def test_candidates_are_split_into_front_credible_and_others():
    credible = modelled(means_of(scattered(40)))
    prepared = prepare_front(credible, ("params",), "")
    (panel,) = prepared.panels
    assert panel.members == tuple((c.summary.params, 100 * c.gain) for c in credible.front)
    assert set(panel.credible) == {(c.summary.params, 100 * c.gain) for c in unlisted(credible)}
    assert len(panel.others) == 40 - len(panel.members) - len(panel.credible)
    (axes,) = plots_of(draw_front(prepared))
    assert tuple(points_of(axes, "front")) == panel.members
    assert tuple(points_of(axes, "credible")) == panel.credible
    assert tuple(points_of(axes, "others")) == panel.others


def test_the_kinds_of_candidates_differ_in_shape_or_filling_too():
    (axes,) = plots_of(
        draw_front(prepare_front(modelled(means_of(scattered(40))), ("params",), ""))
    )
    looks = {}
    for line in axes.get_lines():
        if line.get_label() in ("front", "credible", "others"):
            is_hollow = line.get_markerfacecolor() in ("white", "none")
            looks[line.get_label()] = (line.get_marker(), is_hollow)
    assert len(looks) == len(set(looks.values())) == 3


def test_the_staircase_climbs_through_the_front_and_runs_to_the_edge():
    (axes,) = plots_of(draw_front(prepare(front_of([0.5, 0.7, 0.8]))))
    (steps,) = lines_of(axes, "staircase")
    assert steps[:3] == [(100, 50.0), (101, 70.0), (102, 80.0)]
    assert steps[3] == (pytest.approx(axes.get_xlim()[1]), 80.0)


def test_with_a_second_cost_the_staircase_passes_above_a_member_that_the_other_cost_saves():
    records = [
        make_record("a", 0.7, params=100, macs=3_000),
        make_record("b", 0.6, params=200, macs=2_000),
        make_record("c", 0.8, params=300, macs=4_000),
    ]
    params, macs = plots_of(draw_front(prepare(records, COSTS)))
    assert [y for _, y in lines_of(params, "staircase")[0]] == [70.0, 70.0, 80.0, 80.0]
    assert [y for _, y in lines_of(macs, "staircase")[0]] == [60.0, 70.0, 80.0, 80.0]
    assert len(points_of(params, "front")) == 3


def test_a_member_has_a_bar_from_end_to_end_of_its_interval():
    credible = modelled(means_of(front_of([0.5, 0.7])))
    (axes,) = plots_of(draw_front(prepare_front(credible, ("params",), "")))
    bars = [segment for c in axes.collections for segment in getattr(c, "get_segments", list)()]
    ends = [tuple(np.round(segment[:, 1], 9)) for segment in bars]
    assert ends == [(49.0, 52.0), (69.0, 72.0)]


def test_a_member_whose_interval_is_not_known_has_no_bar():
    (axes,) = plots_of(draw_front(prepare(front_of([0.5, 0.7]))))
    assert not [c for c in axes.collections if hasattr(c, "get_segments")]


def test_the_band_spans_the_interval_of_the_best_accuracy_at_each_cost():
    credible = modelled(means_of(scattered(9)))
    prepared = prepare_front(credible, ("params",), "")
    (axes,) = plots_of(draw_front(prepared))
    (band,) = [c for c in axes.collections if c.get_label() == "band"]
    corners = {tuple(np.round(vertex, 6)) for vertex in band.get_paths()[0].vertices}
    for cost, low, high in prepared.panels[0].band:
        assert {(round(cost, 6), round(low, 6)), (round(cost, 6), round(high, 6))} <= corners
    assert max(high for *_, high in prepared.panels[0].band) <= prepared.y_range[1]


@pytest.mark.parametrize("accuracy", [0.0, 0.1, 0.87, 1.0])
def test_equal_accuracies_and_costs_can_be_drawn(accuracy):
    figure = draw_front(prepare([make_record(f"s2:{i}", accuracy) for i in range(5)]))
    check_texts(figure)
    assert len(points_of(plots_of(figure)[0], "front")) == 5


CROWDED = {
    "spread out": [0.5 + 0.01 * i for i in range(40)],
    "near the bottom": [0.5 + 1e-5 * i for i in range(39)] + [0.99],
    "near the top": [0.1] + [0.9 + 1e-5 * i for i in range(39)],
    "in two places": [0.1 + 1e-5 * i for i in range(20)] + [0.9 + 1e-5 * i for i in range(20)],
    "few": [0.5 + 1e-5 * i for i in range(12)],
}


@pytest.mark.parametrize("costs", [("params",), COSTS])
@pytest.mark.parametrize("where", CROWDED)
def test_every_member_has_its_number_in_each_panel_and_no_text_lies_on_another(where, costs):
    prepared = prepare(front_of(CROWDED[where]), costs)
    figure = draw_front(prepared)
    check_texts(figure)
    for axes in plots_of(figure):
        numbers = [text.get_text() for text in axes.texts]
        assert numbers == [str(n) for n in range(1, len(CROWDED[where]) + 1)]


def in_one_place():
    """Return the figure of a front whose members lie in one place, but for one."""
    records = [make_record(f"s2:{i}", 0.5 + 1e-4 * i, params=10_000 + i) for i in range(30)]
    return draw_front(prepare([*records, make_record("far", 0.9, params=90_000)]))


def test_numbers_of_members_that_lie_in_one_place_are_still_apart():
    figure = in_one_place()
    check_texts(figure)
    assert len(plots_of(figure)[0].texts) == 31


def test_no_line_to_a_number_has_the_colour_of_the_front():
    (axes,) = plots_of(in_one_place())
    (front,) = [line for line in axes.get_lines() if line.get_label() == "front"]
    leaders = [line for line in axes.get_lines() if line.get_label() == "leader"]
    assert len(leaders) > 10
    assert front.get_color() not in {leader.get_color() for leader in leaders}


@pytest.mark.parametrize("number", [3, MAX_NAMED, MAX_NAMED + 1, 40])
def test_at_most_ten_members_are_named_and_the_note_says_where_the_others_are(number):
    prepared = prepare(front_of([0.5 + 0.01 * i for i in range(number)]))
    named = [member.name for member in prepared.members if member.is_named]
    words = words_of(draw_front(prepared))
    assert len(named) == min(number, MAX_NAMED)
    assert set(named) <= set(words)
    assert "rows of pareto.csv" in prepared.note
    assert (f"{MAX_NAMED} of the {number} listed are named" in prepared.note) == (
        number > MAX_NAMED
    )


def test_the_likeliest_members_are_named():
    credible = means_of(front_of([0.5 + 0.01 * i for i in range(15)]))
    candidates = tuple(
        replace(each, probability_on_front=abs(index - 7) / 10)
        for index, each in enumerate(credible.candidates)
    )
    prepared = prepare_front(replace(credible, candidates=candidates), ("params",), "")
    numbers = [member.number for member in prepared.members if not member.is_named]
    assert numbers == [6, 7, 8, 9, 10]


def test_long_names_are_cut_and_lie_on_nothing():
    records = front_of([0.5 + 0.01 * i for i in range(12)], name=20 * "s3.1-2:identity16 ")
    figure = draw_front(prepare(records, title="a long title " * 30))
    check_texts(figure)
    assert sum(word.startswith("s3.1-2") and word.endswith("…") for word in words_of(figure)) == 10


@pytest.mark.parametrize(
    ("low", "high", "label", "is_logarithmic"),
    [
        (1, 2, "parameters", False),
        (152_194, 201_000, "parameters (thousands)", False),
        (25_557_032, 25_557_100, "parameters (millions)", False),
        (25_557_032, 28_071_976, "parameters (millions)", False),
        (100, 2_000_000, "parameters", True),
        (1_000, 4_000_000_000_000, "parameters", True),
        (3_000_000_000, 3_100_000_000, "parameters (billions)", False),
    ],
)
@pytest.mark.parametrize("costs", [("params",), COSTS])
def test_costs_of_every_size_have_an_axis_that_can_be_read(low, high, label, is_logarithmic, costs):
    records = [make_record("a", 0.5, params=low), make_record("b", 0.6, params=high)]
    prepared = prepare([replace(r, added_params=r.params - low) for r in records], costs)
    figure = draw_front(prepared)
    check_texts(figure)
    axes = plots_of(figure)[0]
    assert axes.get_xlabel() == label
    assert (axes.get_xscale() == "log") == is_logarithmic
    assert len({tick.get_text() for tick in axes.get_xticklabels() if tick.get_text()}) >= 2
    unit = prepared.panels[0].unit
    assert points_of(axes, "front") == [(low / unit, 50.0), (high / unit, 60.0)]


def test_the_upper_axis_says_what_se_adds_to_the_plain_network():
    records = [make_record("a", 0.5, params=50), make_record("b", 0.6, params=100)]  # 50 plain
    (axes,) = plots_of(draw_front(prepare(records)))
    (above,) = axes.child_axes
    ticks = {
        label.get_text(): x
        for x, label in zip(above.get_xticks(), above.get_xticklabels(), strict=True)
    }
    assert above.get_xlabel() == "added parameters (%)"
    assert ticks["0"] == 50
    assert ticks["100"] == 100


def test_a_few_bad_candidates_do_not_squash_the_picture_and_are_counted():
    good = [make_record(f"good{i}", 0.02 + 0.0002 * i, params=100 + i) for i in range(95)]
    bad = [make_record(f"bad{i}", -0.5, params=500) for i in range(4)]
    prepared = prepare(good + bad)
    assert -1 < prepared.y_range[0] < 0
    assert 3.8 < prepared.y_range[1] < 5
    assert prepared.num_below == 4
    assert "4 candidates lie below the axis" in prepared.note


def test_a_bad_candidate_on_the_front_is_in_the_picture():
    good = [make_record(f"good{i}", 0.02, params=100 + i) for i in range(99)]
    assert prepare([*good, make_record("cheap", -0.3, params=60)]).y_range[0] < -30


@pytest.mark.parametrize("gains", [[-0.02, -0.01], [0.01, 0.02]])
def test_the_plain_network_is_a_line_at_zero_that_is_in_the_picture(gains):
    prepared = prepare(front_of(gains))
    low, high = prepared.y_range
    assert low < 0 < high
    figure = draw_front(prepared)
    (axes,) = plots_of(figure)
    assert {y for _, y in points_of(axes, "zero")} == {0.0}
    assert "plain network" in words_of(figure)


@pytest.mark.parametrize(("decision", "starred"), [(PUT, GOOD), (LEAVE, PLAIN), (NOTHING, None)])
def test_the_candidate_of_an_answer_is_a_star(decision, starred):
    (axes,) = plots_of(draw_front(prepare_front(make_front(decision), ("params",), "")))
    points = [] if starred is None else [(starred.summary.params / 1e3, 100 * starred.gain)]
    assert points_of(axes, "taken") == points


def test_numbers_are_rows_of_the_front_also_where_some_are_not_listed():
    hidden = replace(GOOD, is_listed=False)
    front = make_front(NOTHING, candidates=(PLAIN, hidden, replace(DEAR, is_listed=True)))
    prepared = prepare_front(front, ("params",), "")
    assert [(member.number, member.name) for member in prepared.members] == [
        (1, "no SE"),
        (3, "s2:8 s4:16"),
    ]
    (axes,) = plots_of(draw_front(prepared))
    assert [text.get_text() for text in axes.texts] == ["1", "3"]
    assert len(lines_of(axes, "staircase")[0]) == 4  # the whole front, and the edge


def test_that_nothing_is_proven_stands_in_the_note():
    front = make_front(NOTHING, unproven="all trainings are of one replicate")
    note = prepare_front(front, ("params",), "").note
    assert "Nothing is proven: all trainings are of one replicate." in note


@settings(max_examples=40)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=50))
def test_the_range_holds_the_whole_front_and_all_but_a_twentieth(gains):
    records = [make_record(str(i), a, params=100 + i % 7) for i, a in enumerate(gains)]
    prepared = prepare(records)
    low, high = prepared.y_range
    assert all(low < member.gain < high for member in prepared.members)
    assert prepared.num_below == sum(100 * gain < low for gain in gains)
    assert prepared.num_below <= len(gains) / 20


def test_the_key_gives_estimate_interval_and_probability_of_each_named_member():
    prepared = prepare_front(modelled(means_of(front_of([0.5, 0.7]))), ("params",), "")
    words = words_of(draw_front(prepared))
    assert {"s2:16 0", "s2:16 1", "+50.0 (49.0 to 52.0)", "+70.0 (69.0 to 72.0)", "0.90"} <= set(
        words
    )


def test_numbers_lie_above_the_dots_not_on_them():
    figure = draw_front(prepare(front_of(CROWDED["spread out"])))
    (axes,) = plots_of(figure)
    dots = axes.transData.transform(points_of(axes, "front"))
    numbers = [box for box in shown_texts(figure) if box[0] in {t.get_text() for t in axes.texts}]
    for text, left, bottom, right, top in numbers:
        inside = (dots > (left, bottom)).all(axis=1) & (dots < (right, top)).all(axis=1)
        assert not inside.any() or text_width(text) > right - left
