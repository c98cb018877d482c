"""Kernels, candidates and trainings of a small made-up space, for tests of the accuracy model."""

import itertools

import numpy as np

from se_search.surrogate.features import Factors
from se_search.surrogate.kernel import (
    CONSTANT,
    MAX_SLOTS_WITH_OWN_SCALE,
    Kernel,
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
