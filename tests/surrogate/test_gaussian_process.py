"""The accuracy model, against its formula written out, linear algebra, and scikit-learn."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Kernel as SklearnKernel

from se_search.surrogate.features import Factors
from se_search.surrogate.gaussian_process import (
    CONSTANT,
    JITTER,
    MAX_SLOTS_WITH_OWN_SCALE,
    Kernel,
    Posterior,
    Scale,
    Trainings,
    _Likelihood,
    log2_fidelity_gaps,
)

SLOT = (
    {},
    {"kind": "se", "reduction": 2.0},
    {"kind": "se", "reduction": 4.0},
    {"kind": "eca"},
)
FOUR = Factors((SLOT,) * 4)


def make_factors(num_slots):
    return Factors((SLOT,) * num_slots)


def draw_codes(factors, count, seed):
    rng = np.random.default_rng(seed)
    sizes = [len(levels) for levels in factors.levels]
    return rng.integers(sizes, size=(count, len(sizes))).astype(np.int16)


def draw_values(kernel, seed, spread=0.3):
    rng = np.random.default_rng(seed)
    mean, sd = kernel.prior.T
    return kernel.with_values(mean + spread * sd * rng.standard_normal(len(mean)))


def make_case(num_slots=4, budgets=(1, 2, 4), count=20, seed=0):
    """Return a kernel, one-hot rows, their budgets and values, with a candidate trained twice."""
    factors = make_factors(num_slots)
    codes = draw_codes(factors, count, seed)
    codes[1] = codes[0]
    rng = np.random.default_rng(seed + 1)
    kernel = draw_values(Kernel(factors, log2_fidelity_gaps(budgets)), seed + 2)
    positions = rng.integers(len(budgets), size=count)
    return kernel, factors.one_hot(codes), positions, rng.standard_normal(count)


def hyper(kernel):
    return dict(zip(kernel.names, np.exp(kernel.values), strict=True))


def covariance_by_hand(kernel, one, other):
    """Return the covariance of two candidates' full-budget accuracies, from their codes."""
    value, factors = hyper(kernel), kernel.factors
    one_levels = [factors.offsets[slot] + code for slot, code in enumerate(one)]
    other_levels = [factors.offsets[slot] + code for slot, code in enumerate(other)]

    def distance(a, b, kind):
        return sum(
            value[f"{kind}_{name}"] * factors.distances[number][a, b]
            for number, name in enumerate(factors.attributes)
        )

    main = np.mean(
        [np.exp(-distance(a, b, "contrast")) for a, b in zip(one_levels, other_levels, strict=True)]
    )
    shared = np.mean(
        [
            np.exp(-distance(a, b, "contrast")) * factors.is_comparable[a, b]
            for a, b in itertools.product(one_levels, other_levels)
        ]
    )
    own_scales = len(one) <= MAX_SLOTS_WITH_OWN_SCALE
    product = np.prod(
        [
            np.exp(-value[f"scale_{slot if own_scales else 0}"] * distance(a, b, "weight"))
            for slot, (a, b) in enumerate(zip(one_levels, other_levels, strict=True))
        ]
    )
    additive = value["variance_main"] * main + value["variance_shared"] * shared
    drift = value.get("drift_main", 0) * main + value.get("drift_shared", 0) * shared
    return CONSTANT + additive + value["variance_product"] * product, drift + CONSTANT


# --- the kernel -----------------------------------------------------------------------------


@pytest.mark.parametrize("num_slots", [3, MAX_SLOTS_WITH_OWN_SCALE + 2])
def test_the_covariance_is_its_formula_summed_slot_by_slot(num_slots):
    factors = make_factors(num_slots)
    kernel = draw_values(Kernel(factors, log2_fidelity_gaps((1, 4))), 3)
    codes = draw_codes(factors, 6, 0)
    budgets = np.array([0, 1, 0, 0, 1, 1])
    found = kernel.among(factors.one_hot(codes), budgets)
    for i, j in itertools.product(range(6), repeat=2):
        full, drift = covariance_by_hand(kernel, codes[i], codes[j])
        # log2(4 / 1) = 2 doublings that two short trainings share, and a full one does not have.
        wanted = full + 2.0 * drift * (budgets[i] == budgets[j] == 0)
        wanted += (i == j) * (hyper(kernel)[f"noise_{budgets[i]}"] + JITTER)
        assert found[i, j] == pytest.approx(wanted)


