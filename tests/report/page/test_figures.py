"""The interactive figures show the values that they are prepared from, and no mark-up of names."""

import json
from dataclasses import replace

import plotly.offline
import pytest
from support.made_up_fronts import make_effect
from support.made_up_pages import EFFECTS, FRONT, HISTORY, make_round
from support.pages import ROOT

from se_search.report.effects import shown_effects
from se_search.report.figures.confirmation import prepare_confirmation
from se_search.report.figures.effects import prepare_effects
from se_search.report.figures.front_points import prepare_front
from se_search.report.page.figures.forest import draw_forest
from se_search.report.page.figures.front import draw_front
from se_search.report.page.figures.history import draw_certainty, draw_found
from se_search.report.page.figures.places import draw_places
from se_search.report.page.palette import DARK
from se_search.report.places import list_places

PLANTED = "<script>alert(1)</script><img src=x onerror=alert(2)>"
FOREST = prepare_effects(shown_effects(EFFECTS), "", "")


def traces(figure):
    return {trace.name: trace for trace in figure.data if trace.name}


def ends(bars, values):
    """Return the ends of error bars about values."""
    return [
        (value - below, value + above)
        for value, below, above in zip(values, bars.arrayminus, bars.array, strict=True)
    ]


def test_the_front_has_a_point_for_each_listed_candidate_at_its_gain_and_added_cost():
    figure = draw_front(prepare_front(FRONT, ("params",), ""))
    taken, listed = traces(figure)["the answer"], traces(figure)["front"]
    assert list(taken.x) == pytest.approx([0.2])
    assert list(taken.y) == pytest.approx([0.62])
    assert ends(taken.error_y, taken.y) == [pytest.approx((0.31, 0.93))]
    assert (list(listed.x), list(listed.y)) == ([0.0], [0.0])


def test_a_cost_each_has_a_panel_of_the_front():
    figure = draw_front(prepare_front(FRONT, ("params", "macs"), ""))
    assert figure.layout.xaxis.title.text == "added parameters (%)"
    assert figure.layout.xaxis2.title.text == "added MACs (%)"
    assert {trace.xaxis for trace in figure.data} == {"x", "x2"}
    assert figure.layout.xaxis.domain[1] < figure.layout.xaxis2.domain[0]


def test_the_band_of_the_front_goes_on_to_the_end_of_the_axis():
    figure = draw_front(prepare_front(FRONT, ("params",), ""))
    band = traces(figure)["best gain, 95 %"]
    assert list(band.y) == pytest.approx([0.0, 0.9, 0.9])
    assert band.x[-1] == max(traces(figure)["plain network"].x)


def test_without_a_full_training_the_front_says_so():
    figure = draw_front(prepare_front(replace(FRONT, candidates=()), ("params",), ""))
    assert not figure.data
    assert "no full training" in figure.layout.annotations[0].text


def test_places_stand_in_the_order_of_the_network_each_with_its_verdict():
    figure = draw_places(list_places(EFFECTS.main))
    assert figure.layout.xaxis.categoryarray == ("stage 2", "stage 3", "stage 4")
    assert {t.x: (t.marker.symbol, *ends(t.error_y, t.y)) for t in figure.data} == {
        ("stage 2",): ("triangle-up", pytest.approx((0.35, 0.75))),
        ("stage 3",): ("triangle-down", pytest.approx((-0.5, -0.3))),
        ("stage 4",): ("circle", pytest.approx((-0.25, 0.35))),
    }


def test_a_slot_of_which_one_level_is_known_is_told_by_that_level():
    places = list_places((make_effect("stage2", 0.1, 0.2, level="width 4"),))
    assert [each.place for each in places] == ["stage 2, width 4"]


@pytest.mark.parametrize("forest", [FOREST, prepare_confirmation(make_round())])
def test_a_forest_has_each_difference_of_its_rows_with_its_interval(forest):
    figure = draw_forest(forest)
    for index, series in enumerate(forest.series):
        bars = [row.estimates[index] for row in forest.rows if row.estimates[index]]
        trace = traces(figure)[series.label]
        assert [x for x in trace.x if x is not None] == [bar.value for bar in bars]
        assert ends(trace.error_x, [bar.value for bar in bars]) == [
            pytest.approx(
                (
                    bar.value if bar.low is None else bar.low,
                    bar.value if bar.high is None else bar.high,
                )
            )
            for bar in bars
        ]


def test_on_a_narrow_screen_names_stand_above_the_marks_of_a_forest():
    figure = draw_forest(FOREST)
    narrow = figure.layout.meta["narrow"]
    assert narrow["yaxis.showticklabels"] is False
    assert narrow["height"] > figure.layout.height
    texts = " ".join(each["text"] for each in narrow["annotations"])
    assert all(row.name in texts and row.texts[0] in texts for row in FOREST.rows)


def test_the_history_is_drawn_against_trainings_or_time_in_points():
    found = traces(draw_found(HISTORY))
    assert list(found["this search"].x) == [4, 100, 200]
    assert list(found["this search"].y) == pytest.approx([0.1, 0.4, 0.5])
    assert list(found["candidates at random"].y) == pytest.approx([0.1, 0.2, 0.3])
    timed = draw_found(HISTORY, "time")
    assert timed.layout.xaxis.title.text == "time of trainings, added up (minutes)"
    assert list(traces(timed)["this search"].x) == pytest.approx([0.4, 10, 20])


def test_certainty_begins_where_it_is_known_and_shows_the_tolerance():
    figure = draw_certainty(HISTORY)
    gap = traces(figure)["what may be missed"]
    assert (list(gap.x), list(gap.y)) == ([100, 200], pytest.approx([0.5, 0.14]))
    assert list(traces(figure)["settled below 0.2 points"].y) == pytest.approx([0.2, 0.2])


def test_names_in_figures_are_text():
    """Plotly reads a few tags in texts; an escaped sign is none."""
    member = replace(prepare_front(FRONT, ("params",), "").members[0], name=PLANTED)
    prepared = replace(prepare_front(FRONT, ("params",), ""), members=(member, member))
    rows = replace(FOREST.rows[0], name=PLANTED, group=PLANTED, texts=(PLANTED,) * 3)
    section = replace(FOREST.sections[0], heading=PLANTED, rows=(rows,))
    places = [replace(each, place=PLANTED) for each in list_places(EFFECTS.main)]
    for figure in (
        draw_front(prepared),
        draw_forest(replace(FOREST, sections=(section,))),
        draw_places(places),
    ):
        text = figure.to_json()
        decoded = json.loads(text)
        assert "&lt;script&gt;" in json.dumps(decoded)
        assert "<script" not in json.dumps(decoded)
        assert "<img" not in json.dumps(decoded)


def test_every_colour_of_a_figure_has_a_dark_one():
    for figure in (
        draw_front(prepare_front(FRONT, ("params",), "")),
        draw_places(list_places(EFFECTS.main)),
        draw_forest(FOREST),
        draw_forest(prepare_confirmation(make_round())),
        draw_found(HISTORY),
        draw_certainty(HISTORY),
    ):
        colors = {part[:7] for part in figure.to_json().split('"') if part.startswith("#")}
        assert colors <= set(DARK)


def test_the_scripts_that_draw_are_of_the_version_that_plotly_makes_figures_for():
    scripts = ROOT / "se_search" / "report" / "page" / "static" / "plotly-basic.min.js"
    head = scripts.read_text(encoding="utf-8")[:200]
    assert f"v{plotly.offline.get_plotlyjs_version()}" in head
