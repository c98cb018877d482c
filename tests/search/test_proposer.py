"""Decisions on small made-up tables: pure, within the limits, and better than chance."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from support.networks import make_backbone
from support.proposing import EPOCHS, Trial, history_of, look_up, make_proposer, make_table, run

from se_search.analysis.pareto import hypervolume, is_non_dominated
from se_search.benchmark.scores import Truth
from se_search.cost import count_cost
from se_search.errors import SpaceError
from se_search.search import pool as pool_module
from se_search.space.bound import BoundSpace
from se_search.space.schema import SearchSpace
from se_search.surrogate.scores import RungScores

TABLE = make_table()
NOISY = make_table(noise=0.03, num_replicates=40)


def rows_of(decisions):
    return [tuple(decision.codes.tolist()) for decision in decisions]


def numbers_of(space, decisions):
    rows = space.codes().tolist()
    return np.array([rows.index(list(row)) for row in rows_of(decisions)])


def same(one, other):
    return one.codes.tolist() == other.codes.tolist() and (one.kind, one.gain) == (
        other.kind,
        other.gain,
    )


# --- purity -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("workers", [1, 3])
def test_one_that_saw_all_before_decides_as_a_fresh_one_to_the_bit(workers, seed):
    """Also where trials finish out of order, fail, are short, and others are running."""

    def evaluate(codes, replicate):
        return None if sum(codes) == 5 else look_up(NOISY)(codes, replicate)

    decisions, known = run(
        make_proposer(NOISY, seed),
        evaluate,
        26,
        workers,
        seed,
        epochs=lambda number: 2 if number % 3 == 0 else EPOCHS,
    )
    for number in range(0, 26, 2 if seed else 1):
        fresh = make_proposer(NOISY, seed).decide(history_of(known[number], 3))
        assert same(fresh, decisions[number]), number


@pytest.mark.parametrize("workers", [1, 3])
def test_beyond_the_number_of_exact_trainings_too_a_fresh_one_decides_alike_to_the_bit(workers):
    options = {"most_exact": 12}  # more are trained or running
    decisions, known = run(make_proposer(NOISY, 1, **options), look_up(NOISY), 76, workers, 1)
    for number in (16, 27):
        fresh = make_proposer(NOISY, 1, **options).decide(history_of(known[number], 3))
        assert same(fresh, decisions[number]), number


def test_beyond_it_a_search_finds_as_much_of_the_hypervolume():
    space = make_table(seed=3)
    truth = Truth(space.costs, space.mean_accuracies)
    exact, told = (
        truth.curve(
            numbers_of(space, run(make_proposer(space, 3, **options), look_up(space), 24)[0])
        )
        for options in ({}, {"most_exact": 8})
    )
    np.testing.assert_allclose(told, exact, atol=0.02)


def test_what_is_asked_twice_is_answered_alike_whatever_was_asked_in_between():
    decisions, known = run(make_proposer(NOISY), look_up(NOISY), 24, workers=2)
    proposer = make_proposer(NOISY)
    for number in (23, 11, 22, 12, 23, 4, 13):
        assert same(proposer.decide(history_of(known[number], 3)), decisions[number])


def test_trainings_that_take_an_earlier_place_are_not_taken_for_those_that_had_it():
    """All since the model was last fitted anew: at 60, and not again before 63."""
    rng = np.random.default_rng(0)
    codes = [tuple(row) for row in NOISY.codes()[rng.permutation(64)[:62]].tolist()]
    accuracies = [look_up(NOISY)(row, 0) for row in codes]
    trials = [Trial(*one) for one in zip(codes, ["finished"] * 62, accuracies, strict=True)]
    early, late = trials[60], trials[61]
    proposer = make_proposer(NOISY)
    for last in ([late], [early, late], [early], [late, early], [Trial(early.codes), late]):
        history = history_of([*trials[:60], *last], 3)
        assert same(proposer.decide(history), make_proposer(NOISY).decide(history))


def test_a_decision_depends_on_the_seed():
    first, other = (
        rows_of(run(make_proposer(TABLE, seed), look_up(TABLE), 8)[0]) for seed in (0, 1)
    )
    assert first != other


@pytest.mark.parametrize("most_whole", [1_000, 10_000])
def test_a_huge_space_is_searched_as_a_fresh_one_would(monkeypatch, most_whole):
    for name, value in (("MAX_WHOLE", most_whole), ("NUM_DRAWN", 2_000), ("NUM_KEPT", 300)):
        monkeypatch.setattr(pool_module, name, value)
    space = make_block_space(8)

    def decide(space):  # 6,561 candidates: whole up to 20 trainings, or never
        return make_block_proposer(space, most_scored=6_561 * 20)

    decisions, known = run(decide(space), block_accuracy, 40, workers=3)
    assert decide(space).source.is_whole is (most_whole == 10_000)
    early, late = (len(decide(space).fit(history_of(known[at], 8))[0]) for at in (19, 39))
    assert (early == 6_561) is (most_whole == 10_000)
    assert late < 1_000
    for number in range(15, 40, 4):
        assert same(decide(space).decide(history_of(known[number], 8)), decisions[number])
    assert len(set(rows_of(decisions))) >= 38


def make_block_space(num_blocks):
    return BoundSpace(
        SearchSpace.model_validate({"granularity": "block", "choices": {"reduction": [4, 16]}}),
        make_backbone([64] * num_blocks),
    )


def make_block_proposer(space, **options):
    return make_proposer(space, price=lambda _: lambda c: (count_cost(c).params,), **options)


def block_accuracy(codes, replicate):
    gain = np.array([0.0, 0.02, 0.01])
    return 0.5 + float(gain[list(codes)] @ np.linspace(-0.3, 1.0, len(codes)))


# --- what may be proposed ----------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 4])
def test_no_candidate_comes_twice_but_as_a_repeat(workers):
    decisions, _ = run(make_proposer(NOISY), look_up(NOISY), 40, workers)
    seen = set()
    for decision, row in zip(decisions, rows_of(decisions), strict=True):
        assert (row in seen) == (decision.kind == "repeat")
        seen.add(row)
    assert any(decision.kind == "explore" for decision in decisions)


def test_a_running_candidate_is_not_repeated():
    decisions, known = run(make_proposer(NOISY), look_up(NOISY), 60, workers=3)
    repeats = [n for n, decision in enumerate(decisions) if decision.kind == "repeat"]
    assert repeats
    for number in repeats:
        running = [trial.codes for trial in known[number] if trial.state == "running"]
        assert rows_of(decisions)[number] not in running


def test_what_failed_is_never_proposed_again():
    def evaluate(codes, replicate):
        return None if codes[0] == 1 else look_up(TABLE)(codes, replicate)

    rows = rows_of(run(make_proposer(TABLE), evaluate, 64 + 10, workers=2)[0])
    failed = [row for row in rows if row[0] == 1]
    assert len(failed) == len(set(failed)) > 0


def test_what_is_beyond_the_limits_is_never_proposed():
    proposer = make_proposer(TABLE, is_allowed=lambda codes: codes.sum() <= 4)
    decisions, _ = run(proposer, look_up(TABLE), 45)
    allowed = {tuple(row) for row in TABLE.codes().tolist() if sum(row) <= 4}
    assert set(rows_of(decisions)) == allowed
    assert [d.kind for d in decisions].count("repeat") == 45 - len(allowed)


def test_limits_that_leave_nothing_are_an_error():
    proposer = make_proposer(TABLE, is_allowed=lambda codes: False)
    with pytest.raises(SpaceError, match="no candidate of the space is left"):
        proposer.decide(history_of([], 3))


def test_limits_that_leave_one_candidate_leave_its_repeats():
    proposer = make_proposer(TABLE, is_allowed=lambda codes: codes.tolist() == [1, 2, 3])
    decisions, _ = run(proposer, look_up(TABLE), 5)
    assert set(rows_of(decisions)) == {(1, 2, 3)}
    assert [decision.kind for decision in decisions] == ["start", *["repeat"] * 4]


@pytest.mark.parametrize("workers", [30, 80])
def test_more_workers_than_the_design_has_candidates_all_get_one(workers):
    """Nothing has finished: new candidates while there are any, then repeats."""
    rows = rows_of(run(make_proposer(TABLE), look_up(TABLE), workers, workers)[0])
    assert len(set(rows)) == min(workers, 64)


def test_after_nothing_but_failures_something_new_is_proposed():
    rows = rows_of(run(make_proposer(TABLE), lambda codes, replicate: None, 40)[0])
    assert len(set(rows)) == 40


def test_when_everything_has_failed_that_is_an_error():
    trials = [Trial(tuple(row), "failed") for row in TABLE.codes().tolist()]
    with pytest.raises(SpaceError, match="no candidate of the space is left"):
        make_proposer(TABLE).decide(history_of(trials, 3))


# --- before there is a model ---------------------------------------------------------------------


def test_the_first_decisions_are_the_start_design_and_expect_no_gain():
    proposer = make_proposer(TABLE, seed=1)
    decisions, _ = run(proposer, look_up(TABLE), proposer.num_starts + 1)
    starts = [decision for decision in decisions if decision.kind == "start"]
    assert len(starts) == proposer.num_starts == 8
    assert [decision.gain for decision in starts] == [None] * 8


# --- how well it does ---------------------------------------------------------------------------


def trials_to_share(rows, truth, share):
    reached = np.flatnonzero(truth.curve(np.asarray(rows)) >= share)
    return int(reached[0]) + 1 if len(reached) else 1000


def test_without_noise_the_whole_hypervolume_is_reached_in_far_fewer_trials_than_at_random():
    needed, at_random = [], []
    for seed in range(3):
        space = make_table(seed=seed)
        truth = Truth(space.costs, space.mean_accuracies)
        rows = numbers_of(space, run(make_proposer(space, seed), look_up(space), 40)[0])
        needed.append(trials_to_share(rows, truth, 1 - 1e-9))
        order = [np.random.default_rng(s).permutation(64) for s in range(9)]
        at_random.append(np.median([trials_to_share(o, truth, 1 - 1e-9) for o in order]))
    assert np.median(needed) < 0.6 * np.median(at_random)


def test_with_two_costs_the_front_is_found_in_far_fewer_trials_than_at_random():
    space = make_table()
    other = 1e6 * np.exp(np.random.default_rng(5).uniform(0.2, 0.8, (3, 4)).cumsum(axis=1))
    second = np.prod(other[np.arange(3), space.codes()] / 1e6, axis=1) * 1e6

    def price(space):
        return lambda row: (int(space.costs[row.index]), int(second[row.index]))

    costs = np.column_stack([space.costs, second.astype(int)])
    front = set(np.flatnonzero(is_non_dominated(np.column_stack([-space.mean_accuracies, costs]))))
    decisions, _ = run(make_proposer(space, price=price), look_up(space), 40)
    found = set(numbers_of(space, decisions))
    assert 10 < len(front) < 55
    assert len(front & found) > len(front) * 40 / 64 * 1.2


def test_the_gain_falls_as_the_front_becomes_known():
    decisions, _ = run(make_proposer(TABLE), look_up(TABLE), 40)
    gains = [decision.gain for decision in decisions if decision.gain is not None]
    assert all(gain >= 0 for gain in gains)
    assert np.mean(gains[-5:]) < 0.1 * np.mean(gains[:5])


def test_the_gain_is_near_what_the_best_training_adds():
    """After the start design: within a factor of ten of the true hypervolume's rise."""
    rises, gains = [], []
    truth = Truth(TABLE.costs, TABLE.mean_accuracies)
    for seed in range(3):
        decisions, _ = run(make_proposer(TABLE, seed), look_up(TABLE), 16)
        rows = numbers_of(TABLE, decisions)
        floor = np.quantile(TABLE.mean_accuracies[rows[:8]], 0.25)
        area = [
            hypervolume(truth.scaled_costs[rows[:n]], TABLE.mean_accuracies[rows[:n]], (1.0, floor))
            for n in range(8, 17)
        ]
        rises += list(np.diff(area))
        gains += [decision.gain for decision in decisions[8:]]
    assert 0.1 < np.sum(rises) / np.sum(gains) < 10


