"""Verdicts on claims: how often they are wrong, and how often they are found, by simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from se_search.analysis.claims import Claim
from se_search.analysis.power import MAX_REPLICATES, fewest_replicates, power
from se_search.analysis.replicates import Replicates
from se_search.analysis.statistics import holm
from se_search.analysis.verdicts import judge, judge_all, p_values_of
from se_search.errors import RunError

BEATS = Claim("A", "beats", "B", 0.2)
HOLDS = Claim("A", "is not worse than", "B", 0.1)
EQUALS = Claim("A", "equals", "B", 0.1)
NOISE = np.array([-1.2, -0.7, -0.2, 0.3, 0.8, 1.0])  # mean 0
SD = 0.003
NUM_SIMULATED = 2_000


def replicates_of(differences):
    """Trainings of A and of B that differ by so much, in points."""
    differences = np.asarray(differences, float)
    seeds = tuple(range(len(differences)))
    return Replicates(seeds, 0.5 + differences / 100), Replicates(seeds, np.full(len(seeds), 0.5))


def judge_points(claim, differences, alpha=0.05):
    return judge(claim, *replicates_of(differences), alpha)


# Mean 0 and of about unit spread; the skew of the third is 1, that of the fourth -1.
DRAWS = {
    "normal": lambda rng, size: rng.normal(size=size),
    "heavy tails": lambda rng, size: rng.standard_t(3, size=size),
    "skewed to the right": lambda rng, size: rng.gamma(4, 0.5, size=size) - 2,
    "skewed to the left": lambda rng, size: 2 - rng.gamma(4, 0.5, size=size),
}


@pytest.mark.parametrize(
    ("claim", "mean", "word", "said"),
    [
        (Claim("A", "beats", "B"), 0.3, "supported", "A is superior to B:"),
        (Claim("A", "beats", "B"), -0.3, "refuted", "A does not beat B, it is worse:"),
        (Claim("A", "beats", "B"), 0.05, "undecided", "Undecided whether A beats B:"),
        (BEATS, 0.5, "supported", "A is superior to B by more than 0.2 points:"),
        (BEATS, 0.05, "refuted", "A does not beat B by 0.2 points:"),
        (BEATS, 0.25, "undecided", "Undecided whether A beats B by 0.2 points:"),
        (HOLDS, 0.1, "supported", "A is non-inferior to B, not worse by more than 0.1 points:"),
        (HOLDS, -0.3, "refuted", "A is inferior to B, worse by more than 0.1 points:"),
        (HOLDS, -0.05, "undecided", "Undecided whether A is non-inferior to B with a margin"),
        (EQUALS, 0.0, "undecided", "Undecided whether A and B are equivalent within 0.1 points:"),
        (EQUALS, 0.4, "refuted", "not equivalent within 0.1 points: A is better by more"),
        (EQUALS, -0.4, "refuted", "not equivalent within 0.1 points: A is worse by more"),
        (Claim("A", "equals", "B", 0.3), 0.02, "supported", "A and B are equivalent within 0.3"),
    ],
)
def test_the_word_and_the_sentence_follow_where_the_interval_lies(claim, mean, word, said):
    verdict = judge_points(claim, mean + 0.12 * NOISE)
    assert verdict.outcome == word
    assert said in verdict.sentence
    low, high = verdict.comparison.interval
    if word == "supported":
        assert claim.region.low < low < high < claim.region.high
    elif word == "refuted":
        assert any(region.low < low < high < region.high for region in claim.outside)
    else:
        assert not claim.region.low < low < high < claim.region.high


def test_a_sentence_gives_the_difference_its_interval_and_the_number_of_replicates():
    verdict = judge_points(Claim("se", "beats", "plain", top=5), 0.3 + 0.12 * NOISE)
    low, high = (100 * limit for limit in verdict.comparison.interval)
    assert verdict.sentence == (
        "se is superior to plain: the difference in top-5 is +0.30 points "
        f"(95 % interval {low:+.2f} to {high:+.2f}, 6 paired replicates, p = 0.031)."
    )


def test_an_undecided_sentence_never_says_that_there_is_no_difference():
    words = judge_points(Claim("A", "beats", "B"), 0.05 + 0.3 * NOISE).sentence
    assert "no difference" not in words
    assert "equal" not in words
    assert "equivalent" not in words
    assert "paired replicates decide with 80 % power" in words


def test_exchanging_the_sides_turns_a_support_of_beats_into_a_refutation():
    a, b = replicates_of(0.3 + 0.12 * NOISE)
    there, back = judge(Claim("A", "beats", "B"), a, b), judge(Claim("B", "beats", "A"), b, a)
    assert (there.outcome, back.outcome) == ("supported", "refuted")
    assert back.p.refute == there.p.support


def test_six_seeds_can_decide_and_five_never_can():
    assert judge_points(BEATS, np.full(6, 3.0) + 0.1 * NOISE).outcome == "supported"
    for claim in (BEATS, HOLDS, EQUALS):
        for mean in (-20.0, 0.0, 20.0):
            verdict = judge_points(claim, mean + 0.001 * NOISE[:5])
            assert verdict.outcome == "undecided"
            assert verdict.replicates_needed == 6
            assert "fewer than 6 paired replicates can never decide" in verdict.sentence


def test_p_is_twice_the_larger_of_both_one_sided_tests():
    differences = np.array([0.1, 0.5, -0.1, 0.6, 0.4, 0.9, 0.3])
    shifted = differences - 0.2
    t = stats.ttest_1samp(shifted, 0, alternative="greater").pvalue
    flips = stats.permutation_test(
        (shifted,), np.mean, permutation_type="samples", alternative="greater"
    ).pvalue
    assert p_values_of(BEATS, differences / 100).support == pytest.approx(2 * max(t, flips))


def test_equal_differences_at_the_margin_decide_nothing_with_any_number_of_replicates():
    verdict = judge_points(BEATS, np.full(8, 0.2))
    assert (verdict.outcome, verdict.replicates_needed) == ("undecided", None)
    assert "no number of replicates would decide" in verdict.sentence


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize(("claim", "margin"), [(BEATS, 0.002), (HOLDS, -0.001), (EQUALS, 0.001)])
def test_at_most_five_percent_are_wrong_at_the_margin_either_way(claim, margin, name):
    rng = np.random.default_rng(11)
    # sd 0.0004 puts the other margin of an equivalence out of the way: the worst case.
    simulated = margin + 0.0004 * DRAWS[name](rng, (NUM_SIMULATED, 6))
    weights = np.array([p_values_of(claim, differences) for differences in simulated])
    supported, refuted = (weights <= 0.05).mean(axis=0)
    assert supported <= 0.05
    assert refuted <= 0.05
    assert supported + refuted > 0.005  # or the test would be of no use


def test_normal_differences_are_wrong_in_at_most_half_of_alpha_each_way():
    rng = np.random.default_rng(12)
    for n in (8, 12):
        simulated = 0.002 + SD * rng.normal(size=(NUM_SIMULATED, n))
        weights = np.array([p_values_of(BEATS, differences) for differences in simulated])
        error = math.sqrt(0.025 * 0.975 / NUM_SIMULATED)
        assert ((weights <= 0.05).mean(axis=0) <= 0.025 + 2 * error).all()


@pytest.mark.parametrize("name", DRAWS)
def test_three_seeds_are_never_wrong_as_they_decide_nothing(name):
    rng = np.random.default_rng(13)
    simulated = 0.002 + SD * DRAWS[name](rng, (200, 3))
    for claim in (BEATS, HOLDS, EQUALS):
        assert min(min(p_values_of(claim, differences)) for differences in simulated) >= 0.25


@pytest.mark.parametrize(
    ("claim", "mean"),
    [
        (Claim("A", "beats", "B"), 0.4),
        (HOLDS, 0.28),
        (Claim("A", "equals", "B", 0.5), 0.02),
        (EQUALS, 0.55),
    ],
)
def test_so_many_seeds_as_needed_decide_in_about_80_percent(claim, mean):
    verdict = judge_points(claim, mean + 0.5 * NOISE)
    assert verdict.outcome == "undecided"
    n, sd = verdict.replicates_needed, verdict.comparison.sd
    rng = np.random.default_rng(15)
    simulated = mean / 100 + sd * rng.normal(size=(600, n))
    decided = [min(p_values_of(claim, differences)) <= 0.05 for differences in simulated]
    assert 0.76 <= np.mean(decided) <= 0.88


def test_one_seed_less_than_needed_has_not_the_power():
    verdict = judge_points(EQUALS, 0.02 + 0.2 * NOISE)
    comparison = verdict.comparison
    powers = [
        power(EQUALS.region, comparison.difference, comparison.sd, verdict.replicates_needed + more)
        for more in (-1, 0)
    ]
    assert powers[0] < 0.8 <= powers[1]


def test_more_seeds_than_anybody_trains_are_said_to_be_more_than_that():
    verdict = judge_points(Claim("A", "beats", "B"), 0.001 + NOISE)
    assert verdict.replicates_needed > MAX_REPLICATES
    assert "more than 10,000 paired replicates" in verdict.sentence


def test_decided_claims_need_no_more_seeds():
    assert judge_points(BEATS, 0.5 + 0.1 * NOISE).replicates_needed is None


def test_a_family_of_one_has_the_words_of_the_claim_itself():
    for mean in (-0.3, 0.05, 0.3):
        verdict = judge_points(Claim("A", "beats", "B"), mean + 0.12 * NOISE)
        assert verdict.family_outcome == verdict.outcome
        assert verdict.num_claims == 1


def test_both_words_are_reported_and_the_familys_is_stricter():
    strong = replicates_of(np.linspace(0.2, 0.5, 8))
    weak = replicates_of(np.array([-0.05, 0.1, 0.2, 0.3, 0.3, 0.4, 0.5, 0.2]) - 0.05)
    claims = [(Claim("A", "beats", "B"), *strong), *[(Claim("C", "beats", "D"), *weak)] * 3]
    verdicts = judge_all(claims)
    assert [verdict.outcome for verdict in verdicts] == ["supported"] * 4
    assert [verdict.family_outcome for verdict in verdicts] == ["supported"] + ["undecided"] * 3
    supports = [verdict.p.support for verdict in verdicts]
    assert [verdict.p_family.support for verdict in verdicts] == holm(supports)
    assert {verdict.num_claims for verdict in verdicts} == {4}


@pytest.mark.parametrize(("num_claims", "n"), [(1, 6), (2, 7), (10, 9)])
def test_a_family_can_be_decided_from_the_fewest_seeds_on(num_claims, n):
    assert fewest_replicates(num_claims) == n
    for count, word in ((n, "supported"), (n - 1, "undecided")):
        pair = replicates_of(np.linspace(2, 2.1, count))
        verdicts = judge_all([(Claim("A", "beats", "B"), *pair)] * num_claims)
        assert {verdict.family_outcome for verdict in verdicts} == {word}


def test_too_few_common_seeds_are_refused_with_the_claim():
    one = Replicates((1,), np.array([0.9]))
    with pytest.raises(RunError, match=r"claim 'A beats B by 0.2': .* in common \[1\]"):
        judge(BEATS, one, one)


def test_an_alpha_that_is_none_is_refused():
    with pytest.raises(RunError, match="alpha 5 is not between"):
        judge_points(BEATS, NOISE, alpha=5)
