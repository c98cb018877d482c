"""What --candidate asks for: one parser for export, confirm and Python."""

import pytest
from support.made_up_fronts import DEAR, GOOD, PLAIN, SPACE, make_candidate, make_front

from se_search.errors import CandidateError, RunError
from se_search.report.selection import select_candidates

CHEAP = make_candidate("s3:4", 0.004, added=100, is_listed=False, probability_on_front=0.04)
FRONT = make_front(candidates=(PLAIN, GOOD, DEAR, CHEAP))


def select(text, front=FRONT, recommended="s2:4"):
    found = select_candidates(text, SPACE.backbone, lambda: front, lambda: recommended)
    return [candidate.placement for candidate in found]


@pytest.mark.parametrize(
    ("text", "placements"),
    [
        ("recommended", ["s2:4"]),
        ("best", ["s2:8 s4:16"]),
        ("front", ["no SE", "s2:4"]),
        ("all-credible", ["no SE", "s2:4", "s2:8 s4:16"]),
        ("s3:8", ["s3:8"]),
        ("net/stage3=standard:8", ["s3:8"]),
        ("no SE", ["no SE"]),
    ],
)
def test_a_word_or_a_text_means_its_candidates(text, placements):
    assert select(text) == placements


@pytest.mark.parametrize(
    ("text", "placement"),
    [
        ("params <= 3 %", "s2:4"),  # 4.04 % would be DEAR
        ("params<=0.2%", "s2:4"),
        ("params < 0.2 %", "s3:4"),
        ("params <= 0.05 %", "no SE"),
        ("params <= 104.04k", "s2:8 s4:16"),
        ("params <= 100150", "s3:4"),
        ("macs <= 1M", "no SE"),
        ("macs <= 0.05 %", "s2:4"),
        ("macs <= 0.03 %", "s3:4"),
    ],
)
def test_a_bound_means_the_best_within_it(text, placement):
    """SE adds 0.2, 4.04 and 0.1 % of 100,000 parameters, and twice as many of 1,000,000 MACs."""
    assert select(text) == [placement]


def test_a_bound_that_nothing_is_within_says_what_the_cheapest_costs():
    with pytest.raises(RunError, match="no trained candidate has params <= 99k; the cheapest"):
        select("params <= 99k")


def test_a_bound_on_another_cost_names_those_that_there_are():
    with pytest.raises(CandidateError, match=r"'param' \(did you mean params\?\) is not one of"):
        select("param <= 3 %")


@pytest.mark.parametrize(
    "text", ["params >= 3 %", "params <= x", "params <= -5 %", "latency <= 2ms"]
)
def test_a_bound_that_can_not_be_read_is_told_how_one_is_written(text):
    with pytest.raises(CandidateError, match="is no bound: it must be one of params, macs, then"):
        select(text)


@pytest.mark.parametrize("text", ["recomended", "s9:4", "fronts", "params = 3"])
def test_an_unknown_text_is_refused_with_what_is_allowed(text):
    with pytest.raises(CandidateError, match="allowed are recommended, best, front, all-credible"):
        select(text)


def test_a_mistyped_word_gets_the_nearest_one():
    with pytest.raises(CandidateError, match="did you mean recommended"):
        select("recomended")


def test_a_named_candidate_asks_for_no_front():
    def refuse():
        raise AssertionError("nothing is to be fitted")

    (found,) = select_candidates("s2:4", SPACE.backbone, refuse, refuse)
    assert found == SPACE.parse("s2:4")


@pytest.mark.parametrize("text", ["best", "front", "params <= 3 %"])
def test_a_run_without_trainings_has_nothing_to_choose_from(text):
    with pytest.raises(RunError, match=r"no full training|no trained candidate"):
        select(text, make_front(candidates=()))
