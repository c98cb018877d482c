"""Scores of made-up rungs, as rows of a design and as scores of members."""

import numpy as np
from support.made_up_kernels import draw_codes, make_case

from se_search.score import Score
from se_search.surrogate.rung_terms import RungPriors
from se_search.surrogate.trainings import Design

TWO_RUNGS = (RungPriors(), RungPriors())


def make_scored_case(num_scores=12, seed=0, **options):
    """Return a kernel of two rungs, a design of scores, then trainings, and values.

    The first rung has scores by two groups of members, of three and of one; each rung scores no SE,
    and some candidates are scored by both.
    """
    kernel, trained, values = make_case(seed=seed, rungs=TWO_RUNGS, **options)
    codes = draw_codes(kernel.factors, num_scores, seed + 5)
    half = num_scores // 2
    codes[0] = codes[half] = 0
    codes[1] = codes[half + 1]
    rungs = np.repeat([0, 1], [half, num_scores - half])
    single = (np.arange(num_scores) >= half // 2) & (rungs == 0)
    scores = Design(
        kernel.factors.one_hot(codes),
        np.full(num_scores, len(kernel.fidelity_gaps) - 1),
        single.astype(np.int64),
        rungs,
        np.where(rungs == 1, 4, np.where(single, 1, 3)),
    )
    drawn = np.random.default_rng(seed + 6).standard_normal(num_scores)
    return kernel, scores.followed_by(trained), np.append(drawn, values)


def list_scores(texts, values, rung="supernet", members=(7,)):
    """Return scores of candidates by members, one row of values each."""
    return tuple(
        Score(rung, member, text, text, None, None, float(value), 0.1)
        for member, own in zip(members, np.atleast_2d(values), strict=True)
        for text, value in zip(texts, own, strict=True)
    )
