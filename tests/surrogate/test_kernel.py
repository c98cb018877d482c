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
    make_factors,
)

from se_search.surrogate.features import Factors
from se_search.surrogate.kernel import (
    JITTER,
    MAX_SLOTS_WITH_OWN_SCALE,
    Kernel,
    log2_fidelity_gaps,
)


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


def test_the_mean_of_several_trainings_has_a_share_of_the_noise_of_one():
    kernel, rows, positions, _ = make_case()
    counts = np.arange(1.0, len(rows) + 1)
    single, pooled = kernel.among(rows, positions), kernel.among(rows, positions, counts)
    noise = kernel.noise[positions]
    np.testing.assert_allclose(single - pooled, np.diag(noise - noise / counts), atol=1e-12)


def test_the_share_of_noise_is_the_mean_of_the_noises_prior_alone():
    for share in (0.05, 0.3):
        kernel = Kernel(make_factors(2), (1.0, 0.0), noise_share=share)
        assert kernel.noise == pytest.approx([share, share])
        assert kernel.with_values(kernel.values + 1.0).prior == pytest.approx(kernel.prior)
    other = Kernel(make_factors(2), (1.0, 0.0))
    same = [not name.startswith("noise_") for name in kernel.names]
    np.testing.assert_array_equal(kernel.prior[same], other.prior[same])


def test_fidelity_gaps_are_doublings_short_of_the_full_budget():
    assert log2_fidelity_gaps((1, 2, 8)) == (3.0, 2.0, 0.0)