@pytest.mark.parametrize("num_slots", [2, MAX_SLOTS_WITH_OWN_SCALE + 1])
@pytest.mark.parametrize("budgets", [(4,), (1, 4), (1, 2, 4)])
def test_the_likelihoods_gradient_is_the_numeric_derivative(num_slots, budgets):
    kernel, rows, positions, values = make_case(num_slots, budgets, count=15)
    likelihood = _Likelihood(kernel, rows, positions, values)
    at = kernel.values
    _, gradient = likelihood(at)
    step = 1e-5
    for number, name in enumerate(kernel.names):
        move = step * np.eye(len(at))[number]
        numeric = (likelihood(at + move)[0] - likelihood(at - move)[0]) / (2 * step)
        assert gradient[number] == pytest.approx(numeric, rel=1e-4, abs=1e-5), name


def test_the_likelihood_is_the_normal_density_times_the_prior():
    from scipy.stats import multivariate_normal, norm

    kernel, rows, positions, values = make_case(count=12)
    other = draw_values(kernel, 9)

    def by_scipy(kernel):
        density = multivariate_normal(np.zeros(12), kernel.among(rows, positions)).logpdf(values)
        return -density - norm.logpdf(kernel.values, *kernel.prior.T).sum()

    likelihood = _Likelihood(kernel, rows, positions, values)
    difference = likelihood(kernel.values)[0] - likelihood(other.values)[0]
    assert difference == pytest.approx(by_scipy(kernel) - by_scipy(other))


@st.composite
def kernels(draw):
    level = st.fixed_dictionaries(
        {},
        optional={
            "kind": st.sampled_from(["se", "eca", "ge"]),
            "reduction": st.sampled_from([1.0, 2.0, 5.0]),
        },
    )
    slots = draw(st.lists(st.lists(level, min_size=1, max_size=4), min_size=1, max_size=5))
    budgets = draw(st.sampled_from([(4,), (1, 4), (1, 3, 9)]))
    kernel = Kernel(Factors(tuple(map(tuple, slots))), log2_fidelity_gaps(budgets))
    return draw_values(kernel, draw(st.integers(0, 1000)), spread=2.0)


@given(kernels(), st.integers(0, 1000))
@settings(max_examples=60)
def test_covariances_are_positive_semi_definite(kernel, seed):
    codes = draw_codes(kernel.factors, 12, seed)
    budgets = np.random.default_rng(seed).integers(len(kernel.fidelity_gaps), size=12)
    found = kernel.among(kernel.factors.one_hot(codes), budgets)
    bare = found - np.diag(kernel.noise[budgets] + JITTER)
    np.testing.assert_allclose(bare, bare.T, rtol=1e-12)
    assert np.linalg.eigvalsh(bare).min() > -1e-9 * max(1.0, np.trace(bare))


def test_cross_and_variance_are_entries_of_the_whole_covariance():
    kernel, rows, positions, _ = make_case()
    whole = kernel.among(rows, positions)
    np.testing.assert_allclose(
        kernel.cross(rows[7], int(positions[7]), rows[:7], positions[:7]), whole[7, :7]
    )
    np.testing.assert_allclose(kernel.variance(rows), np.diag(kernel.between(rows, rows)))


def test_hyper_parameters_come_back_from_data_drawn_from_the_model():
    factors = make_factors(3)
    kernel = Kernel(factors, log2_fidelity_gaps((1, 4)))
    truth = dict(zip(kernel.names, kernel.prior[:, 0], strict=True))
    truth |= {"variance_main": np.log(2.0), "noise_0": np.log(0.2), "noise_1": np.log(0.02)}
    drawn_from = kernel.with_values(np.array([truth[name] for name in kernel.names]))
    # Each candidate twice with both budgets.
    rows = factors.one_hot(np.repeat(draw_codes(factors, 28, 4), 4, axis=0))
    budgets = np.arange(len(rows)) // 2 % 2
    covariance = drawn_from.among(rows, budgets)
    values = np.random.default_rng(5).multivariate_normal(np.zeros(len(rows)), covariance)
    fitted = hyper(kernel.fit(rows, budgets, values))
    for name in ("noise_0", "noise_1"):
        assert 0.5 < fitted[name] / np.exp(truth[name]) < 2, name
    assert fitted["variance_main"] > fitted["variance_product"]


