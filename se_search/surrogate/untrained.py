"""Which candidate without a training is expected to be better than all trained ones of its cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from se_search.cost import find_allowed
from se_search.space.bound import BoundSpace, Price

if TYPE_CHECKING:
    from se_search.surrogate.fitted_model import FittedModel

Array = NDArray[np.float64]

MAX_SCORED = 5_000  # candidates: more cost seconds, and those near the best are alike


@dataclass(frozen=True, slots=True)
class Untrained:
    """A candidate without a full training.

    Attributes:
        candidate: the text form.
        placement: short text for tables.
        expected_gain: over the plain network, a share.
        expected_rise: expected gain less that of the best trained candidate of its cost or less.
        probability_better: that it is better than the plain network.
    """

    candidate: str
    placement: str
    expected_gain: float
    expected_rise: float
    probability_better: float


def find_better_untrained(
    model: FittedModel,
    space: BoundSpace,
    price: Price,
    trained: NDArray[np.int16],
    gains: Array,
    costs: Array,
) -> Untrained | None:
    """Return the candidate that is expected to raise the best gain at its cost by most.

    Of more than 5,000 candidates some are drawn.

    Args:
        model: of the run's trainings.
        space: of the run.
        price: the costs that are minimised.
        trained: ``(n, num_slots)`` codes of the candidates that have a full training.
        gains: ``(n,)`` their expected gains.
        costs: ``(n, m)`` their costs.

    Returns:
        None: no candidate is expected to raise it.
    """
    from scipy.special import ndtr

    allowed = find_allowed(space)
    codes = allowed.list_codes(MAX_SCORED)
    if codes is None:
        codes = np.unique(allowed.draw_codes(MAX_SCORED, np.random.default_rng(0)), axis=0)
    known = {row.tobytes() for row in trained}
    codes = codes[[row.tobytes() not in known for row in codes]]
    if not len(codes):
        return None
    paid = space.price_codes(codes, price)
    expected, sds = model.predict(codes)
    best = np.full(len(codes), -np.inf)
    for gain, cost in zip(gains, costs, strict=True):
        affords = (cost <= paid).all(axis=1)
        best[affords] = np.maximum(best[affords], gain)
    # Cheaper than everything that has been trained: it is compared with the plain network.
    rises = expected - np.where(np.isfinite(best), best, 0.0)
    at = int(np.argmax(rises))
    if rises[at] <= 0:
        return None
    candidate = space.with_codes(codes[at])
    return Untrained(
        str(candidate),
        candidate.placement,
        float(expected[at]),
        float(rises[at]),
        float(ndtr(expected[at] / max(sds[at], 1e-12))),
    )
