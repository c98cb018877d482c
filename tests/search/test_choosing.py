"""Which candidates supernets should score: those that may raise the front most."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from support.proposing import history_of, look_up, make_proposer, make_table, run

from se_search.search.choosing import choose_scored
from se_search.search.valuation import END
from se_search.surrogate.scores import MemberSpread, RungScores

NOISY = make_table(noise=0.01, num_replicates=20)
CODES = NOISY.codes().astype(np.int16)
NONE = CODES[:0]
SPREAD = MemberSpread(1e-9, 20, 1e-6, 60)
SCORES = RungScores("supernet", CODES[::3], NOISY.accuracies.mean(axis=1)[::3], 2, SPREAD)


@pytest.fixture(scope="module")
def history():
    return history_of(run(make_proposer(NOISY), look_up(NOISY), 20)[1][-1], 3)


def choose(history, scores=(), known=NONE, most=10):
    proposer = make_proposer(NOISY)
    proposer.take_scores(scores)
    return choose_scored(proposer, history, known, most)


def expect_rise(cost, mean, sd, costs, means, floor):
    """Return the expected area that a candidate adds to the front of the means, by quadrature."""

    def area(accuracy):
        own = np.unique(np.append(costs[costs >= cost], [cost, END]))
        best = [max(floor, means[costs <= edge].max(initial=floor)) for edge in own[:-1]]
        return float((np.diff(own) * np.maximum(accuracy - np.array(best), 0.0)).sum())

    low, high = mean - 8 * sd, mean + 8 * sd
    return quad(lambda x: area(x) * norm.pdf(x, mean, sd), low, high, limit=200)[0]


@pytest.mark.parametrize("scores", [[], [SCORES]])
def test_the_choice_is_that_of_brute_force(history, scores):
    proposer = make_proposer(NOISY)
    proposer.take_scores(scores)
    pool, posterior = proposer.fit(history)
    means = posterior.mean(proposer.see(history).values)
    floor = proposer.fit_scale(history.trainings, len(history.budgets)).floor
    costs, sds = pool.costs[:, 0], np.sqrt(posterior.variance)
    rises = [expect_rise(*one, costs, means, floor) for one in zip(costs, means, sds, strict=True)]
    expected = pool.codes[np.argsort(-np.array(rises), kind="stable")[:10]]
    assert choose(history, scores).tolist() == expected.tolist()


def test_scores_change_the_choice(history):
    assert choose(history, [SCORES]).tolist() != choose(history).tolist()


def test_what_is_known_or_has_failed_is_not_chosen_and_the_next_best_takes_its_place(history):
    ranked = choose(history, most=12)
    history = replace(history, failed=ranked[4:5])
    chosen = choose(history, known=ranked[:2])
    assert chosen.tolist() == [*ranked[2:4].tolist(), *ranked[5:].tolist(), *chosen[9:].tolist()]
    assert len(chosen) == 10


def test_equal_questions_have_equal_answers(history):
    assert choose(history, [SCORES]).tolist() == choose(history, [SCORES]).tolist()


def test_nothing_is_chosen_where_all_is_known_or_nothing_was_trained(history):
    assert len(choose(history, known=CODES)) == 0
    assert len(choose(history_of([], 3))) == 0
