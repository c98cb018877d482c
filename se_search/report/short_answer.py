"""The answer of a run in a few words, for lists of runs."""

from __future__ import annotations

from se_search.report.format import gain, round_up, significant
from se_search.surrogate.posterior_front import PosteriorCandidate, PosteriorFront


def find_best(front: PosteriorFront) -> PosteriorCandidate | None:
    """Return the candidate with SE that stands for a front; None: there is none.

    It is the recommended one, or that of the largest expected gain where none is recommended or no
    SE is.
    """
    taken = front.recommended
    if taken is not None and not taken.is_plain:
        return taken
    with_se = [each for each in front.candidates if not each.is_plain]
    return max(with_se, key=lambda each: each.gain, default=None)


def shorten_answer(front: PosteriorFront) -> str:
    """Return the answer as ``s2:4 +0.62 (0.31 to 0.93)`` or ``no SE (gains at most 0.31)``."""
    best, decision = find_best(front), front.decision
    if not front.candidates:
        return "no full training yet"
    if decision.kind == "leave" and decision.gain_limit is not None:
        limit = significant(round_up(100 * decision.gain_limit))
        return f"no SE (gains at most {limit})"
    if best is None:
        return "no SE trained yet"
    told = f"{best.summary.placement} {gain(best.gain, best.low, best.high)}"
    return told if decision.kind == "put" else f"open: {told}"
