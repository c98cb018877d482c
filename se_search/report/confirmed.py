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
    claims = [(each, each.claim) for each in last.result.candidates if each.claim is not None]
    better = [each.placement for each, claim in claims if claim.outcome == "supported"]
    worse = sum(claim.outcome == "refuted" for _, claim in claims)
    still_open = sum(claim.ending == "open" for _, claim in claims)
    which = f" ({join_list(better)})" if 0 < len(better) <= MAX_NAMED else ""
    lines = [
        f"Confirmation of {last.started[:10]}, {count(last.num_replicates, 'fresh replicate')}: of "
        f"{count(len(claims), 'candidate')} with SE {len(better)} "
        f"{'is' if len(better) == 1 else 'are'} better than the plain network{which}, {worse} "
        f"worse, {still_open} open, {len(claims) - len(better) - worse - still_open} undecided "
        "(confirmation.csv)."
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