# --- repeats ------------------------------------------------------------------------------------


def count_kinds(decisions, kind):
    return sum(decision.kind == kind for decision in decisions)


def test_once_all_candidates_are_trained_they_are_trained_again():
    decisions, _ = run(make_proposer(TABLE), look_up(TABLE), 64 + 20)
    assert len(set(rows_of(decisions))) == 64
    assert decisions[-1].kind == "repeat"


@pytest.mark.parametrize("seed", range(3))
def test_with_much_noise_undecided_candidates_are_trained_again(seed):
    assert count_kinds(run(make_proposer(NOISY, seed), look_up(NOISY), 45)[0], "repeat") >= 4


@pytest.mark.parametrize("seed", range(3))
def test_without_noise_no_candidate_is_trained_again_before_the_front_is_known(seed):
    space = make_table(seed=seed)
    truth = Truth(space.costs, space.mean_accuracies)
    decisions, _ = run(make_proposer(space, seed), look_up(space), 40)
    until = trials_to_share(numbers_of(space, decisions), truth, 0.99)
    assert until < 40
    assert count_kinds(decisions[:until], "repeat") == 0


def test_it_is_candidates_near_the_front_that_are_trained_again():
    decisions, _ = run(make_proposer(NOISY), look_up(NOISY), 60)
    again = {
        row for d, row in zip(decisions, rows_of(decisions), strict=True) if d.kind == "repeat"
    }
    truth = NOISY.mean_accuracies
    numbers = [NOISY.codes().tolist().index(list(row)) for row in again]
    below = [
        max(0.0, truth[NOISY.costs <= NOISY.costs[number]].max() - truth[number])
        for number in numbers
    ]
    everyone = [
        truth[NOISY.costs <= cost].max() - own for cost, own in zip(NOISY.costs, truth, strict=True)
    ]
    assert np.mean(below) < 0.5 * np.mean(everyone)


