"""The answer of a run in three sentences: what to do, how sure that is, and what to do next.

Between the first and the second stands a table of five rows: where SE surely helps or harms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from se_search.analysis.confirmation import Chosen
from se_search.analysis.pareto import CandidateSummary
from se_search.candidate import Candidate
from se_search.report.format import count, gain, round_up, significant
from se_search.report.ladder import describe_resolution
from se_search.report.next_step import NextStep, choose_next_step
from se_search.report.placement_words import describe_placement, join_list
from se_search.report.places import PlaceGain, choose_places
from se_search.report.run_facts import RunFacts
from se_search.store.confirmations import Round
from se_search.surrogate.decision import Kind
from se_search.surrogate.posterior_front import PosteriorCandidate, PosteriorFront

COST_NAMES = {"params": "parameters", "macs": "MACs", "latency": "latency"}


@dataclass(frozen=True, slots=True)
class Answer:
    """The three sentences that end a run, with the table behind the first.

    Attributes:
        kind: ``put``: SE in; ``leave``: SE out; ``nothing``: neither is known.
        what: what to do.
        candidate: text form of the network to take; None: nothing can be said.
        places: where SE helps or harms, surest first, five at most.
        places_cost: the cost that they add to: ``params`` or ``macs``.
        without_places: why there are no places; None: there are.
        how_sure: what the answer rests on, and whether it is settled.
        next_step: what to do next.
    """

    kind: Kind
    what: str
    candidate: str | None
    places: tuple[PlaceGain, ...]
    places_cost: str
    without_places: str | None
    how_sure: str
    next_step: NextStep

    def __str__(self) -> str:
        """Return the three sentences, and the command of the third, a line each."""
        lines = [self.what, self.how_sure, self.next_step.text]
        if self.next_step.command is not None:
            lines.append(f"  {self.next_step.command}")
        return "\n".join(lines)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show the sentences in IPython."""
        printer.text(str(self))

    def to_json(self) -> dict[str, Any]:
        """Return plain data: the fields, in which ``next_step`` has its own."""
        return asdict(self)


def make_answer(
    front: PosteriorFront, facts: RunFacts, confirmation: Round | None = None
) -> Answer:
    """Return the answer of a run.

    Args:
        front: what the run's trials say of each candidate and place.
        facts: what else the answer says of the run.
        confirmation: the last one of the run; None: there is none.
    """
    places: tuple[PlaceGain, ...] = ()
    cost, without = facts.costs[0], front.reason
    if front.effects is not None:
        places, cost = choose_places(front.effects.main), front.effects.cost
        without = None if places else "no place has been trained both with SE and without"
    if facts.evidence is not None and facts.evidence.is_alone:
        without = "no candidate was trained for itself"
    taken = front.recommended if front.decision.kind != "nothing" else None
    return Answer(
        kind=front.decision.kind,
        what=_describe_decision(front, facts),
        candidate=None if taken is None else taken.summary.candidate,
        places=places,
        places_cost=cost,
        without_places=without,
        how_sure=_describe_evidence(front, facts),
        next_step=choose_next_step(front, facts, confirmation),
    )


def _describe_decision(front: PosteriorFront, facts: RunFacts) -> str:
    """Return the first sentence: what to do."""
    decision, taken = front.decision, front.recommended
    if decision.kind == "nothing":
        scored = _describe_order(front, facts)
        return scored or f"Nothing can be said: {decision.reason}."
    if decision.kind == "leave":
        assert decision.gain_limit is not None
        limit = significant(round_up(100 * decision.gain_limit))
        trained = sum(not candidate.is_plain for candidate in front.candidates)
        what = (
            "the one placement trained is not"
            if trained == 1
            else (f"none of the {trained:,} placements trained is")
        )
        return (
            f"Leave SE out: {what} better than the plain network by more than {limit} points"
            f"{_for_these_images(facts)}."
        )
    assert taken is not None
    cheaper = find_cheaper(front, facts.costs[0])
    cheap = (
        ""
        if cheaper is None
        else f"; {_describe_placement(cheaper, facts)} gains "
        f"{gain(cheaper.gain, cheaper.low, cheaper.high)} for "
        f"{describe_added(cheaper.summary, facts.costs)}"
    )
    return (
        f"Put {_describe_placement(taken, facts)}: "
        f"{gain(taken.gain, taken.low, taken.high, 'points')} for "
        f"{describe_added(taken.summary, facts.costs)}{cheap}{_for_these_images(facts)}."
    )


def _describe_order(front: PosteriorFront, facts: RunFacts) -> str | None:
    """Say what supernets say where no candidate was trained; None: that is not the case."""
    evidence = facts.evidence
    if front.candidates or evidence is None or not evidence.order:
        return None
    first, number = evidence.order[0], len(evidence.order)
    members = count(len(evidence.supernets.scored), "supernet")
    what = f"{members} put none of {number:,} candidates above the plain network"
    if first.score > 0:
        what = (
            f"{members} put {first.placement} first of {number:,} candidates, "
            f"{100 * first.score:.2f} points above the plain network"
        )
    return f"Nothing can be said of gains, as no candidate was trained for itself: {what}."


def _describe_supernets(facts: RunFacts) -> str:
    """Say which part scores have in an answer that rests on trainings, after a space."""
    evidence = facts.evidence
    if evidence is None or not evidence.supernets.num_ended:
        return ""
    number = count(evidence.supernets.num_ended, "supernet")
    scores = f" Scores by {number}, worth {evidence.supernets.spent:.1f} trainings,"
    if any(test.is_used for test in evidence.tests):
        return f"{scores} count as far as trainings agree with them."
    return f"{scores} count for nothing: the run's trainings do not bear out their order."


