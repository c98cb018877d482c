"""What is trained before there is a model: a design over all costs, then random candidates."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from se_search.search.pool import Array, Codes, Pool
from se_search.seeds import derive_seed
from se_search.surrogate.features import Factors

NUM_ROUNDS = 2  # the second is for what fails or is still running
NUM_DRAWS_PER_START = 64


def make_start_design(
    pool: Pool, factors: Factors, is_allowed: Callable[[Codes], bool], size: int, seed: int
) -> list[Codes]:
    """Return a design over all costs whose levels are used about equally often.

    If a single candidate is the cheapest, it comes first. Of each stratum of cost, in random
    order, the candidate follows whose levels have been used least often so far, among some
    drawn at random.

    Args:
        pool: the candidates, each with codes and scaled costs.
        factors: the slots of the space.
        is_allowed: whether a candidate is within the limits.
        size: number of strata; each gives a candidate in each of two rounds.
        seed: of the draws.
    """
    rng = np.random.default_rng(derive_seed(seed, "start"))
    order = np.lexsort((rng.random(len(pool)), pool.costs[:, 0]))
    counts: Array = np.zeros(factors.num_levels)
    design: list[Codes] = []

    def take(number: int) -> None:
        design.append(pool.codes[number])
        counts[pool.codes[number] + factors.offsets] += 1.0

    cheapest = np.flatnonzero(pool.costs[:, 0] == pool.costs[:, 0].min())
    if len(cheapest) == 1 and is_allowed(pool.codes[cheapest[0]]):
        take(int(cheapest[0]))
    for _ in range(NUM_ROUNDS):
        strata = np.array_split(order, size)
        for stratum in rng.permutation(size):
            drawn = rng.permutation(strata[stratum])[:NUM_DRAWS_PER_START]
            used = counts[pool.codes[drawn] + factors.offsets].sum(axis=1)
            for number in drawn[np.argsort(used, kind="stable")]:
                if is_allowed(pool.codes[number]):
                    take(int(number))
                    break
    return design


def draw_untried(
    pool: Pool, tried: set[bytes], is_allowed: Callable[[Codes], bool], seed: int
) -> Codes | None:
    """Return a candidate that has not been tried, at random.

    Args:
        pool: the candidates.
        tried: codes of candidates, as bytes.
        is_allowed: whether a candidate is within the limits.
        seed: of the draws, together with the number of candidates tried.

    Returns:
        ``(num_slots,)``; None: every candidate of the pool that is allowed has been tried.
    """
    rng = np.random.default_rng(derive_seed(seed, "blind", len(tried)))
    for number in rng.permutation(len(pool)):
        codes = pool.codes[number]
        if codes.tobytes() not in tried and is_allowed(codes):
            return np.asarray(codes)
    return None