def test_repeats_leave_four_of_five_trainings_to_new_candidates():
    """Where seeds move more than choices do, further seeds would take half as many more."""
    table = make_table(noise=0.3, num_replicates=20)
    decisions, _ = run(make_proposer(table, seed=1), look_up(table), 50)
    assert 8 <= count_kinds(decisions, "repeat") <= 10


def test_repeats_can_be_refused():
    decisions, _ = run(make_proposer(NOISY, repeats=False), look_up(NOISY), 64)
    assert count_kinds(decisions, "repeat") == 0
    assert len(set(rows_of(decisions))) == 64


# --- posterior ------------------------------------------------------------------------------------


def test_estimates_order_candidates_better_than_the_trainings_that_they_are_made_of():
    """Above the floor, below which accuracies are compressed."""
    decisions, known = run(make_proposer(NOISY), look_up(NOISY), 50)
    history = history_of(known[-1], 3)
    trainings, proposer = history.trainings, make_proposer(NOISY)
    mean, sd = proposer.estimate(history)
    truth = NOISY.mean_accuracies[numbers_of(NOISY, decisions[:-1])]
    scale = proposer.fit_scale(trainings, 1)
    above = mean > scale.undo(scale.floor)
    found, seen = (
        spearmanr(values[above], truth[above])[0] for values in (mean, trainings.accuracies)
    )
    assert 1 - found < 0.7 * (1 - seen)
    error = (mean - truth)[above] - np.mean((mean - truth)[above])
    assert np.mean(np.abs(error) < 2 * sd[above]) > 0.75


