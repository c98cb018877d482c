"""Asks now and then whether a search has settled, so that a continued one asks alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile

from se_search.record import TrialRecord

FEWEST_NEW = 5  # full trainings between two questions; an answer can cost as much as a training
SHARE_NEW = 20  # from 100 full trainings on, a twentieth of them


class Settling:
    """Whether a search may end before its trials are spent.

    The question is asked when the full trainings that have ended have grown by a twentieth, at
    least by five, and is about the trials up to the one that made it due. So it depends on the
    trials alone, not on when it is asked: a continued search gets the answers of an undisturbed
    one, and a search that has settled stays so.

    Args:
        is_settled: is handed trials that have all ended, by number.
    """

    def __init__(self, is_settled: Callable[[Sequence[TrialRecord]], bool]) -> None:
        self._is_settled = is_settled
        self._answers = {0: False}  # by the number of full trainings that the question is about

    def holds(self, records: Sequence[TrialRecord]) -> bool:
        """Return the answer to the question that was due last; False: none has been.

        Args:
            records: all trials, by number.
        """
        ended = list(takewhile(lambda r: r.state not in ("RUNNING", "WAITING"), records))
        full = [position for position, r in enumerate(ended) if r.state == "COMPLETE"]
        num_due = _last_due(len(full))
        if num_due not in self._answers:
            self._answers[num_due] = self._is_settled(ended[: full[num_due - 1] + 1])
        return self._answers[num_due]


def _last_due(num_full: int) -> int:
    """Return the last number of full trainings, up to ``num_full``, at which to ask; 0: none."""
    due = 0
    while (following := due + max(FEWEST_NEW, -(-due // SHARE_NEW))) <= num_full:
        due = following
    return due
