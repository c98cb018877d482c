"""The candidate without a training that is expected to be better, against a tiny space's list."""

import numpy as np
import pytest
from scipy import stats
from support.made_up_trainings import OBJECTIVES, SPACE, make_trainings, records_of

from se_search.cost import count_cost
from se_search.surrogate.coded_trainings import Question
from se_search.surrogate.features import Factors
from se_search.surrogate.fit_front import fit_front
from se_search.surrogate.fitted_model import FittedModel
from se_search.surrogate.untrained import find_better_untrained


class Foretold:
    """A model whose gains and standard deviations are made up, by the candidates' codes."""

    def __init__(self, gains, sds):
        self.gains, self.sds = gains, sds

    def predict(self, codes):
        at = tuple(codes.T)
        return self.gains[at], self.sds[at]


def find_by_hand(gains, trained, objectives):
    """Return the codes of the greatest rise over the best trained gain at no higher cost."""

    def costs_of(codes):
        cost = count_cost(SPACE.with_codes(codes))
        return [getattr(cost, name) for name in objectives[1:]]

    found = {}
    known = [(gains[tuple(row)], costs_of(row)) for row in trained]
    for codes in np.ndindex(4, 4, 4):
        if codes in {tuple(row) for row in trained}:
            continue
        own = costs_of(codes)
        affordable = [
            gain for gain, cost in known if all(a <= b for a, b in zip(cost, own, strict=True))
        ]
        found[codes] = gains[codes] - max(affordable, default=0.0)
    best = max(found, key=found.get)
    return best, found[best]


@pytest.mark.parametrize("objectives", [OBJECTIVES, ("accuracy", "macs", "params")])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_that_of_brute_force_over_a_tiny_space(seed, objectives):
    rng = np.random.default_rng(seed)
    gains, sds = rng.normal(0, 0.004, (4, 4, 4)), rng.uniform(0.001, 0.003, (4, 4, 4))
    trained = SPACE.codes()[rng.choice(64, 20, replace=False)]
    costs = SPACE.price_codes(
        trained, lambda c: [getattr(count_cost(c), name) for name in objectives[1:]]
    )
    found = find_better_untrained(
        *(Foretold(gains, sds), SPACE, Question(objectives, 4).price),
        *(trained, gains[tuple(trained.T)], costs),
    )
    codes, rise = find_by_hand(gains, trained, objectives)
    assert found.candidate == str(SPACE.with_codes(codes))
    assert found.placement == SPACE.with_codes(codes).placement
    assert found.expected_gain == pytest.approx(gains[codes])
    assert found.expected_rise == pytest.approx(rise)
    assert found.probability_better == pytest.approx(stats.norm.cdf(gains[codes] / sds[codes]))


def find_of(gains, trained):
    costs = SPACE.price_codes(trained, lambda c: [count_cost(c).params])
    return find_better_untrained(
        Foretold(gains, np.full((4, 4, 4), 0.001)),
        SPACE,
        Question(OBJECTIVES, 4).price,
        trained,
        gains[tuple(trained.T)],
        costs,
    )


def test_where_all_trained_ones_are_better_at_their_cost_there_is_none():
    gains = np.full((4, 4, 4), -0.01)
    gains[0, 0, 0] = 0.0
    assert find_of(gains, SPACE.codes()[:1]) is None


def test_where_everything_has_been_trained_there_is_none():
    assert find_of(np.arange(64).reshape(4, 4, 4) / 1e4, SPACE.codes()) is None


def test_what_is_cheaper_than_all_that_has_been_trained_is_compared_with_the_plain_network():
    gains = np.full((4, 4, 4), -0.01)
    gains[1, 0, 0] = 0.002
    found = find_of(gains, np.array([[3, 3, 3]], np.int16))
    assert (found.candidate, found.expected_rise) == ("net/stage2=standard:4", 0.002)


def test_a_front_names_the_untrained_candidate_that_is_truly_good():
    """Each level's effect is known from other candidates; the best of all is left out."""
    trainings, _, costs = make_trainings(3, 60, noise=0.0005, interaction=0.0001)
    model = FittedModel.fit(Factors(SPACE.describe_levels()), trainings, [4])
    every = SPACE.codes()
    mean, _ = model.predict(every)
    best = every[np.argmax(mean)]
    kept = ~(trainings.codes == best).all(axis=1)
    records = [
        record for record, keep in zip(records_of(trainings, costs), kept, strict=True) if keep
    ]
    front = fit_front(records, SPACE, Question(OBJECTIVES, 4))
    assert front.better_untrained.candidate == str(SPACE.with_codes(best))
    assert front.better_untrained.probability_better > 0.9
    assert front.better_untrained.candidate not in {r.candidate for r in records}