def test_estimates_do_not_depend_on_what_is_running():
    _, known = run(make_proposer(NOISY), look_up(NOISY), 20)
    running = [Trial(trial.codes) for trial in known[-1][-6:]]
    finished = list(known[-1])
    for without, and_with in zip(
        make_proposer(NOISY).estimate(history_of(finished, 3)),
        make_proposer(NOISY).estimate(history_of([*finished, *running], 3)),
        strict=True,
    ):
        np.testing.assert_array_equal(without, and_with)


def test_a_candidate_outside_of_the_pool_of_a_huge_space_has_an_estimate_of_its_own(monkeypatch):
    """As what was proposed with an earlier pool, and has finished since the model was fitted."""
    for name, value in (("MAX_WHOLE", 1_000), ("NUM_DRAWN", 400), ("NUM_KEPT", 100)):
        monkeypatch.setattr(pool_module, name, value)
    space = make_block_space(8)
    codes = np.unique(space.draw_codes(41, np.random.default_rng(9)), axis=0)
    accuracies = np.array([block_accuracy(row, 0) for row in codes])
    order = np.argsort(accuracies)
    order = np.append(np.delete(order, 30), order[30])  # a good one last, but not the best
    codes, accuracies = codes[order], accuracies[order]
    rows = map(tuple, codes.tolist())
    trials = [Trial(*one) for one in zip(rows, ["finished"] * 41, accuracies, strict=True)]
    proposer = make_block_proposer(space)
    history = history_of(trials, 8)
    pool, _ = proposer.fit(history)
    assert pool.find(codes)[-1] == -1
    mean, _ = proposer.estimate(history)
    assert mean[-1] == pytest.approx(accuracies[-1], abs=0.005)


