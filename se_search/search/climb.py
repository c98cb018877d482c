"""The rungs of a search: which training each asks for, of a candidate that is new or climbs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count

from se_search.record import ENDED_WELL, Rung, TrialRecord, TrialState
from se_search.search.promotion import Contender, Promotion, promotable, score_at

Step = tuple[int, int]
"""A training of a candidate: its epochs, and the position of its replicate among the candidate's.

A candidate's replicates are counted from 0 in the order in which it has had them, so that longer
trainings of a rung take the replicates of its shorter ones.
"""


def list_replicates(own: Iterable[TrialRecord]) -> list[int]:
    """Return the seeds of the replicates that a candidate has had, in the order of its trials."""
    return list(dict.fromkeys(record.seed for record in own))


@dataclass(frozen=True)
class Climb:
    """The rungs of a search, and the trainings that each asks of a candidate.

    Attributes:
        rungs: ascending; the last one is of full trainings.
    """

    rungs: tuple[Rung, ...]

    @property
    def full_epochs(self) -> int:
        """Epochs of a full training."""
        return self.rungs[-1].epochs

    @cached_property
    def trainings(self) -> list[list[Step]]:
        """All trainings that each rung asks for."""
        return [
            [(rung.epochs, position) for position in range(rung.replicates)] for rung in self.rungs
        ]

    @cached_property
    def new_trainings(self) -> list[list[Step]]:
        """The trainings that each rung asks for and no lower rung does."""
        below: set[Step] = set()
        new = []
        for asked in self.trainings:
            new.append([training for training in asked if training not in below])
            below.update(asked)
        return new

    def level(self, own: Sequence[TrialRecord]) -> int:
        """Return the index of the highest rung that a candidate's trials finish; -1: none."""
        levels = range(len(self.rungs))
        return max((k for k in levels if self._has_finished(own, k)), default=-1)

    def next_training(self, own: Sequence[TrialRecord]) -> Step:
        """Return the next training of a candidate that the sampler proposes (again).

        It is the first training of the rungs above the candidate's own that has not begun; if there
        is none, a full training in the next replicate.

        Args:
            own: the candidate's trials so far, by number.
        """
        taken = _states(own)
        for asked in self.trainings[self.level(own) + 1 :]:
            for training in asked:
                if training not in taken:
                    return training
        return next(step for n in count() if (step := (self.full_epochs, n)) not in taken)

    def next_promotion(
        self, records: Sequence[TrialRecord], costs: Sequence[str], promotion: Promotion
    ) -> tuple[str, Step] | None:
        """Return the text of the candidate that is promoted next, and its training; None: none is.

        A rung that a candidate has begun comes first, until it is finished or one of its
        trainings has failed; then the best contender of the highest rung that has one to promote.
        A candidate that has been trained as the control alone does not climb.

        Args:
            records: all trials of the run, by number; trainings that run or wait count as begun.
            costs: the fields of the records that are minimised.
            promotion: how to choose.
        """
        if self.rungs == (Rung(self.full_epochs, 1),):
            return None
        groups: dict[str, list[TrialRecord]] = defaultdict(list)
        for record in records:
            groups[record.key].append(record)
        groups = {
            key: own
            for key, own in groups.items()
            if any(record.role != "control" for record in own)
        }
        for own in groups.values():
            training = self._begun(own)
            if training is not None:
                return own[0].candidate, training
        for level in reversed(range(len(self.rungs) - 1)):
            keys = self._choose(level, groups, records, costs, promotion)
            if keys:
                own = groups[keys[0]]
                taken = _states(own)
                missing = (t for t in self.new_trainings[level + 1] if t not in taken)
                return own[0].candidate, next(missing)
        return None

    def _begun(self, own: Sequence[TrialRecord]) -> Step | None:
        """Return the next training of a rung that a candidate has begun and not finished."""
        level = self.level(own) + 1
        if level == len(self.rungs):
            return None
        states = _states(own)
        asked = self.new_trainings[level]
        has_failed = any(states.get(training) == "FAIL" for training in self.trainings[level])
        if has_failed or not any(training in states for training in asked):
            return None
        return next((training for training in asked if training not in states), None)

    def _choose(
        self,
        level: int,
        groups: Mapping[str, Sequence[TrialRecord]],
        records: Sequence[TrialRecord],
        costs: Sequence[str],
        promotion: Promotion,
    ) -> list[str]:
        """Return the keys of the candidates that may climb from a rung, best first."""
        beyond = {training for new in self.new_trainings[level + 1 :] for training in new}
        finished = {
            key: not beyond.isdisjoint(_states(own))
            for key, own in groups.items()
            if self._has_finished(own, level)
        }
        if all(finished.values()):
            return []
        estimates = (promotion.score or score_at(self.rungs[level]))(records)
        contenders = [
            Contender(
                key=key,
                estimate=estimates[key],
                costs=tuple(float(getattr(groups[key][0], name)) for name in costs),
                is_promoted=is_promoted,
            )
            for key, is_promoted in finished.items()
            if key in estimates
        ]
        return promotable(contenders, promotion.eta, promotion.z)

    def _has_finished(self, own: Sequence[TrialRecord], level: int) -> bool:
        ended = {step for step, state in _states(own).items() if state in ENDED_WELL}
        return ended.issuperset(self.trainings[level])


def _states(own: Sequence[TrialRecord]) -> dict[Step, TrialState]:
    """Return how each training of a candidate stands; of several attempts, the last."""
    order = list_replicates(own)
    return {(record.epochs, order.index(record.seed)): record.state for record in own}