def find_cheaper(front: PosteriorFront, cost: str) -> PosteriorCandidate | None:
    """Return the cheapest candidate that surely gains, too, at half of the added cost or less.

    None: there is none, or nothing is recommended.
    """
    taken = front.recommended
    added = f"added_{cost}"
    if taken is None:
        return None
    better = [
        each
        for each in front.front
        if each.is_better
        and 2 * getattr(each.summary, added) <= getattr(taken.summary, added)
        and each is not taken
    ]
    return min(better, key=lambda each: float(getattr(each.summary, cost)), default=None)


def _describe_placement(candidate: PosteriorCandidate, facts: RunFacts) -> str:
    parsed = Candidate.parse(candidate.summary.candidate, facts.space.backbone)
    return describe_placement(parsed, facts.space.space)


def describe_added(candidate: CandidateSummary | Chosen, costs: Sequence[str]) -> str:
    """Return what the SE blocks of a candidate add: ``0.2 % more parameters``.

    Args:
        candidate: what is described.
        costs: what the run minimises, as ``params``.
    """
    latency = candidate.latency or 0
    shares = {
        "params": candidate.added_params_pct,
        "macs": 100 * candidate.added_macs / max(1, candidate.macs - candidate.added_macs),
        "latency": 100 * (added := candidate.added_latency or 0) / max(1, latency - added),
    }
    parts = [
        f"{significant(shares[name])} % more {COST_NAMES[name]}"
        if shares[name] > 0
        else f"no more {COST_NAMES[name]}"
        for name in costs
    ]
    return join_list(parts)


def _for_these_images(facts: RunFacts) -> str:
    return "" if facts.holds_for_others else ", for these images"


def _describe_evidence(front: PosteriorFront, facts: RunFacts) -> str:
    """Return the second sentence: what the answer rests on, and whether it is settled."""
    if not front.candidates:
        if facts.evidence is not None and facts.evidence.order:
            untested = "Whether the scores order candidates as trainings would is not tested."
            return f"{untested} {describe_resolution(facts.evidence)}"
        return "No full training has ended yet."
    counts = (
        f"This rests on {count(facts.num_trainings, 'training')} of "
        f"{count(len(front.candidates), 'candidate')} in "
        f"{count(front.num_replicates, 'replicate')}"
    )
    if facts.num_failed > 0:
        counts += f" ({count(facts.num_failed, 'further one')} failed)"
    mixed = (f" {facts.mixed}" if facts.mixed else "") + _describe_supernets(facts)
    if front.noise is None:
        return f"{counts}.{mixed} Gains are plain means, without intervals, and nothing is settled."
    rest = math.hypot(front.noise.interaction_sd, front.noise.training_sd)
    noise = (
        "a replicate's seed moves all networks together by "
        f"{significant(100 * front.noise.level_sd)} points and one training by another "
        f"{significant(100 * rest)} (standard deviations)"
    )
    parts = [counts, noise, _describe_images(front, facts)]
    timed = describe_time(front, facts)
    return f"{'; '.join(filter(None, parts))}.{mixed} {_describe_settled(front)}{timed}"


def describe_time(front: PosteriorFront, facts: RunFacts) -> str:
    """Say what the recommended candidate takes in time and how far its sum was off, after a space.

    Nothing is said where the run has measured no latency, or recommends the plain network.
    """
    taken, table = front.recommended, facts.latency
    if table is None or taken is None or taken.is_plain or taken.summary.latency is None:
        return ""
    what = f" {taken.summary.placement} takes"
    batch = f"a batch of {table.batch} on {table.ground.hardware}"
    whole = next((w for w in table.front if w.candidate == taken.summary.candidate), None)
    if whole is None or whole.error_pct is None:
        added = taken.summary.added_latency_pct or 0.0
        milliseconds = taken.summary.latency / 1e6
        return f"{what} {added:.2f} % more time ({milliseconds:.3f} ms {batch}), by a sum."
    milliseconds = table.plain_ms * (1 + whole.timing.added_pct / 100)
    return (
        f"{what} {whole.timing.added_pct:.2f} % more time ({whole.timing.low:.2f} to "
        f"{whole.timing.high:.2f}; {milliseconds:.3f} ms {batch}), measured whole; the sum was off "
        f"by {whole.error_pct:+z.2f} %."
    )


def _describe_images(front: PosteriorFront, facts: RunFacts) -> str:
    images = f"{facts.num_validation:,} validation images"
    if front.num_replicates < 2:
        return ""
    if facts.holds_for_others:
        return f"intervals hold for fresh replicates, each with {images} of its own"
    why = (
        f"replicates share most of their images ({images} each)"
        if facts.draws_images
        else f"all replicates have the same {images}"
    )
    return f"intervals hold for fresh replicates, but other images may say otherwise: {why}"


def _describe_settled(front: PosteriorFront) -> str:
    settled = front.settled
    if settled.is_settled and settled.gap is not None:
        return (
            "It is settled: at no cost is another candidate trained better than the one found "
            f"best there by more than {significant(round_up(100 * settled.gap))} points."
        )
    missing = [text for text in settled.missing if text != front.decision.reason]
    return f"It is not settled: {'; '.join(missing)}." if missing else "Nothing is settled."
