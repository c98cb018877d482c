"""The figure of a study shows its gains with intervals, and the paper's beside them."""

import pytest
from support.figures import check_texts, words_of

from se_search.report.figures.forest import Bar
from se_search.report.figures.study import StudyGain, draw_study, prepare_study

WITH_PAPER = StudyGain("all", 8.831, -0.36, -0.66, -0.05, paper=1.02)
WITHOUT = StudyGain("stage5", 5.383, -0.45, -0.70, -0.20, paper=None)


def prepare(*gains):
    return prepare_study(gains, "SE in one stage", "no SE", "net on data, 9 seeds", "SE-ResNet-50")


def test_gains_have_intervals_and_the_paper_stands_beside_them():
    forest = prepare(WITH_PAPER, WITHOUT)
    assert [row.name for row in forest.rows] == ["all", "stage5"]
    assert forest.rows[0].estimates == (Bar(-0.36, -0.66, -0.05), Bar(1.02))
    assert forest.rows[1].estimates == (Bar(-0.45, -0.70, -0.20), None)
    assert forest.rows[0].texts == ("−0.36 (−0.66 to −0.05)", "+1.02", "8.83")
    assert forest.axis == "gain in top-1 accuracy over no SE (points)"


def test_where_the_paper_has_nothing_it_is_not_mentioned():
    forest = prepare(WITHOUT)
    assert [series.label for series in forest.series] == ["net on data, 9 seeds, 95 % intervals"]
    assert forest.rows[0].texts == ("−0.45 (−0.70 to −0.20)", "5.38")


@pytest.mark.parametrize("count", [0, 1, 25])
def test_any_number_of_candidates_can_be_drawn(count):
    figure = draw_study(prepare(*[WITH_PAPER] * count))
    check_texts(figure)
    assert ("paper: SE-ResNet-50" in words_of(figure)) == (count > 0)
