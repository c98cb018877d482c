"""Scores of rungs on their way into the accuracy model."""

import numpy as np
import pytest
from support.made_up_kernels import FOUR
from support.made_up_trainings import FACTORS, SPACE
from support.scored_designs import list_scores

from se_search.errors import RungError
from se_search.surrogate.coded_trainings import Encoder, code_scores
from se_search.surrogate.scores import MemberSpread, RungScores, choose_scores, observe_scores

CODES = np.indices((4, 4, 4, 4)).reshape(4, -1).T.astype(np.int16)


def make_rung(values, name="supernet", **options):
    return RungScores(name, CODES[: len(values)], np.asarray(values, float), **options)


def test_standardised_scores_have_mean_0_and_standard_deviation_1_in_their_order():
    values = 40 + 3 * np.random.default_rng(0).standard_normal(200)
    found = make_rung(values).standardised
    assert found.mean() == pytest.approx(0)
    assert found.std() == pytest.approx(1)
    np.testing.assert_array_equal(np.argsort(found), np.argsort(values))


def test_one_score_far_below_leaves_the_others_as_far_apart_as_they_were():
    values = np.random.default_rng(0).standard_normal(200)
    broken = values.copy()
    broken[7] = -1e4
    usual, odd = (make_rung(each).standardised for each in (values, broken))
    others = np.arange(200) != 7
    assert 0.7 < odd[others].std() / usual[others].std() <= 1


def test_by_how_much_members_differ_is_told_apart_into_levels_and_the_rest():
    """Each of 40 members adds normal numbers to 12 levels (variance 0.5 each) and to each score."""
    rng = np.random.default_rng(0)
    levels = rng.normal(0, np.sqrt(0.5), (40, 4, 4))
    liked = levels[:, np.arange(4), CODES].sum(axis=2)
    common = 5 * rng.standard_normal(len(CODES))
    scores = common + liked + rng.normal(0, 0.3, liked.shape) + rng.normal(0, 9, (40, 1))
    found = MemberSpread.measure(FOUR.one_hot(CODES), scores)
    # Over candidates a slot's levels vary by 3/4 of their variance.
    assert found.own == pytest.approx(4 * 0.5 * 3 / 4, rel=0.15)
    assert found.noise == pytest.approx(0.09, rel=0.05)
    assert found.num_own == 39 * 12
    assert found.num_noise == 39 * (256 - 1 - 12)


def test_of_a_single_member_it_is_not_known_by_how_much_members_differ():
    scores = np.random.default_rng(0).standard_normal((1, len(CODES)))
    assert MemberSpread.measure(FOUR.one_hot(CODES), scores) is None
    few = np.random.default_rng(0).standard_normal((3, 14))  # of 12 levels
    assert MemberSpread.measure(FOUR.one_hot(CODES[::19]), few) is None


def test_what_is_expected_of_members_is_what_was_measured_as_a_share_of_the_scores_variance():
    values = 7 * np.random.default_rng(0).standard_normal(200)
    spread = MemberSpread(own=0.4 * values.var(), num_own=50, noise=0.0, num_noise=10**6)
    priors = make_rung(values, num_members=3, spread=spread).priors
    assert priors.own == pytest.approx((0.4, np.hypot(0.2, 0.3)), rel=0.05)
    assert priors.noise == pytest.approx((0.02, 1.0), rel=0.01)


@pytest.mark.parametrize(
    ("values", "codes", "named"),
    [
        ([0.1, np.nan, 0.3], CODES[:3], "number 1 is nan"),
        ([0.5, 0.5, 0.5], CODES[:3], "none differs"),
        ([0.1, 0.2, 0.3], CODES[[0, 1, 1]], "a candidate has two"),
        ([0.1, 0.2, 0.3], CODES[:2], "2 candidates have 3 scores"),
    ],
)
def test_scores_that_are_none_are_refused_with_what_is_wrong(values, codes, named):
    with pytest.raises(RungError, match=named):
        RungScores("snip", codes, np.array(values))


def test_of_many_scores_those_of_trained_candidates_come_first_in_each_rung():
    rng = np.random.default_rng(0)
    rungs = [make_rung(rng.standard_normal(n), name) for n, name in ((256, "a"), (200, "b"))]
    seen = observe_scores(FOUR, rungs, 1)
    trained = FOUR.one_hot(CODES[[250, 3, 199, 64]])
    chosen = choose_scores(seen, trained, 60)
    for rung, wanted in ((0, {250, 3, 199, 64}), (1, {3, 199, 64})):
        own = chosen.design.rungs == rung
        kept = {int(np.flatnonzero(rungs[rung].standardised == v)[0]) for v in chosen.values[own]}
        assert own.sum() == 30
        assert wanted <= kept
    assert choose_scores(seen, trained, 456) is seen


def test_members_are_averaged_over_the_candidates_that_all_of_them_have_scored():
    texts = [str(SPACE.candidate_at(number)) for number in (9, 3, 27, 40)]
    table = np.array([[1.0, 2.0, 4.0, 8.0], [3.0, 2.0, 1.0, 0.0]])
    scores = list_scores(texts, table, members=(11, 12))
    (found,) = code_scores(scores[:-1], FACTORS, Encoder(SPACE))
    assert found.name == "supernet"
    assert found.num_members == 2
    wanted = {
        SPACE.codes_of(SPACE.candidate_at(n)).tobytes(): v for n, v in ((9, 2), (3, 2), (27, 2.5))
    }
    assert {c.tobytes(): v for c, v in zip(found.codes, found.values, strict=True)} == wanted


def test_the_order_of_scores_makes_no_difference_and_a_constant_rung_is_left_out():
    texts = [str(SPACE.candidate_at(number)) for number in (9, 3, 27)]
    scores = list_scores(texts, [1.0, 2.0, 4.0]) + list_scores(texts, [5.0] * 3, "naswot", (0,))
    (one,), (other,) = (
        code_scores(each, FACTORS, Encoder(SPACE)) for each in (scores, scores[::-1])
    )
    np.testing.assert_array_equal(one.codes, other.codes)
    np.testing.assert_array_equal(one.values, other.values)
