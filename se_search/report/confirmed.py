"""What a run's last confirmation has found, in a line, and whether it is of the front as it is."""

from __future__ import annotations

from collections.abc import Sequence

from se_search.report.format import count
from se_search.report.placement_words import join_list
from se_search.store.confirmations import Round
from se_search.surrogate.posterior_front import PosteriorCandidate, PosteriorFront

MAX_NAMED = 3


def describe_confirmation(rounds: Sequence[Round], front: PosteriorFront) -> list[str]:
    """Return a line on the last confirmation, and one on what it has missed; none: there is none.

    Args:
        rounds: the confirmations of the run, the oldest first.
        front: of the run as it is now.
    """
    last = rounds[-1] if rounds else None
    if last is None or last.result is None:
        return []
    members = last.result.members
    there = sum(member.on_front for member in members)
    lines = [
        f"Confirmed {last.started[:10]} with {count(last.num_replicates, 'fresh replicate')}: "
        f"{there} of {count(len(members), 'listed candidate')} "
        f"{'is' if there == 1 else 'are'} on the front of the fresh gains (confirmation.csv)."
    ]
    if missed := list_unconfirmed(last, front):
        named = [candidate.summary.placement for candidate in missed[:MAX_NAMED]]
        more = len(missed) - len(named)
        names = join_list([*named, f"{more} more"] if more else named)
        lines.append(f"This confirmation is stale: the front has moved since, to {names}.")
    return lines


def list_unconfirmed(last: Round, front: PosteriorFront) -> list[PosteriorCandidate]:
    """Return the listed candidates of a front that a confirmation has not trained."""
    chosen = {candidate.key for candidate in last.chosen}
    return [candidate for candidate in front.listed if candidate.summary.key not in chosen]
