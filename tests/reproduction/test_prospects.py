"""What a plan can find out: which claims it decides, and what it is told by and refused for."""

import math

import numpy as np
import pytest
from support.studies import study_file

from se_search.analysis.claims import Claim
from se_search.analysis.power import power
from se_search.analysis.replicates import Replicates
from se_search.analysis.sequential import LookPlan
from se_search.reproduction.prospects import (
    Noise,
    assume_noise,
    foresee,
    measure_noise,
    suppose_difference,
)
from se_search.reproduction.study_file import PaperFigures

FIGURES = {
    "a": PaperFigures(top1_error=22.0, top5_error=6.0),
    "b": PaperFigures(top1_error=23.0),
}


def foresee_claims(texts, sd=0.004, last=20, **figures):
    figures = {name: {"top1_error": error} for name, error in figures.items()}
    paper = {"source": "made up", "network": "a net", "figures": figures}
    study = study_file(paper=paper, claims=texts)
    noise = {1: Noise(sd, "made up"), 5: Noise(sd / 10, "made up")}
    claims = [Claim.parse(text) for text in texts]
    return foresee(study, claims, LookPlan.until(last), noise)


@pytest.mark.parametrize(
    ("text", "difference"),
    [
        ("a beats b", 0.01),
        ("b equals a within 0.3", -0.01),
        ("a beats b in top-5", None),  # the paper has no top-5 error of b
        ("a beats c", None),
        ("a is not worse than c by more than 0.1", 0.0),
    ],
)
def test_the_papers_difference_is_supposed_or_none_within_a_margin(text, difference):
    assert suppose_difference(Claim.parse(text), FIGURES) == difference


def test_a_difference_below_the_detectable_one_leaves_its_claim_undecided():
    found = foresee_claims(["all beats none", "first beats none"], none=10, all=9.7, first=9.65)
    assert 0.003 < found.detectable < 0.0035
    assert [prospect.is_hopeless for prospect in found.prospects] == [True, False]
    (hopeless,) = found.hopeless
    assert power(hopeless.claim.region, 0.003, 0.004, hopeless.needed) >= 0.8
    assert hopeless.needed > 20
    assert not found.decides_nothing


def test_a_claim_that_the_paper_contradicts_can_be_refuted():
    found = foresee_claims(["none beats all"], none=10, all=9)
    assert found.prospects[0].power > 0.99


def test_no_number_of_replicates_decides_what_lies_at_its_margin():
    found = foresee_claims(["all equals none within 0.3"], none=10, all=9.7)
    assert (found.prospects[0].power, found.prospects[0].needed) == (0, None)


def test_a_plan_decides_nothing_if_each_claim_is_likely_to_stay_undecided():
    texts = ["all beats none", "first is not worse than all by more than 0.1"]
    assert foresee_claims(texts, none=10, all=9.9).decides_nothing
    assert not foresee_claims(texts, none=10, all=9).decides_nothing


def test_a_claim_of_unknown_size_is_no_reason_to_refuse_a_plan():
    assert not foresee_claims(["all beats first"], none=10).decides_nothing


def test_fewer_replicates_than_any_test_needs_decide_nothing():
    found = foresee_claims(["all beats none"], last=5, none=50, all=1)
    assert found.detectable == math.inf
    assert found.decides_nothing
    assert not foresee_claims(["all beats none"], last=6, none=50, all=1).decides_nothing


def replicates(accuracies):
    return Replicates(tuple(range(len(accuracies))), np.asarray(accuracies))


def test_the_noise_of_finished_trainings_is_the_root_mean_square_over_pairs():
    """Differences of sd 0.02 and 0.04 by hand; the third candidate has too few replicates."""
    up, down = [0.52, 0.48] * 3, [0.54, 0.46] * 3
    scale = math.sqrt(6 / 5)  # n - 1 in the denominator
    by_name = {
        "none": replicates([0.5] * 6),
        "a": replicates(up),
        "b": replicates(down),
        "c": replicates([0.9, 0.1] * 2),
    }
    pairs = [("a", "none"), ("none", "a"), ("b", "none"), ("c", "none"), ("none", "none")]
    noise = measure_noise(pairs, {1: by_name, 5: {}})
    assert set(noise) == {1}
    assert noise[1].sd == pytest.approx(scale * math.sqrt((0.02**2 + 0.04**2) / 2))
    assert noise[1].source == "measured on 2 pairs of networks in up to 6 replicates"


def test_without_trainings_the_noise_is_assumed_and_the_assumption_is_said():
    noise = assume_noise("imagenet", 50_000)
    assert noise[1].sd == pytest.approx(math.sqrt(0.233 / 50_000))
    assert "23.3 % of the 50,000 test images" in noise[1].source
    assert assume_noise("digits", 360)[1].sd == pytest.approx(math.sqrt(0.1 / 360))