def test_fitting_raises_the_density_and_ends_where_it_is_flat():
    kernel, rows, positions, values = make_case(count=30)
    kernel = Kernel(kernel.factors, kernel.fidelity_gaps)
    likelihood = _Likelihood(kernel, rows, positions, values)
    fitted = kernel.fit(rows, positions, values)
    before, at_start = likelihood(kernel.values)
    after, at_end = likelihood(fitted.values)
    assert after < before
    assert np.abs(at_end).max() < 0.05 * np.abs(at_start).max()


# --- what is believed after trainings ---------------------------------------------------------


def whole_pool(factors):
    sizes = [len(levels) for levels in factors.levels]
    codes = np.indices(sizes).reshape(len(sizes), -1).T
    return factors.one_hot(codes).astype(np.float32)


def posterior_by_algebra(kernel, pool, rows, budgets, values):
    inverse = np.linalg.inv(kernel.among(rows, budgets))
    cross = kernel.between(pool.astype(float), rows)
    prior = kernel.between(pool.astype(float), pool.astype(float))
    return cross @ inverse @ values, prior - cross @ inverse @ cross.T


def test_mean_and_variance_are_those_of_linear_algebra():
    kernel, rows, positions, values = make_case()
    pool = whole_pool(kernel.factors)
    posterior = Posterior(kernel, pool, rows, positions)
    mean, covariance = posterior_by_algebra(kernel, pool, rows, positions, values)
    np.testing.assert_allclose(posterior.mean(values), mean, atol=1e-4)
    np.testing.assert_allclose(posterior.variance, np.diag(covariance), atol=1e-4)


class _Given(SklearnKernel):
    """The formula by hand as a kernel of scikit-learn's, over codes, without a noise term."""

    def __init__(self, kernel=None):
        self.kernel = kernel

    def __call__(self, left, right=None, eval_gradient=False):
        right = left if right is None else right
        return np.array(
            [
                [covariance_by_hand(self.kernel, one, other)[0] for other in right.astype(int)]
                for one in left.astype(int)
            ]
        )

    def diag(self, rows):
        return np.array([covariance_by_hand(self.kernel, one, one)[0] for one in rows.astype(int)])

    def is_stationary(self):
        return False


def test_with_one_budget_scikit_learn_believes_the_same():
    factors = make_factors(3)
    kernel = draw_values(Kernel(factors, log2_fidelity_gaps((4,))), 1)
    codes, pool = draw_codes(factors, 15, 0), draw_codes(factors, 20, 1)
    codes[1] = codes[0]
    values = np.random.default_rng(0).standard_normal(15)
    theirs = GaussianProcessRegressor(
        _Given(kernel), alpha=float(kernel.noise[0]) + JITTER, optimizer=None
    ).fit(codes, values)
    mean, sd = theirs.predict(pool, return_std=True)
    ours = Posterior(
        kernel,
        factors.one_hot(pool).astype(np.float32),
        factors.one_hot(codes),
        np.zeros(15, np.int64),
    )
    np.testing.assert_allclose(ours.mean(values), mean, atol=1e-4)
    np.testing.assert_allclose(np.sqrt(ours.variance), sd, atol=1e-4)


def test_trainings_appended_one_by_one_are_believed_as_a_block_is():
    kernel, rows, positions, values = make_case(count=90)
    pool = whole_pool(kernel.factors)
    block = Posterior(kernel, pool, rows, positions)
    one_by_one = Posterior(kernel, pool, rows[:3], positions[:3])
    for row, budget in zip(rows[3:], positions[3:], strict=True):
        one_by_one.append(row, int(budget))
    assert len(one_by_one) == 90
    np.testing.assert_allclose(one_by_one.mean(values), block.mean(values), atol=2e-4)
    np.testing.assert_allclose(one_by_one.variance, block.variance, atol=2e-4)


@pytest.mark.parametrize("num_base", [3, 10])
def test_taken_away_and_appended_again_is_the_same_to_the_bit(num_base):
    kernel, rows, positions, values = make_case()
    pool = whole_pool(kernel.factors)

    def append(posterior, numbers):
        for number in numbers:
            posterior.append(rows[number], int(positions[number]))

    straight = Posterior(kernel, pool, rows[:num_base], positions[:num_base])
    append(straight, range(num_base, 14))
    detour = Posterior(kernel, pool, rows[:num_base], positions[:num_base])
    append(detour, [19, 18, 17])
    detour.truncate(num_base)
    append(detour, [*range(num_base, 12), 17, 18])
    detour.truncate(12)
    append(detour, [12, 13])
    np.testing.assert_array_equal(detour.mean(values[:14]), straight.mean(values[:14]))
    np.testing.assert_array_equal(detour.variance, straight.variance)


