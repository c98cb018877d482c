"""Covariances of scores, against their formula written out for each two."""

import itertools

import numpy as np
import pytest
from support.made_up_kernels import covariance_by_hand, hyper
from support.scored_designs import make_scored_case

from se_search.surrogate.kernel import JITTER
from se_search.surrogate.posterior import Posterior
from se_search.surrogate.rung_terms import RUNG_LEVEL
from se_search.surrogate.trainings import Design


def codes_of(kernel, design):
    return [
        np.array([np.flatnonzero(row[o : o + 4])[0] for o in kernel.factors.offsets])
        for row in design.rows
    ]


def similarity(kernel, one, other):
    """Return the terms ``main`` and ``shared`` of two candidates, of variance 1."""
    main, shared = kernel.main_and_shared
    levels = [kernel.factors.offsets + codes for codes in (one, other)]
    at = np.ix_(*levels)
    return main[at].sum(), shared[at].sum()


def test_the_covariance_of_scores_is_their_formula_for_each_two():
    kernel, design, _ = make_scored_case(budgets=(1, 4), count=6)
    value, codes = hyper(kernel), codes_of(kernel, design)
    found = kernel.among(design)
    for i, j in itertools.product(range(len(design)), repeat=2):
        rungs = design.rungs[i], design.rungs[j]
        if max(rungs) < 0:
            continue  # two trainings: test_kernel
        slopes = [1.0 if rung < 0 else value[f"rung_slope_{rung}"] for rung in rungs]
        wanted = slopes[0] * slopes[1] * covariance_by_hand(kernel, codes[i], codes[j])[0]
        if rungs[0] == rungs[1]:
            rung = rungs[0]
            main, shared = similarity(kernel, codes[i], codes[j])
            wanted += value[f"rung_main_{rung}"] * main + value[f"rung_shared_{rung}"] * shared
            wanted += value[f"rung_plain_{rung}"] * (not codes[i].any() and not codes[j].any())
            if design.replicates[i] == design.replicates[j]:
                wanted += RUNG_LEVEL + value[f"rung_own_{rung}"] * main / design.members[i]
        if i == j:
            wanted += value[f"rung_noise_{rungs[0]}"] / design.members[i] + JITTER
        assert found[i, j] == pytest.approx(wanted), (i, j)


def test_covariances_of_scores_and_trainings_are_positive_definite():
    for seed in range(5):
        kernel, design, _ = make_scored_case(seed=seed)
        assert np.linalg.eigvalsh(kernel.among(design)).min() > 0


def test_cross_is_a_row_of_the_whole_covariance():
    kernel, design, _ = make_scored_case()
    whole = kernel.among(design)
    for number in (0, 4, 8, len(design) - 1):
        one, others = design.take(slice(number, number + 1)), design.take(slice(number))
        np.testing.assert_allclose(kernel.cross(one, others), whole[number, :number])


def test_a_design_that_names_no_score_is_one_of_trainings_to_the_bit():
    kernel, design, _ = make_scored_case()
    trained = design.take(design.is_training)
    assert trained.rungs is not None
    bare = Design(trained.rows, trained.budgets, trained.replicates)
    np.testing.assert_array_equal(kernel.among(trained), kernel.among(bare))
    pool = design.rows
    np.testing.assert_array_equal(
        kernel.with_candidates(trained, pool), kernel.between(bare.rows, pool)
    )


@pytest.mark.parametrize("appended", [False, True])
def test_the_posterior_given_scores_is_that_of_linear_algebra(appended):
    kernel, design, values = make_scored_case()
    pool = kernel.factors.one_hot(np.indices((4, 4, 4, 4)).reshape(4, -1).T)
    base = 5 if appended else len(design)
    posterior = Posterior(kernel, pool, design.take(slice(base)))
    for number in range(base, len(design)):
        posterior.append(design.take(slice(number, number + 1)))
    cross = kernel.between(pool, design.rows) * kernel.slopes(design)
    inverse = np.linalg.inv(kernel.among(design))
    covariance = kernel.between(pool, pool) - cross @ inverse @ cross.T
    np.testing.assert_allclose(posterior.mean(values), cross @ inverse @ values, atol=1e-6)
    np.testing.assert_allclose(posterior.variance, np.diag(covariance), atol=1e-6)
    assert posterior.same_as(design) == len(design)
    other = Design(*(getattr(design, n) for n in ("rows", "budgets", "replicates")))
    assert posterior.same_as(other) == 0


def test_scores_of_slope_nought_leave_the_posterior_as_it_was():
    kernel, design, values = make_scored_case()
    known = hyper(kernel) | {"rung_slope_0": 1e-9, "rung_slope_1": 1e-9}
    kernel = kernel.with_values(np.log([known[name] for name in kernel.names]))
    pool = design.rows
    trained = design.is_training
    alone = Posterior(kernel, pool, design.take(trained))
    both = Posterior(kernel, pool, design)
    np.testing.assert_allclose(both.mean(values), alone.mean(values[trained]), atol=1e-7)
    np.testing.assert_allclose(both.variance, alone.variance, atol=1e-7)
