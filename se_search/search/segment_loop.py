"""Carries out the segments of a search with supernets, one after the other.

It is handed what trains, what makes supernets, what judges their scores and what weighs the next
step, so that tests run the real plan without a training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from se_search.candidate import Candidate
from se_search.record import Assignment, Stop, TrialRecord
from se_search.score import Score
from se_search.search.lag import UNDER_WAY
from se_search.search.loop import Ending
from se_search.search.probes import list_scored
from se_search.search.rotation import Rotation
from se_search.search.segments import Gains, Plan
from se_search.space.bound import BoundSpace
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
        """Return the scores that the probes say are worth having."""

    def weigh(self, scores: Sequence[Score]) -> Gains | None:
        """Return what trainings and a further supernet are expected to bring."""

    def choose(self, scores: Sequence[Score]) -> Sequence[Candidate]:
        """Return candidates that a new supernet should score beside those that all do."""


@dataclass(slots=True)
class SegmentLoop:
    """Spends a budget on trainings and supernets.

    Attributes:
        plan: of the run.
        files: of its supernets.
        space: of the candidates.
        drawn: candidates that every supernet scores.
        probes: their trainings, in their order.
        rotation: tells which replicates lack their control.
        steps: carries the segments out.
        read_records: returns all trials.
        note: told of each segment that begins.
    """

    plan: Plan
    files: SupernetFiles
    space: BoundSpace
    drawn: Sequence[Candidate]
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
        segment = self.plan.next_segment(
            self.read_records(),
            supernets,
            self._count_due(),
            bool(used),
            lambda: self.steps.weigh(used),
        )
        if segment is None:
            return None
        if segment.kind == "supernets":
            chosen = tuple(str(candidate) for candidate in self.steps.choose(used))
            segment = replace(segment, chosen=chosen)
        worth = self.plan.worth
        for seed in segment.seeds:
            supernets = supernets.with_supernet(
                SupernetRecord(
                    seed,
                    segment.begun,
                    training_worth=worth.training,
                    scoring_worth=worth.scoring,
                )
            )
        supernets = replace(supernets, segments=(*supernets.segments, segment))
        write_supernets(self.files, supernets)
        self.note(segment, supernets)
        return segment

    def _carry_out(self, segment: Segment) -> Ending:
        supernets = read_supernets(self.files)
        if segment.kind == "train":
            used = self.steps.judge(read_supernet_scores(self.files, supernets), supernets)
            return self.steps.train(self._clip(segment, supernets), used)
        _, stop = self.steps.make_supernets(supernets, self._list_missing(supernets))
        return Ending.FINISHED if stop == Stop.NO else Ending.STOPPED

    def _list_missing(self, supernets: Supernets) -> dict[int, list[Candidate]]:
        """Return what each supernet has to score still, by the last segment of supernets."""
        segments = [one for one in supernets.segments if one.kind == "supernets"]
        if not segments:
            return {}
        probes = supernets.probes
        every = list_scored(self.drawn, self.read_records(), segments, probes, self.space)
        have: dict[int, set[str]] = {}
        for score in read_supernet_scores(self.files, supernets):
            have.setdefault(score.member, set()).add(score.candidate)
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
