"""One more supernet against trainings: what each is expected to raise the front by."""

import numpy as np
import pytest
from support.proposing import history_of, look_up, make_proposer, make_table, run

from se_search.search.weighing import weigh
from se_search.surrogate.scores import MemberSpread, RungScores

NOISY = make_table(noise=0.01, num_replicates=20)
CODES = NOISY.codes().astype(np.int16)
TRUTH = NOISY.accuracies.mean(axis=1)
SD = TRUTH.std()


@pytest.fixture(scope="module")
def history():
    return history_of(run(make_proposer(NOISY), look_up(NOISY), 20)[1][-1], 3)


def score(noise, num_members=2):
    """Return the mean scores of members whose own scores err by ``noise`` times their spread."""
    error = noise * SD * np.random.default_rng(1).standard_normal(len(TRUTH))
    variance = max((noise * SD) ** 2, 1e-12)
    spread = MemberSpread(1e-3 * variance, 20, variance, 60)
    return RungScores("supernet", CODES, TRUTH + error / np.sqrt(num_members), num_members, spread)


def ask(history, scores, num_trainings=6, joining=None):
    proposer = make_proposer(NOISY)
    proposer.take_scores(scores)
    return weigh(proposer, history, num_trainings, [0, 1, 2], joining)


def test_both_are_expected_to_raise_the_front(history):
    gains = ask(history, [score(1.0)])
    assert gains.train > 0
    assert gains.supernet > 0


def test_equal_questions_have_equal_answers_to_the_bit(history):
    assert ask(history, [score(1.0)]) == ask(history, [score(1.0)])


def test_more_trainings_are_expected_to_bring_more(history):
    few, many = (ask(history, [score(1.0)], number).train for number in (2, 12))
    assert many > few


def test_a_further_supernet_brings_less_where_there_are_many(history):
    first, last = (ask(history, [score(1.0, number)]).supernet for number in (1, 40))
    assert last < first / 3


def test_nothing_is_weighed_without_scores_or_without_trainings(history):
    assert ask(history, []) is None
    assert ask(history_of([], 3), [score(1.0)]) is None


def test_candidates_that_are_scored_for_the_first_time_add_to_what_a_supernet_brings(history):
    whole = score(1.0)
    half = RungScores("supernet", CODES[::2], whole.values[::2], 2, whole.spread)
    without = ask(history, [half])
    few, many = (ask(history, [half], joining=CODES[1:end:2]) for end in (16, 64))
    assert without.supernet < few.supernet < many.supernet
    assert without.train == few.train == many.train
    assert ask(history, [half], joining=CODES[:0]) == without
