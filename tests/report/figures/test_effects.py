"""The figure of effects shows each by its gain over no SE, and whether it may be 0."""

from support.figures import check_texts, words_of

from se_search.analysis.effects import Effect
from se_search.report.figures.effects import draw_effects, prepare_effects
from se_search.report.figures.forest import Bar

SURE = Effect(
    *("slot", "stage3", "any SE", "no SE"),
    gain=-0.5,
    low=-0.75,
    high=-0.25,
    p=0.001,
    holds=True,
    num_candidates=9,
    num_trainings=1_200,
    cost_pct=1.5,
)
UNSURE = Effect("width", "stage3", "width 4", "no SE", gain=0.25, low=-0.25, high=0.75, p=0.4)
UNKNOWN = Effect("width", "stage3", "width 8", "no SE", reason="why")
OTHER = Effect("slot", "stage4", "width 16", "width 8", gain=0.1, low=-0.1, high=0.3, p=1.0)
PAIR = Effect("interaction", "stage2 x stage3", "SE in both", "sum of gains", gain=0.1)
MATCHED = Effect("place at equal cost", "stage2", "SE in stage2", "in stage3", gain=0.1)


def prepare(**families):
    return prepare_effects(families, "a title", "a note")


def test_what_holds_is_filled_and_what_may_be_zero_is_hollow():
    forest = prepare(gains=[SURE, UNSURE])
    sure, unsure = forest.rows
    assert sure.estimates == (Bar(-0.5, -0.75, -0.25), None)
    assert unsure.estimates == (None, Bar(0.25, -0.25, 0.75))
    assert [series.is_filled for series in forest.series] == [True, False]
    assert (forest.zero, forest.axis) == ("no SE", "difference in accuracy (points)")


def test_an_effect_that_is_not_known_is_told_and_not_drawn():
    (row,) = prepare(gains=[UNKNOWN]).rows
    assert row.estimates == (None, None)
    assert row.texts[0] == "not known"


def test_rows_say_gain_interval_cost_and_trainings():
    assert prepare(gains=[SURE]).rows[0].texts == ("−0.50 (−0.75 to −0.25)", "1.50", "1,200")


def test_a_slot_is_named_once_and_another_reference_is_said():
    rows = prepare(gains=[SURE, UNSURE, OTHER]).rows
    assert [row.group for row in rows] == ["stage3", "", "stage4"]
    assert [row.name for row in rows] == ["any SE", "width 4", "width 16 (against width 8)"]


def test_families_stand_below_their_headings_and_empty_ones_are_left_out():
    forest = prepare(gains=[SURE], pairs=[PAIR], none=[], matched=[MATCHED])
    assert [section.heading for section in forest.sections] == ["gains", "pairs", "matched"]
    assert [row.name for row in forest.rows[1:]] == [
        "stage2 × stage3",
        "stage2, not stage3",
    ]


def test_all_of_it_can_be_drawn():
    figure = draw_effects(prepare(gains=[SURE, UNSURE, UNKNOWN, OTHER] * 5, pairs=[PAIR]))
    check_texts(figure)
    assert {"a title", "a note", "gains", "may be 0", "stage2 × stage3"} <= set(words_of(figure))


def test_without_effects_there_is_a_figure_that_says_so():
    assert "nothing to compare yet" in words_of(draw_effects(prepare(gains=[])))
