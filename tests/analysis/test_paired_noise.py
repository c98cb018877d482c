"""What a number of images leaves unknown of an accuracy, against simulations and brute force."""

import numpy as np
import pytest

from se_search.analysis.paired_noise import difference_variance, find_least_sd, least_noise
from se_search.analysis.replicates import Replicates


def draw(rng, number, both=0.6, only_a=0.15, only_b=0.1):
    """Return which of some images two networks have right, each image by itself."""
    cell = rng.choice(4, number, p=[both, only_a, only_b, 1 - both - only_a - only_b])
    return np.isin(cell, [0, 1]), np.isin(cell, [0, 2])


def test_the_variance_is_that_of_differences_over_samples_of_images():
    rng = np.random.default_rng(0)
    pairs = [draw(rng, 400) for _ in range(4_000)]
    seen = np.var([a.mean() - b.mean() for a, b in pairs])
    told = np.mean([difference_variance(a, b) for a, b in pairs[:500]])
    assert told == pytest.approx(seen, rel=0.06)


def test_networks_that_are_right_on_the_same_images_are_not_known_to_be_equal():
    """Of ten images a share of images that differ of 0.1 is often not seen: 0.9 ** 10 is 0.35."""
    right = np.ones(10, bool)
    assert np.sqrt(difference_variance(right, right)) == pytest.approx(0.0674, abs=0.001)
    many = np.ones(10_000, bool)
    assert np.sqrt(difference_variance(many, many)) < 1e-4


def test_networks_that_differ_on_every_image_leave_something_unknown_too():
    right = np.ones(10, bool)
    assert np.sqrt(difference_variance(right, ~right)) > 0.05


def test_each_of_two_trainings_has_half_of_the_variance_of_their_difference():
    a, b = draw(np.random.default_rng(1), 100)
    assert least_noise(a, b) == difference_variance(a, b) / 2


def test_replicates_of_which_no_images_are_known_have_no_bound():
    known = Replicates((1, 2), np.array([0.5, 0.5]), np.array([[True, False]] * 2))
    unknown = Replicates((1, 2), np.array([0.5, 0.5]))
    assert find_least_sd(known, unknown) == 0.0
    one = difference_variance(known.correct[0], known.correct[0])
    assert find_least_sd(known, known) == pytest.approx(np.sqrt(one))
