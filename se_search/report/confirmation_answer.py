"""The answer of a confirmation: what fresh replicates say that one should do, and what is open."""

from __future__ import annotations

from collections.abc import Sequence

from se_search.analysis.confirmation import Confirmation, Confirmed
from se_search.candidate import Candidate
from se_search.report.answer import Answer, describe_added
from se_search.report.confirmation_words import confirmation_sentences
from se_search.report.format import count, gain, round_up, significant
from se_search.report.next_step import choose_next_look
from se_search.report.placement_words import describe_placement
from se_search.report.run_facts import RunFacts
from se_search.store.confirmations import Round
from se_search.surrogate.decision import WORTH, Kind


def answer_confirmation(rounds: Sequence[Round], facts: RunFacts) -> Answer:
    """Return the answer of a run's last confirmation, which has a result.

    Its first sentence is about test images in replicates that no search had.

    Args:
        rounds: the confirmations of the run, the oldest first.
        facts: what else is known of the run.
    """
    last = rounds[-1]
    assert last.result is not None
    kind, taken, what = _decide(last.result, facts)
    return Answer(
        kind=kind,
        what=what,
        candidate=None if taken is None else taken.candidate,
        places=(),
        places_cost=facts.costs[0],
        without_places=None,
        how_sure="\n".join(confirmation_sentences(rounds)),
        next_step=choose_next_look(last, facts),
    )


def _decide(result: Confirmation, facts: RunFacts) -> tuple[Kind, Confirmed | None, str]:
    """Return what to do, the candidate to take, and the sentence that says it."""
    judged = [(each, each.claim) for each in result.candidates if each.claim is not None]
    supported = [each for each, claim in judged if claim.outcome == "supported"]
    if supported:
        taken = result.recommended if result.recommended in supported else supported[0]
        assert taken is not None
        return "put", taken, _describe_taken(taken, len(supported), len(judged), facts)
    candidates = count(len(judged), "candidate")
    none_beats = f"none of {candidates} with SE was shown to beat the plain network"
    still_open = sum(claim.ending == "open" for _, claim in judged)
    if still_open:
        verb = "is" if still_open == 1 else "are"
        text = f"Nothing can be said yet: {none_beats} so far, and {still_open} {verb} open."
        return "nothing", None, text
    limits = [each.test_gain.high for each, _ in judged if each.test_gain is not None]
    known = [limit for limit in limits if limit is not None]
    if not known or len(known) < len(judged):
        text = f"Nothing can be said: {none_beats}, and how much one may gain is not known."
        return "nothing", None, text
    limit = max(0.0, *known)
    most = significant(round_up(100 * limit))
    if limit > WORTH:
        text = f"Nothing can be said: {none_beats}, and one may gain {most} points."
        return "nothing", None, text
    plain = next((each for each in result.candidates if each.claim is None), None)
    text = (
        f"Leave SE out: none of {candidates} confirmed is better than the plain network by more "
        f"than {most} points."
    )
    return "leave", plain, text


def _describe_taken(taken: Confirmed, num_supported: int, num_judged: int, facts: RunFacts) -> str:
    claim = taken.claim
    assert claim is not None
    assert claim.difference is not None
    placement = describe_placement(
        Candidate.parse(taken.candidate, facts.space.backbone), facts.space.space
    )
    others = num_supported - 1
    more = f"; {others} more of {num_judged} are better than the plain network" if others else ""
    return (
        f"Put {placement}: {gain(claim.difference, claim.low, claim.high, 'points')} on test "
        f"images for {describe_added(taken, facts.costs)}{more}."
    )
