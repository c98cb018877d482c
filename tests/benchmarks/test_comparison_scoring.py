"""The score of a recommended front in ``benchmarks/comparison``, held against brute force."""

from dataclasses import replace

import numpy as np
import optuna
import pytest
from support.crossed_tables import EPOCHS, make_crossed_table

from benchmarks.calibration.crossed_world import CrossedWorld
from benchmarks.calibration.searches import OBJECTIVES, search
from benchmarks.comparison.scoring import Fitted, Truth, Yardstick, fit, observed_front
from se_search.candidate import Candidate
from se_search.surrogate.coded_trainings import Question
from se_search.surrogate.decision import Decision, Settled
from se_search.surrogate.fit_front import fit_front

QUESTION = Question(OBJECTIVES, EPOCHS)


@pytest.fixture(scope="module")
def world():
    table = make_crossed_table(seed=0, num_replicates=4).table
    return CrossedWorld(table, table.replicates)


@pytest.fixture(scope="module")
def records(world):
    return search(world, "random", 0, 30)


@pytest.fixture(scope="module")
def fitted(world, records):
    return fit(records, world.space, QUESTION)


@pytest.fixture(scope="module")
def wanted(world, records):
    return fit_front(records, world.space, QUESTION)


def test_what_is_fitted_is_what_the_product_fits_at_the_end_of_a_search(world, fitted, wanted):
    assert fitted.front == [candidate.summary.key for candidate in wanted.front]
    gains = {candidate.summary.key: candidate.gain for candidate in wanted.candidates}
    assert dict(zip(fitted.keys, fitted.gains.tolist(), strict=True)) == gains
    assert (fitted.settled, fitted.decision) == (wanted.settled, wanted.decision)
    assert fitted.plain == Candidate.plain(world.space.backbone).key


def make_fitted(seed, size=12):
    """Return draws of gains over a plain network, which is the cheapest and the first."""
    rng = np.random.default_rng(seed)
    costs = np.append(1000, rng.choice(np.arange(1001, 1100), size - 1, replace=False))
    draws = rng.normal(0, 0.002, size) + rng.normal(0, 0.001, (50, size))
    draws[:, 0] = 0
    keys = tuple(f"key{n}" for n in range(size))
    told = Decision("nothing", None, ""), Settled(None, None, 0.002, ())
    return Fitted(keys, costs.astype(float), draws, "key0", *told)


def integrate(fitted, lost_at):
    """Return the mean over the logarithm of the cost of what is lost at each cost."""
    low, high = np.log(fitted.costs.min()), np.log(fitted.costs.max())
    grid = np.exp(low + (np.arange(4_000) + 0.5) / 4_000 * (high - low))
    return np.mean([lost_at(cost) for cost in grid])


def take(fitted, front, cost):
    """Return the number of the network that a front recommends at a cost: its dearest."""
    members = [fitted.keys.index(key) for key in front] + [0]
    return max((n for n in members if fitted.costs[n] <= cost), key=lambda n: fitted.costs[n])


def measure(fitted):
    return Yardstick.of(fitted, 0.0)