# --- scores of cheap rungs ----------------------------------------------------------------------


def make_scored(scores, **options):
    proposer = make_proposer(NOISY, **options)
    proposer.take_scores(scores)
    return proposer


def score_all(values):
    noise = 0.3 * values.std() * np.random.default_rng(1).standard_normal(len(values))
    return RungScores("supernet", NOISY.codes().astype(np.int16), values + noise, 2)


TRUTH = NOISY.accuracies.mean(axis=1)


def test_with_scores_too_one_that_saw_all_before_decides_as_a_fresh_one_to_the_bit():
    scores = [score_all(TRUTH), score_all(np.random.default_rng(0).standard_normal(len(TRUTH)))]
    decisions, known = run(make_scored(scores), look_up(NOISY), 18, workers=2)
    for number in range(8, 18, 3):
        fresh = make_scored(scores).decide(history_of(known[number], 3))
        assert same(fresh, decisions[number]), number


def test_scores_taken_anew_replace_those_before():
    _, known = run(make_proposer(NOISY), look_up(NOISY), 14)
    history = history_of(known[-1], 3)
    proposer = make_scored([score_all(-TRUTH)])
    proposer.decide(history)
    proposer.take_scores([score_all(TRUTH)])
    assert same(proposer.decide(history), make_scored([score_all(TRUTH)]).decide(history))
    proposer.take_scores([])
    assert same(proposer.decide(history), make_proposer(NOISY).decide(history))


def test_scores_that_tell_bring_estimates_nearer_to_the_true_order():
    trials = run(make_proposer(NOISY), look_up(NOISY), 24)[1][-1]
    codes = [trial.codes for trial in trials]
    truth = TRUTH[[NOISY.codes().tolist().index(list(row)) for row in codes]]
    alone, scored = (
        one.estimate(history_of(trials, 3))[0]
        for one in (make_proposer(NOISY), make_scored([score_all(TRUTH)]))
    )
    assert spearmanr(scored, truth).statistic > spearmanr(alone, truth).statistic + 0.02


def test_beyond_the_number_of_exact_trainings_decisions_rest_on_trainings_alone():
    _, known = run(make_proposer(NOISY), look_up(NOISY), 20)
    history = history_of(known[-1], 3)
    few = make_scored([score_all(TRUTH)], most_exact=10)
    alone = make_proposer(NOISY, most_exact=10)
    assert same(few.decide(history), alone.decide(history))
    np.testing.assert_array_equal(few.estimate(history), alone.estimate(history))
