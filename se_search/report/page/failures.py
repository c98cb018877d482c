"""Which trials of a run failed, and why: by reason, the most frequent first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from se_search.record import TrialRecord
from se_search.store.confirmations import Round
from se_search.terminal import one_line

MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Trainings that failed for one reason.

    Attributes:
        reason: why.
        num_failures: how many.
        where: numbers and candidates of the first of them.
    """

    reason: str
    num_failures: int
    where: str


def group_failures(records: Sequence[TrialRecord]) -> list[FailureGroup]:
    """Return the failed trials of a search by reason, the most frequent first."""
    groups: dict[str, list[TrialRecord]] = {}
    for record in records:
        if record.state == "FAIL":
            groups.setdefault(one_line(record.reason or "no reason is known"), []).append(record)
    return [
        FailureGroup(reason, len(own), _name(own))
        for reason, own in sorted(groups.items(), key=lambda item: -len(item[1]))
    ]


def list_failures(rounds: Sequence[Round]) -> list[str]:
    """Return why trainings of the last confirmation failed, a line each."""
    return [one_line(str(failure)) for failure in rounds[-1].failures] if rounds else []


def _name(records: Sequence[TrialRecord]) -> str:
    named = [f"trial {record.number}: {record.placement}" for record in records[:MAX_NAMED]]
    more = len(records) - len(named)
    return "; ".join([*named, f"and {more:,} more"] if more else named)