@pytest.mark.parametrize("seed", range(3))
def test_a_gap_is_the_best_gain_at_each_cost_less_the_best_member_of_the_front(seed):
    fitted = make_fitted(seed)
    front = [f"key{n}" for n in sorted((3, 5, 8), key=lambda n: fitted.costs[n])]
    means = 100 * fitted.gains

    def lost(cost):
        affordable = fitted.costs <= cost
        own = [means[n] for n in (0, 3, 5, 8) if fitted.costs[n] <= cost]
        return means[affordable].max() - max(own)

    assert measure(fitted).gap(front) == pytest.approx(integrate(fitted, lost), abs=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_a_loss_is_the_best_gain_at_each_cost_less_that_of_the_dearest_member(seed):
    fitted = make_fitted(seed)
    front = [f"key{n}" for n in sorted((3, 5, 8), key=lambda n: fitted.costs[n])]
    means = 100 * fitted.gains

    def lost(cost):
        return means[fitted.costs <= cost].max() - means[take(fitted, front, cost)]

    yardstick = measure(fitted)
    assert yardstick.loss(front) == pytest.approx(integrate(fitted, lost), abs=1e-3)
    assert yardstick.shortfall(front) == pytest.approx(max(map(lost, fitted.costs)))


@pytest.mark.parametrize("front", [(), ("key0",), ("key3", "key5")])
def test_a_loss_is_the_expected_regret_beyond_the_one_that_all_trainings_leave(front):
    fitted = make_fitted(seed=4)
    front = sorted(front, key=lambda key: fitted.costs[fitted.keys.index(key)])
    yardstick = measure(fitted)

    def regret(members):
        return integrate(
            fitted,
            lambda cost: (
                100
                * np.mean(
                    fitted.draws[:, fitted.costs <= cost].max(axis=1)
                    - fitted.draws[:, take(fitted, members, cost)]
                )
            ),
        )

    assert yardstick.regret == pytest.approx(regret(yardstick.front), abs=1e-3)
    assert yardstick.loss(front) == pytest.approx(regret(front) - regret(yardstick.front), abs=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_the_front_of_all_trainings_lacks_and_loses_nothing_and_no_other_one_gains(seed):
    yardstick = measure(make_fitted(seed))
    whole = yardstick.gap(yardstick.front), yardstick.loss(yardstick.front)
    assert whole == pytest.approx((0, 0), abs=1e-12)
    rng = np.random.default_rng(seed)
    for _ in range(20):
        keys = rng.choice(list(yardstick.gains), rng.integers(1, 6), replace=False).tolist()
        front = sorted(keys, key=yardstick.costs.__getitem__)
        assert -1e-12 <= yardstick.gap(front) <= yardstick.loss(front) + 1e-12


def test_the_plain_network_alone_lacks_the_whole_hypervolume():
    yardstick = measure(make_fitted(seed=1))
    assert yardstick.hypervolume > 0
    assert yardstick.gap(["key0"]) == yardstick.hypervolume == yardstick.gap([])


def test_who_must_have_se_loses_beside_the_best_network_with_se_or_takes_any():
    fitted = make_fitted(seed=5)
    truth = Truth.of(fitted)
    means, number = 100 * fitted.gains, int(np.argsort(fitted.costs)[6])
    rest = replace(fitted, costs=np.where(fitted.costs == 1000, np.inf, fitted.costs))
    low, high = rest.costs.min(), fitted.costs.max()
    grid = np.exp(np.linspace(np.log(low), np.log(high), 20_001))[:-1]
    losses = [
        means[rest.costs <= cost].max()
        - (means[number] if rest.costs[number] <= cost else means[1:].mean())
        for cost in grid
    ]
    score = truth.score(["key0"], [f"key{number}"])
    assert score.placement == pytest.approx(np.mean(losses), abs=1e-3)
    assert score.gap == truth.whole.hypervolume
    assert truth.decision == "nothing"


def test_the_hypervolume_is_the_one_of_the_product(fitted, wanted):
    """The product reports the median over draws."""
    areas = [measure(replace(fitted, draws=draw[None])).hypervolume for draw in fitted.draws]
    assert np.median(areas) == pytest.approx(100 * wanted.hypervolume.median)


def test_the_front_of_single_trainings_is_that_which_optuna_calls_best(records):
    own = [record for record in records if record.seed == 0] * 2  # each training is made twice
    study = optuna.create_study(directions=["maximize", "minimize"])
    names = optuna.distributions.CategoricalDistribution([record.key for record in own])
    for record in own:
        study.add_trial(
            optuna.trial.create_trial(
                params={"key": record.key},
                distributions={"key": names},
                values=[record.accuracy, float(record.params)],
            )
        )
    best = sorted(study.best_trials, key=lambda trial: trial.values[1])
    wanted = list(dict.fromkeys(trial.params["key"] for trial in best))
    assert observed_front(own, "params") == wanted
