"""Comparisons of two candidates, against scipy, brute force and simulated tables."""

import math
import subprocess
import sys

import numpy as np
import pytest
from scipy import stats
from scipy.special import ndtr

from se_search.analysis.comparison import compare, population_interval
from se_search.analysis.replicates import Replicates
from se_search.errors import RunError

A = np.array([0.912, 0.915, 0.910, 0.917, 0.913, 0.916])
B = np.array([0.910, 0.911, 0.911, 0.912, 0.910, 0.913])
IMAGES = 200


def seeded(accuracies, seeds=None, correct=None):
    return Replicates(
        tuple(seeds or range(len(accuracies))), np.asarray(accuracies, float), correct
    )


def of_bits(correct):
    return seeded(correct.mean(axis=1), correct=correct)


def crossed_bits(rng, num_replicates, seed_sd, image_sd, gap):
    """Which images two candidates have right: a probit model with crossed random effects."""
    common = 1 + 1.5 * rng.standard_normal((1, IMAGES))

    def right(shift):
        by_seed = seed_sd * rng.standard_normal((num_replicates, 1))
        by_image = image_sd * rng.standard_normal((1, IMAGES))
        return (
            common + shift + by_seed + by_image + rng.standard_normal((num_replicates, IMAGES)) > 0
        )

    return right(gap), right(0)


def crossed_truth(seed_sd, image_sd, gap):
    spread = math.sqrt(1 + 1.5**2 + seed_sd**2 + image_sd**2)
    return ndtr((1 + gap) / spread) - ndtr(1 / spread)


def test_the_interval_and_p_of_t_are_scipys():
    found = stats.ttest_rel(A, B)
    comparison = compare(seeded(A), seeded(B))
    assert comparison.difference == pytest.approx((A - B).mean())
    assert comparison.sd == pytest.approx(np.std(A - B, ddof=1))
    assert comparison.p_t == pytest.approx(found.pvalue)
    assert comparison.interval == pytest.approx(tuple(found.confidence_interval(0.95)))
    ninety = compare(seeded(A), seeded(B), confidence=0.9)
    assert ninety.interval == pytest.approx(tuple(found.confidence_interval(0.9)))


def test_the_p_of_many_pairs_is_never_0():
    assert compare(seeded(np.full(40, 0.9)), seeded(np.full(40, 0.8))).p_value == pytest.approx(
        2**-16
    )


def test_fewer_than_six_pairs_cannot_be_significant_however_large_the_difference():
    for n in range(2, 7):
        comparison = compare(seeded(A[:n] + 0.05), seeded(B[:n]))
        assert comparison.p_value == comparison.smallest_p == 2 / 2**n
        assert (comparison.smallest_p < 0.05) == (n == 6)


def test_only_seeds_that_both_have_are_compared_and_each_with_its_own():
    a = seeded([0.5, 0.9, 0.7], [8, 2, 5])
    b = seeded([0.1, 0.6, 0.3, 0.2], [5, 8, 9, 2])
    assert compare(a, b).seeds == (2, 5, 8)


def test_bits_are_paired_by_seed_too():
    rng = np.random.default_rng(0)
    bits = rng.random((3, 50)) < 0.8
    order = [2, 0, 1]
    a = Replicates((0, 1, 2), bits.mean(axis=1), bits)
    b = Replicates((2, 0, 1), bits[order].mean(axis=1), bits[order])
    assert compare(a, b).population == (0, 0)


def test_the_comparison_with_a_and_b_exchanged_is_the_mirror_image():
    there, back = compare(seeded(A), seeded(B)), compare(seeded(B), seeded(A))
    assert back.difference == -there.difference
    assert back.p_value == there.p_value
    assert back.p_better == pytest.approx(1 - there.p_better)
    assert back.interval == pytest.approx((-there.interval.high, -there.interval.low))


def test_p_better_is_the_share_of_pairs_with_ties_half():
    comparison = compare(seeded([0.9, 0.8, 0.7, 0.6]), seeded([0.8, 0.8, 0.6, 0.7]))
    assert comparison.p_better == (2 + 0.5) / 4


def test_accuracies_that_differ_by_the_same_number_of_images_are_the_same_difference():
    # 0.912 - 0.911 and 0.812 - 0.811 differ in their last digits.
    a, b = np.array([9120, 8120, 7120, 3]) / 10_000, np.array([9110, 8110, 7110, 3]) / 10_000
    comparison = compare(seeded(a[:3]), seeded(b[:3]))
    assert comparison.sd == 0
    assert comparison.bootstrap is None
    assert comparison.interval == (comparison.difference, comparison.difference)
    assert comparison.detectable == 0
    assert comparison.p_t == 0
    assert compare(seeded(a), seeded(b)).p_better == 3.5 / 4


def test_equal_accuracies_are_no_difference_at_all():
    comparison = compare(seeded(A), seeded(A))
    assert (comparison.difference, comparison.p_value, comparison.p_t) == (0, 1, 1)
    assert comparison.bootstrap is None
    assert comparison.p_better == 0.5
    assert comparison.rho == pytest.approx(1)


