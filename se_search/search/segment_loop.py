"""Carries out the segments of a search with supernets, one after the other.

It is handed what trains, what makes supernets, what judges their scores and what weighs the next
step, so that tests run the real plan without a training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from se_search.candidate import Candidate
from se_search.record import Assignment, Stop, TrialRecord
from se_search.score import Score
from se_search.search.lag import UNDER_WAY
from se_search.search.loop import Ending
from se_search.search.offers import Offers
from se_search.search.rotation import Rotation
from se_search.search.segments import Gains, Offer, Plan
from se_search.store.supernets import (
    Segment,
    SupernetFiles,
    SupernetRecord,
    Supernets,
    read_supernet_scores,
    read_supernets,
    write_supernets,
)

Missing = Mapping[int, Sequence[Candidate]]


class Steps(Protocol):
    """What a search with supernets is made of."""

    def train(self, until: int, scores: Sequence[Score]) -> Ending:
        """Search until the run has ``until`` trials, probes first, by the scores that are used."""

    def make_supernets(self, supernets: Supernets, missing: Missing) -> tuple[Supernets, Stop]:
        """Train supernets and score what they miss; return what has become of all."""

    def judge(self, scores: Sequence[Score], supernets: Supernets) -> Sequence[Score]:
        """Return the scores that trainings say are worth having."""

    def weigh(self, scores: Sequence[Score], offer: Offer) -> Gains | None:
        """Return what a further supernet and trainings of its worth are expected to bring."""

    def choose(
        self, scores: Sequence[Score], known: Sequence[Candidate], most: int
    ) -> Sequence[Candidate]:
        """Return candidates that supernets should score beside those known, best first."""


@dataclass(slots=True)
class SegmentLoop:
    """Spends a budget on trainings and supernets.

    Attributes:
        plan: of the run.
        files: of its supernets.
        offers: of further supernets.
        probes: their trainings, in their order.
        rotation: tells which replicates lack their control.
        steps: carries the segments out.
        read_records: returns all trials.
        note: told of each segment that begins.
    """

    plan: Plan
    files: SupernetFiles
    offers: Offers
    probes: Sequence[Assignment[Candidate]]
    rotation: Rotation[Candidate]
    steps: Steps
    read_records: Callable[[], Sequence[TrialRecord]]
    note: Callable[[Segment, Supernets], None] = lambda *_: None

    def go(self) -> Ending:
        """Carry out segments until the budget is spent, a stop, or the search ends by itself."""
        while True:
            supernets = read_supernets(self.files)
            segment = self._find_open(supernets) or self._decide(supernets)
            if segment is None:
                return Ending.FINISHED
            ending = self._carry_out(segment)
            if ending != Ending.FINISHED:
                return ending

    def _find_open(self, supernets: Supernets) -> Segment | None:
        """Return the last segment if a command was stopped in it and the budget still has it."""
        if not supernets.segments:
            return None
        last = supernets.segments[-1]
        if last.kind == "supernets":
            return last if self._list_missing(supernets) else None
        num_ended = sum(record.state not in UNDER_WAY for record in self.read_records())
        return last if num_ended < self._clip(last, supernets) else None

    def _clip(self, segment: Segment, supernets: Supernets) -> int:
        """Return how many trials a segment has at its end, by a budget that may be less now."""
        return min(segment.until, int(self.plan.budget - supernets.worth + 1e-9))

    def _decide(self, supernets: Supernets) -> Segment | None:
        scores = read_supernet_scores(self.files, supernets)
        used = self.steps.judge(scores, supernets)
        known = supernets, self.read_records(), _list_texts(scores)
        choose = partial(self.steps.choose, used)
        segment = self.plan.next_segment(
            self.read_records(),
            supernets,
            self._count_due(),
            tuple(dict.fromkeys(score.rung for score in used)),
            self.offers.make(*known),
            lambda number, left: self.offers.extend(*known, number, left, choose),
            lambda offer: self.steps.weigh(used, offer),
        )
        if segment is None:
            return None
        if segment.kind == "supernets":
            chosen = [self.offers.space.parse(text) for text in segment.chosen]
            offer = self.offers.make(*known, chosen)
            supernets = _take(offer, supernets, segment)
        supernets = replace(supernets, segments=(*supernets.segments, segment))
        write_supernets(self.files, supernets)
        self.note(segment, supernets)
        return segment

    def _carry_out(self, segment: Segment) -> Ending:
        supernets = read_supernets(self.files)
        if segment.kind == "train":
            scores = read_supernet_scores(self.files, supernets)
            used = [score for score in scores if score.rung in segment.rungs]
            return self.steps.train(self._clip(segment, supernets), used)
        _, stop = self.steps.make_supernets(supernets, self._list_missing(supernets))
        return Ending.FINISHED if stop == Stop.NO else Ending.STOPPED

    def _list_missing(self, supernets: Supernets) -> dict[int, list[Candidate]]:
        """Return what each supernet has to score still, by the last segment of supernets."""
        numbers = [k for k, one in enumerate(supernets.segments) if one.kind == "supernets"]
        if not numbers:
            return {}
        *earlier, last = (supernets.segments[number] for number in numbers)
        before = replace(supernets, segments=tuple(earlier))
        every = self.offers.list_scored(before, self.read_records(), last)
        have = _list_texts(read_supernet_scores(self.files, supernets))
        missing = {
            one.seed: [each for each in every if str(each) not in have.get(one.seed, ())]
            for one in supernets.supernets
            if one.state != "FAIL"
        }
        return {seed: own for seed, own in missing.items() if own}

    def _count_due(self) -> int:
        """Count the trainings of probes that have not begun, with the controls that they need."""
        records = self.read_records()
        begun = {(record.key, record.seed) for record in records}
        due = [one for one in self.probes if (one.candidate.key, one.seed) not in begun]
        lacking = {one.seed for one in due if self.rotation.lacks_control(one.seed, records)}
        return len(due) + len(lacking)


def _list_texts(scores: Sequence[Score]) -> dict[int, set[str]]:
    """Return the texts of the candidates that each member has scored."""
    found: dict[int, set[str]] = {}
    for score in scores:
        found.setdefault(score.member, set()).add(score.candidate)
    return found


def _take(offer: Offer, supernets: Supernets, segment: Segment) -> Supernets:
    """Return all supernets with the new ones, and with what the earlier ones will cost."""
    for seed, worth in offer.catching_up.items():
        record = supernets.find(seed)
        record = replace(record, scoring_worth=record.scoring_worth + worth)
        supernets = supernets.with_supernet(record)
    for seed in segment.seeds:
        record = SupernetRecord(
            seed,
            segment.begun,
            training_worth=offer.each.training,
            scoring_worth=offer.each.scoring,
        )
        supernets = supernets.with_supernet(record)
    return supernets
