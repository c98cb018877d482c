"""The prior of accuracies, against its formula written out slot by slot."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.made_up_kernels import (
    covariance_by_hand,
    draw_codes,
    draw_values,
    hyper,
    make_case,
    make_design,
    make_factors,
)

from se_search.surrogate.features import Factors
from se_search.surrogate.kernel import (
    JITTER,
    MAX_SLOTS_WITH_OWN_SCALE,
    Kernel,
    log2_fidelity_gaps,
)
from se_search.surrogate.trainings import Design


@pytest.mark.parametrize("num_slots", [3, MAX_SLOTS_WITH_OWN_SCALE + 2])
@pytest.mark.parametrize("has_replicates", [True, False])
def test_the_covariance_is_its_formula_summed_slot_by_slot(num_slots, has_replicates):
    factors = make_factors(num_slots)
    fidelity_gaps = log2_fidelity_gaps((1, 4))
    kernel = draw_values(Kernel(factors, fidelity_gaps, has_replicates=has_replicates), 3)
    codes = draw_codes(factors, 6, 0)
    budgets, replicates = np.array([0, 1, 0, 0, 1, 1]), np.array([5, 5, 5, 2, 2, 1_000_000])
    found = kernel.among(make_design(factors, codes, budgets, replicates))
    value = hyper(kernel)
    for i, j in itertools.product(range(6), repeat=2):
        full, drift, liking = covariance_by_hand(kernel, codes[i], codes[j])
        # log2(4 / 1) = 2 doublings that two short trainings share, and a full one does not have.
        wanted = full + 2.0 * drift * (budgets[i] == budgets[j] == 0)
        if has_replicates and replicates[i] == replicates[j]:
            wanted += liking
            wanted += (budgets[i] == budgets[j]) * value[f"level_{budgets[i]}"]
        wanted += (i == j) * (value[f"noise_{budgets[i]}"] + JITTER)
        assert found[i, j] == pytest.approx(wanted)


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
    rng = np.random.default_rng(seed)
    budgets = rng.integers(len(kernel.fidelity_gaps), size=12)
    codes = draw_codes(kernel.factors, 12, seed)
    found = kernel.among(make_design(kernel.factors, codes, budgets, rng.integers(3, size=12)))
    bare = found - np.diag(kernel.noise[budgets] + JITTER)
    np.testing.assert_allclose(bare, bare.T, rtol=1e-12)
    assert np.linalg.eigvalsh(bare).min() > -1e-9 * max(1.0, np.trace(bare))


@pytest.mark.parametrize("has_replicates", [True, False])
def test_cross_and_variance_are_entries_of_the_whole_covariance(has_replicates):
    kernel, design, _ = make_case(has_replicates=has_replicates)
    whole = kernel.among(design)
    one, others = design.take(slice(7, 8)), design.take(slice(7))
    np.testing.assert_allclose(kernel.cross(one, others), whole[7, :7])
    rows = design.rows
    np.testing.assert_allclose(kernel.variance(rows), np.diag(kernel.between(rows, rows)))


def test_noise_beyond_levels_is_what_two_trainings_of_a_candidate_in_two_replicates_do_not_share():
    kernel, design, _ = make_case(budgets=(4,))
    covariance = kernel.among(design)
    shared = kernel.variance(design.rows) + kernel.levels[0] + JITTER
    found = kernel.noise_beyond_levels(design.rows)
    np.testing.assert_allclose(found, np.diag(covariance) - shared)


def test_without_replicates_their_numbers_make_no_difference_and_nothing_is_fitted_to_them():
    kernel, design, _ = make_case(has_replicates=False)
    others = Design(design.rows, design.budgets, np.arange(len(design)) % 2)
    np.testing.assert_array_equal(kernel.among(design), kernel.among(others))
    assert not [name for name in kernel.names if name.startswith(("level", "interaction"))]
    np.testing.assert_array_equal(kernel.noise_beyond_levels(design.rows), kernel.noise[-1])


def test_fidelity_gaps_are_doublings_short_of_the_full_budget():
    assert log2_fidelity_gaps((1, 2, 8)) == (3.0, 2.0, 0.0)