def test_a_running_training_leaves_the_mean_and_lowers_the_variance():
    kernel, rows, positions, values = make_case(count=10)
    pool = whole_pool(kernel.factors)
    posterior = Posterior(kernel, pool, rows, positions)
    mean, variance = posterior.mean(values), posterior.variance
    own = 77
    posterior.append(pool[own].astype(float), 2)
    np.testing.assert_array_equal(posterior.mean(values), mean)
    assert (posterior.variance <= variance).all()
    assert posterior.variance[own] < 0.5 * variance[own]


def test_replicated_seeds_shrink_the_variance_as_noise_over_their_number():
    """Of a candidate whose prior is far wider than the noise."""
    factors = make_factors(2)
    kernel = Kernel(factors, (0.0,))
    kernel = kernel.with_values(
        np.where([name == "noise_0" for name in kernel.names], np.log(0.01), kernel.values)
    )
    row = factors.one_hot(np.array([[1, 2]]))
    for count in (4, 16):
        posterior = Posterior(
            kernel, row.astype(np.float32), np.repeat(row, count, axis=0), np.zeros(count, int)
        )
        assert posterior.variance[0] == pytest.approx(0.01 / count, rel=0.05)


def test_same_as_counts_the_trainings_up_to_the_first_other_one():
    kernel, rows, positions, _ = make_case(count=8)
    posterior = Posterior(kernel, whole_pool(kernel.factors), rows, positions)
    assert posterior.same_as(rows, positions) == 8
    assert posterior.same_as(rows[:5], positions[:5]) == 5
    assert posterior.same_as(np.vstack([rows, rows]), np.tile(positions, 2)) == 8
    other = positions.copy()
    other[3] = (other[3] + 1) % 3
    assert posterior.same_as(rows, other) == 3
    assert posterior.same_as(rows[::-1], positions) == 0


