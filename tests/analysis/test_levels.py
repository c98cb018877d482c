"""Levels of replicates: against dense linear algebra, and worlds of known levels."""

from itertools import product

import numpy as np
import pytest

from se_search.analysis.levels import CANDIDATE_RATIOS, LEVEL_RATIOS, subtract_levels


def make_layout(rng, num_replicates, num_trainings, candidates=None):
    """Return candidates and replicates: a control in each, then new candidates in turn."""
    if candidates is None:
        others = np.arange(1, num_trainings - num_replicates + 1)
        candidates = np.concatenate([np.zeros(num_replicates, int), others])
    replicates = np.arange(num_trainings) % num_replicates
    return candidates, replicates


def call(values, candidates, replicates):
    return subtract_levels(values.tolist(), [str(c) for c in candidates], replicates.tolist())


def predict_densely(values, candidates, replicates):
    """Return values less levels, by the dense covariance of the layout and the same ratios."""
    own = (candidates[:, None] == candidates).astype(float)
    shared = (replicates[:, None] == replicates).astype(float)
    ones = np.ones((len(values), 1))
    found = []
    for candidate, level in product(CANDIDATE_RATIOS, LEVEL_RATIOS):
        inverse = np.linalg.inv(candidate * own + level * shared + np.eye(len(values)))
        information = ones.T @ inverse @ ones
        projector = inverse - inverse @ ones @ ones.T @ inverse / information
        likelihood = (
            -np.linalg.slogdet(inverse)[1]
            + np.log(information.item())
            + (len(values) - 1) * np.log(values @ projector @ values)
        )
        found.append((likelihood, level * shared @ projector @ values))
    levels = min(found, key=lambda one: one[0])[1]
    return values - levels + np.mean([levels[replicates == r].mean() for r in set(replicates)])


@pytest.mark.parametrize("seed", range(4))
def test_levels_are_those_of_dense_linear_algebra(seed):
    rng = np.random.default_rng(seed)
    candidates, replicates = rng.integers(0, 12, 30), rng.integers(0, 4, 30)
    values = 0.8 + rng.normal(0, 0.01, 12)[candidates] + rng.normal(0, 0.02, 4)[replicates]
    values += rng.normal(0, 0.005, 30)
    expected = predict_densely(values, candidates, replicates)
    assert call(values, candidates, replicates) == pytest.approx(expected, abs=2e-6)


def test_in_an_additive_world_without_noise_levels_vanish_and_equals_stay_equal():
    rng = np.random.default_rng(0)
    candidates, replicates = make_layout(rng, 5, 60, rng.integers(0, 25, 60))
    accuracies = 0.8 + rng.normal(0, 0.003, 25)
    levels = rng.normal(0, 0.05, 5)
    found = call(accuracies[candidates] + levels[replicates], candidates, replicates)
    assert found - found[0] == pytest.approx(
        accuracies[candidates] - accuracies[candidates[0]], abs=2e-6
    )
    assert len(set(found.tolist())) == len(set(candidates.tolist()))


def test_with_a_control_in_each_of_8_replicates_most_of_their_levels_is_taken_off():
    """The variances that were measured, in points: levels 0.36, candidates 0.2, noise 0.45.

    Least squares, for which a level is the difference of its control, leave more than there was.
    """
    errors = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        candidates, replicates = make_layout(rng, 8, 200)
        levels = rng.normal(0, 0.0036, 8)
        truth = 0.8 + rng.normal(0, 0.002, 200)[candidates] + rng.normal(0, 0.0045, 200)
        values = truth + levels[replicates]
        taken = np.array(
            [(values - call(values, candidates, replicates))[replicates == r][0] for r in range(8)]
        )
        by_control = values[:8] - values[:8].mean()
        true = levels - levels.mean()
        errors.append([np.square(one - true).mean() for one in (taken, by_control, 0 * true)])
    ours, by_control, uncorrected = np.sqrt(np.mean(errors, axis=0))
    assert ours < 0.4 * uncorrected
    assert uncorrected < by_control


def test_accuracies_of_one_replicate_are_as_they_were():
    values = [0.1, 0.25, 0.3]
    assert subtract_levels(values, ["a", "b", "a"], [7, 7, 7]).tolist() == values
    assert subtract_levels([], [], []).tolist() == []


def test_equal_accuracies_have_no_levels():
    assert subtract_levels([0.5] * 6, list("aabbcc"), [0, 1, 2] * 2).tolist() == [0.5] * 6
