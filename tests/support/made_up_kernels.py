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
from se_search.surrogate.trainings import Design

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


def make_design(factors, codes, budgets=None, replicates=None):
    """Return a design of candidates; by default of one budget and one replicate."""
    none = np.zeros(len(codes), np.int64)
    return Design(
        factors.one_hot(np.asarray(codes)),
        none if budgets is None else np.asarray(budgets),
        none if replicates is None else np.asarray(replicates),
    )


def make_case(num_slots=4, budgets=(1, 2, 4), count=20, seed=0, **options):
    """Return a kernel, a design in three replicates, and values; a candidate is trained twice."""
    factors = make_factors(num_slots)
    codes = draw_codes(factors, count, seed)
    codes[1] = codes[0]
    rng = np.random.default_rng(seed + 1)
    kernel = draw_values(Kernel(factors, log2_fidelity_gaps(budgets), **options), seed + 2)
    positions = rng.integers(len(budgets), size=count)
    values = rng.standard_normal(count)
    return kernel, make_design(factors, codes, positions, rng.integers(3, size=count)), values


def hyper(kernel):
    return dict(zip(kernel.names, np.exp(kernel.values), strict=True))


def covariance_by_hand(kernel, one, other):
    """Return covariances of two candidates, from their codes, by what they are of.

    Returns:
        Of full-budget accuracies; of what a short budget does, for each doubling; of what one
        replicate does beside its level.
    """
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
    of_main, of_shared = value["variance_main"], value["variance_shared"]
    additive = of_main * main + of_shared * shared
    apart = value["plain"] * (not any(one) and not any(other))  # code 0 is no SE
    full = CONSTANT + additive + value["variance_product"] * product + apart
    drift = value.get("drift_main", 0) * main + value.get("drift_shared", 0) * shared
    # What a replicate does is shaped as the additive terms are, with a variance of its own.
    liking = value.get("interaction", 0) * additive / (of_main + of_shared)
    return full, drift + CONSTANT, liking