def test_rho_is_the_correlation_of_the_pairs_and_unknown_where_there_is_none():
    assert compare(seeded(A), seeded(B)).rho == pytest.approx(stats.pearsonr(A, B).statistic)
    assert compare(seeded(A[:2]), seeded(B[:2])).rho is None
    assert compare(seeded(A), seeded(np.full(6, 0.9))).rho is None


def test_the_bca_interval_is_near_that_of_t_for_many_normal_differences():
    rng = np.random.default_rng(5)
    comparison = compare(seeded(0.5 + 0.01 * rng.normal(size=100)), seeded(np.full(100, 0.49)))
    width = comparison.interval.high - comparison.interval.low
    assert comparison.bootstrap == pytest.approx(comparison.interval, abs=0.05 * width)


@pytest.mark.parametrize(("effect", "n"), [(0.5, 34), (0.8, 15), (1.0, 10)])
def test_the_detectable_difference_is_that_of_published_sample_sizes(effect, n):
    # Matched pairs, two-sided 0.05, power 0.8: G*Power 3.1 and Cohen's tables give these n.
    def detectable(count):
        noise = np.random.default_rng(0).normal(size=count)
        noise = 0.01 * (noise - noise.mean()) / noise.std(ddof=1)
        return compare(seeded(0.5 + noise), seeded(np.full(count, 0.5))).detectable / 0.01

    assert detectable(n) <= effect < detectable(n - 1)


def test_the_detectable_difference_is_found_in_80_percent_of_simulated_experiments():
    comparison = compare(seeded(A), seeded(B))
    rng = np.random.default_rng(6)
    simulated = rng.normal(comparison.detectable, comparison.sd, (20_000, comparison.n))
    found = stats.ttest_1samp(simulated, 0, axis=1).pvalue <= 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize(
    ("num_replicates", "seed_sd", "image_sd"), [(6, 0, 0), (6, 0.3, 0), (6, 0, 0.8), (3, 0.1, 0.4)]
)
def test_the_population_interval_holds_the_truth_as_often_as_it_says(
    num_replicates, seed_sd, image_sd
):
    rng = np.random.default_rng(7)
    truth = crossed_truth(seed_sd, image_sd, gap=0.1)
    held = []
    for _ in range(300):
        right, other = crossed_bits(rng, num_replicates, seed_sd, image_sd, gap=0.1)
        low, high = population_interval(
            right.astype(np.int8) - other.astype(np.int8), num_resamples=999
        )
        held.append(low <= truth <= high)
    assert 0.93 <= np.mean(held) <= 0.99


def test_without_noise_of_seeds_the_population_interval_is_the_bootstrap_over_images():
    rng = np.random.default_rng(8)
    one = rng.integers(-1, 2, 500).astype(np.int8)
    found = stats.bootstrap((one,), np.mean, method="percentile", rng=rng).confidence_interval
    assert population_interval(np.tile(one, (6, 1))) == pytest.approx(tuple(found), abs=0.006)


def test_without_noise_of_images_the_population_interval_is_that_of_t():
    # Each seed's difference is spread over the images so that no image stands out.
    shares = np.array([30, -10, 20, 0, 50, 10, -20, 40])
    table = np.zeros((8, 800), np.int8)
    for row, share in enumerate(shares):
        table[row, row * 100 : row * 100 + abs(share)] = np.sign(share)
    differences = table.mean(axis=1)
    low, high = stats.ttest_1samp(differences, 0).confidence_interval()
    width = high - low
    assert population_interval(table) == pytest.approx((low, high), abs=0.08 * width)


def test_the_population_interval_is_wider_than_that_of_these_images_if_images_matter():
    rng = np.random.default_rng(9)
    right, other = crossed_bits(rng, 12, 0, 0.8, gap=0.1)
    comparison = compare(of_bits(right), of_bits(other))
    width = comparison.interval.high - comparison.interval.low
    assert comparison.population.high - comparison.population.low > 1.5 * width


def test_without_bits_of_both_there_is_no_population_interval():
    bits = np.random.default_rng(0).random((4, 30)) < 0.5
    assert compare(of_bits(bits), seeded(A[:4])).population is None


def test_the_same_seed_of_resampling_gives_the_same_numbers():
    bits = np.random.default_rng(10).random((2, 5, 200)) < 0.7
    first, again, other = (compare(of_bits(bits[0]), of_bits(bits[1]), seed=s) for s in (0, 0, 1))
    assert first == again
    assert first.population != other.population


def test_fewer_than_two_common_seeds_are_refused_by_name():
    with pytest.raises(RunError, match=r"\[0, 1\] and B \[1, 2\]: in common \[1\]; at least 2"):
        compare(seeded([0.1, 0.2]), seeded([0.1, 0.2], [1, 2]))


def test_other_images_are_refused():
    with pytest.raises(RunError, match="30 images and B on 31"):
        compare(of_bits(np.ones((2, 30), bool)), of_bits(np.ones((2, 31), bool)))


def test_importing_comparisons_and_claims_imports_no_scipy():
    code = "import se_search.analysis.verdicts, sys; print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
