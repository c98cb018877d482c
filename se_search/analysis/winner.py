"""The gain of the best of several candidates, on replicates that did not choose it.

The largest of several means is too large: it was chosen for its luck, too. Here one half of the
replicates chooses the best candidate, and the other half says what it gains; the mean over many
splits is the gain of a candidate that is chosen in this way, without bias.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.replicates import Floats
from se_search.analysis.statistics import t_quantile

MIN_REPLICATES = 4
MAX_SPLITS = 256  # all splits of up to 10 replicates (252 of 10), so many drawn ones of more


@dataclass(frozen=True, slots=True)
class Winner:
    """The best of several candidates.

    Attributes:
        key: of the candidate with the largest mean gain.
        mean: that mean, in shares: too large, as it was chosen.
        gain: mean gain in halves of the replicates that did not choose, in shares.
        low: lower end of an interval that holds the expectation of ``gain`` in at least 95 % of
            cases: Student's, as wide as for one half of the replicates, since a mean over splits
            varies no more than one split does.
        high: upper end of that interval.
        num_replicates: number of replicates.
    """

    key: str
    mean: float
    gain: float
    low: float
    high: float
    num_replicates: int


def find_winner(keys: tuple[str, ...], gains: Floats) -> Winner | None:
    """Return the candidate with the largest mean gain, and what it gains where it was not chosen.

    Args:
        keys: of the candidates.
        gains: ``(replicates, candidates)`` shares; all candidates were trained in all replicates.

    Returns:
        None if there are fewer than four replicates or two candidates.
    """
    number = len(gains)
    if number < MIN_REPLICATES or len(keys) < 2:
        return None
    choosing = _split(number)
    chosen = (choosing @ gains).argmax(axis=1)
    judging = ~choosing
    sums = (judging @ gains)[np.arange(len(chosen)), chosen]
    gain = float((sums / judging.sum(axis=1)).mean())
    variance = float(gains.var(axis=0, ddof=1)[chosen].mean())
    reach = t_quantile(0.975, number - 1) * math.sqrt(variance / (number // 2))
    means = gains.mean(axis=0)
    best = int(means.argmax())
    return Winner(keys[best], float(means[best]), gain, gain - reach, gain + reach, number)


def _split(number: int) -> NDArray[np.bool_]:
    """Return which replicates choose in each split, ``(splits, number)``: half of them or more."""
    size = number - number // 2
    if math.comb(number, size) <= MAX_SPLITS:
        picks = list(itertools.combinations(range(number), size))
    else:
        rng = np.random.default_rng(0)
        picks = [tuple(rng.permutation(number)[:size]) for _ in range(MAX_SPLITS)]
    marks = np.zeros((len(picks), number), bool)
    for row, picked in enumerate(picks):
        marks[row, list(picked)] = True
    return marks