def test_samples_have_the_moments_of_the_belief():
    kernel, rows, positions, values = make_case()
    pool = whole_pool(kernel.factors)
    posterior = Posterior(kernel, pool, rows, positions)
    members = np.array([3, 50, 51, 200])
    samples = posterior.sample(members, values, 40_000, np.random.default_rng(0))
    mean, covariance = posterior_by_algebra(kernel, pool[members], rows, positions, values)
    assert samples.shape == (40_000, 4)
    np.testing.assert_allclose(samples.mean(axis=0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(samples.T), covariance, atol=0.03)


# --- short trainings ----------------------------------------------------------------------------


def truth_of(codes):
    gain = np.array([0.0, 1.0, 0.5, -0.5])
    return gain[codes].sum(axis=1)


@pytest.mark.parametrize(
    "bias",
    [lambda codes: np.full(len(codes), -3.0), lambda codes: 1.5 * (codes == 2).sum(axis=1)],
    ids=["constant", "of_a_level"],
)
def test_what_short_trainings_get_wrong_is_learnt_from_candidates_trained_both_ways(bias):
    rng = np.random.default_rng(0)
    codes = draw_codes(FOUR, 60, 1)
    short = truth_of(codes) + bias(codes) + rng.normal(0, 0.05, 60)
    both = codes[:25]
    full = truth_of(both) + rng.normal(0, 0.05, 25)
    rows = FOUR.one_hot(np.vstack([codes, both]))
    budgets = np.repeat([0, 1], [60, 25])
    values = np.append(short, full)
    mean, sd = full.mean(), values.std()
    fitted = Kernel(FOUR, log2_fidelity_gaps((1, 4))).fit(rows, budgets, (values - mean) / sd)
    # Candidates that have had a short training only, and one that is wrong by far.
    members = codes[25:]
    pool = FOUR.one_hot(members).astype(np.float32)
    found = Posterior(fitted, pool, rows, budgets).mean((values - mean) / sd) * sd + mean
    error = np.abs(found - truth_of(members)).mean()
    assert error < 0.15
    assert error < 0.2 * np.abs(short[25:] - truth_of(members)).mean()


# --- the scale ------------------------------------------------------------------------------------


def trainings_of(accuracies, budgets=None):
    accuracies = np.asarray(accuracies, float)
    budgets = np.zeros(len(accuracies), np.int64) if budgets is None else np.asarray(budgets)
    return Trainings(np.zeros((len(accuracies), 1), np.int16), budgets, accuracies)


ACCURACIES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@given(ACCURACIES, st.floats(0, 1), st.floats(0, 1))
def test_a_better_accuracy_is_never_lower_on_the_scale(accuracies, one, other):
    scale = Scale.fit(trainings_of(accuracies), 1, 20)
    low, high = scale.apply(np.array(sorted([one, other])), np.zeros(2, np.int64))
    assert low <= high


@given(st.lists(st.integers(0, 1000), min_size=4, max_size=40, unique=True))
def test_undoing_is_the_inverse_above_the_floor_and_short_of_it_below(thousandths):
    accuracies = np.array(thousandths) / 1000
    scale = Scale.fit(trainings_of(accuracies), 1, 40)
    budgets = np.zeros(len(accuracies), np.int64)
    found = scale.undo(scale.apply(accuracies, budgets))
    floor = np.quantile(accuracies, 0.25)
    above = accuracies >= floor
    np.testing.assert_allclose(found[above], accuracies[above], atol=1e-9)
    assert (found[~above] > accuracies[~above] - 1e-12).all()
    assert scale.undo(np.array([scale.floor]))[0] == pytest.approx(floor)


def test_below_the_floor_distances_are_as_their_logarithms_and_begin_as_they_are():
    scale = Scale.fit(trainings_of(np.linspace(0.5, 0.9, 21)), 1, 21)
    floor, width = 0.6, 0.25 * (0.8 - 0.6)  # a quarter of the middle half
    below = np.array([1e-6, width, 10 * width])
    found = scale.undo(scale.apply(floor - below, np.zeros(3, np.int64)))
    np.testing.assert_allclose(found, floor - width * np.log1p(below / width))
    assert floor - found[0] == pytest.approx(1e-6, rel=1e-3)


def test_the_floor_is_set_by_the_first_trainings_alone():
    starts = np.linspace(0.5, 0.9, 8)
    few = Scale.fit(trainings_of(starts), 1, 8)
    more = Scale.fit(trainings_of([*starts, *np.full(50, 0.95)]), 1, 8)
    assert few.floors == more.floors


def test_full_accuracies_have_mean_0_and_standard_deviation_1():
    accuracies = np.random.default_rng(0).uniform(0.6, 0.9, 30)
    scale = Scale.fit(trainings_of(accuracies), 1, 30)
    standard = scale.apply(accuracies, np.zeros(30, np.int64))
    assert standard.mean() == pytest.approx(0, abs=1e-9)
    assert standard.std() == pytest.approx(1)


def test_each_budget_has_a_floor_of_its_own():
    short, full = np.linspace(0.1, 0.3, 9), np.linspace(0.7, 0.9, 9)
    scale = Scale.fit(trainings_of([*short, *full], np.repeat([0, 1], 9)), 2, 9)
    np.testing.assert_allclose(scale.floors, [0.15, 0.75])
    standard = scale.apply(full, np.ones(9, np.int64))
    assert standard.mean() == pytest.approx(0, abs=1e-9)


def test_poor_outliers_move_neither_the_order_of_the_good_ones_nor_their_distances_much():
    good = np.linspace(0.70, 0.74, 12)
    usual = Scale.fit(trainings_of([*good, 0.69, 0.68, 0.67]), 1, 20)
    broken = Scale.fit(trainings_of([*good, 0.10, 0.11, 0.12]), 1, 20)
    zeros = np.zeros(12, np.int64)
    apart = [np.ptp(scale.apply(good, zeros)) for scale in (usual, broken)]
    assert (np.diff(broken.apply(good, zeros)) > 0).all()
    assert apart[1] > 0.4 * apart[0]  # left as they are, they would be 0.14 of it
    assert np.ptp(good) / np.std([*good, 0.10, 0.11, 0.12]) < 0.2 * apart[0]


def test_one_training_has_a_scale():
    scale = Scale.fit(trainings_of([0.5]), 1, 8)
    assert scale.apply(np.array([0.5]), np.array([0])).tolist() == [0.0]
    assert np.isfinite(scale.floor)


def test_before_any_full_training_the_scale_is_that_of_the_short_ones():
    scale = Scale.fit(trainings_of([0.2, 0.3, 0.4], [0, 0, 0]), 2, 8)
    assert scale.undo(np.array([scale.floor]))[0] == pytest.approx(0.25)
    assert np.isfinite(scale.apply(np.array([0.5]), np.array([1]))).all()


def test_spans_are_doublings_short_of_the_full_budget():
    assert log2_fidelity_gaps((1, 2, 8)) == (3.0, 2.0, 0.0)
