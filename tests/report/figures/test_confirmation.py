"""The figure of a confirmation shows gains over the plain network."""

from dataclasses import replace

import pytest
from support.figures import check_texts, words_of

from se_search.analysis.confirmation import (
    EVERYWHERE,
    FRONT,
    PLAIN,
    Confirmation,
    Confirmed,
    Gain,
)
from se_search.analysis.confirming import Stated
from se_search.analysis.sequential import LookPlan
from se_search.report.figures.confirmation import draw_confirmation, prepare_confirmation
from se_search.report.figures.forest import Bar
from se_search.store.confirmations import Round


def confirmed(placement, params, *roles, **changes):
    return Confirmed(
        candidate=f"net/{placement}",
        key=placement,
        placement=placement,
        roles=roles,
        params=params,
        added_params=params - 100,
        added_params_pct=float(params - 100),
        macs=1,
        added_macs=0,
        search_accuracy=0.9,
        search_replicates=1,
        num_replicates=3,
        accuracy=0.9,
        **{"test_accuracy": 0.88} | changes,
    )


NO_SE = confirmed("no SE", 100, PLAIN)
BETTER = replace(
    confirmed("s2:4", 102, FRONT),
    search_gain=0.025,
    search_low=0.01,
    search_high=0.04,
    gain=Gain(0.01, 3, -0.005, 0.025),
    test_gain=Gain(-0.0025, 3, -0.01, 0.005),
)
ONE_SEED = replace(confirmed("s5:16", 105, FRONT), gain=Gain(0.01, 1), test_gain=Gain(0.02, 1))
ALL = replace(confirmed("s2:2 s5:16", 109, EVERYWHERE), gain=Gain(0.0, 3))


def make_round(*candidates, seeds=(5, 6, 7)):
    result = Confirmation(tuple(candidates), (), None, 0.002, 0.002, 9, 0)
    stated = Stated(LookPlan((8,)), (), ())
    asked = {"started": "", "asked_for": ("front",), "chosen": (), "num_trials": 9}
    return Round(
        **asked,
        stated=stated,
        seeds=seeds,
        epochs=4,
        num_images=(10, 10),
        reads_test=True,
        result=result,
    )


def test_a_row_has_differences_to_the_plain_network_in_points():
    (row,) = prepare_confirmation(make_round(NO_SE, BETTER)).rows
    search, validation, test = row.estimates
    assert (search.value, search.low, search.high) == pytest.approx((2.5, 1.0, 4.0))
    assert validation == Bar(1.0, -0.5, 2.5)
    assert test == Bar(-0.25, -1.0, 0.5)
    assert row.texts == ("−0.25 (−1.00 to +0.50)", "3", "2.00")


def test_the_plain_network_is_the_line_at_zero_and_its_accuracies_are_said():
    forest = prepare_confirmation(make_round(NO_SE, BETTER))
    assert forest.zero == "no SE"
    assert forest.axis == "gain in accuracy over the plain network (points)"
    assert "90.00 % on validation and 88.00 % on test images" in forest.note


def test_before_the_first_look_there_is_no_interval():
    (row,) = prepare_confirmation(make_round(NO_SE, ONE_SEED, seeds=(5,))).rows
    assert row.estimates[1:] == (Bar(1.0), Bar(2.0))


def test_what_the_search_has_not_trained_has_no_difference_there():
    (row,) = prepare_confirmation(make_round(NO_SE, ALL)).rows
    assert row.estimates[0] is None
    unsearched = replace(NO_SE, search_accuracy=None)
    forest = prepare_confirmation(make_round(unsearched, BETTER))
    assert "the search has not trained it" in forest.note


def test_roles_are_marked_and_explained():
    forest = prepare_confirmation(make_round(NO_SE, BETTER, ALL))
    assert [row.name for row in forest.rows] == ["s2:4 *", "s2:2 s5:16 e"]
    assert "* listed by the search, e SE everywhere" in forest.note


def test_without_a_plain_network_the_figure_says_why_it_is_empty():
    untrained = replace(NO_SE, accuracy=None, test_accuracy=None)
    for candidates in ((untrained, replace(BETTER, gain=None)), ()):
        figure = draw_confirmation(prepare_confirmation(make_round(*candidates)))
        assert any("No training of the plain network" in word for word in words_of(figure))


def test_candidates_with_no_common_replicate_are_told():
    forest = prepare_confirmation(make_round(NO_SE, replace(BETTER, gain=None)))
    assert "No other candidate has a training in one of its replicates" in forest.note


@pytest.mark.parametrize("count", [1, 40])
def test_any_number_of_candidates_can_be_drawn(count):
    candidates = [replace(BETTER, placement="s2:4 s3.1-2:identity16 " * 4)] * count
    figure = draw_confirmation(prepare_confirmation(make_round(NO_SE, *candidates)))
    check_texts(figure)
    assert {"fresh replicates, validation images", "fresh replicates, test images"} <= set(
        words_of(figure)
    )
