"""A run's trials as the accuracy model takes them: which count, and as which codes of the space."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from se_search.candidate import Candidate
from se_search.cost import Cost, count_cost
from se_search.latency.sums import LatencySums
from se_search.record import ENDED_WELL, TrialRecord
from se_search.score import Score
from se_search.space.bound import BoundSpace
from se_search.surrogate.decision import TOLERANCE
from se_search.surrogate.features import Factors
from se_search.surrogate.scores import RungScores
from se_search.surrogate.trainings import Trainings


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a run's trials.

    Attributes:
        objectives: ``accuracy``, and the costs that are minimised.
        full_epochs: of a full training; longer ones are left out.
        chance: accuracy of a constant answer, a share; 0: it is not known.
        num_validation: number of validation images of a training.
        tolerance: a difference in gain that does not matter, a share.
        least_noise: the least variance of a training's accuracy that its validation images
            leave, a share squared; see ``analysis.paired_noise``. 0: it is not known.
        latency: what latencies are summed from; None: none have been measured.
        scores: what cheap rungs say of candidates; a rung that is not trusted is left out here.
    """

    objectives: tuple[str, ...]
    full_epochs: int
    chance: float = 0.0
    num_validation: int = 1
    tolerance: float = TOLERANCE
    least_noise: float = 0.0
    latency: LatencySums | None = None
    scores: tuple[Score, ...] = ()

    @property
    def costs(self) -> tuple[str, ...]:
        """The names of the costs."""
        return tuple(name for name in self.objectives if name != "accuracy")

    @property
    def floors(self) -> tuple[float, ...]:
        """For each cost, up to which difference two count as equal."""
        floor = 0.0 if self.latency is None else float(self.latency.floor)
        return tuple(floor if name == "latency" else 0.0 for name in self.costs)

    def count_cost(self, candidate: Candidate) -> Cost:
        """Return what a candidate costs; its latency, too, where latencies have been measured."""
        return (count_cost if self.latency is None else self.latency.count_cost)(candidate)

    def price(self, candidate: Candidate) -> list[int]:
        """Return the costs that are minimised, in their order."""
        cost = self.count_cost(candidate)
        return [getattr(cost, name) for name in self.costs]


def list_ended(records: Iterable[TrialRecord], question: Question) -> list[TrialRecord]:
    """Return the trials that have ended well and are no longer than a full one, by number."""
    return [
        record
        for record in sorted(records, key=lambda record: record.number)
        if record.state in ENDED_WELL
        and record.accuracy is not None
        and (record.epochs < question.full_epochs or is_full(record, question))
    ]


def is_full(record: TrialRecord, question: Question) -> bool:
    """Tell whether a trial is a full training that has ended well."""
    return record.state == "COMPLETE" and record.epochs == question.full_epochs


def code_trainings(ended: Sequence[TrialRecord], encode: Encoder) -> tuple[Trainings, list[int]]:
    """Return trainings as the accuracy model takes them, and their budgets in epochs, ascending."""
    budgets = sorted({record.epochs for record in ended})
    trainings = Trainings(
        encode([record.candidate for record in ended]),
        np.array([budgets.index(record.epochs) for record in ended], np.int64),
        np.array([record.seed for record in ended], np.int64),
        np.array([record.accuracy for record in ended], np.float64),
    )
    return trainings, budgets


def code_scores(
    scores: Iterable[Score],
    factors: Factors,
    encode: Callable[[Sequence[str]], NDArray[np.int16]],
) -> tuple[RungScores, ...]:
    """Return scores as the accuracy model takes them, a rung's members averaged, by rung's name.

    A candidate counts once all members of its rung have scored it. A rung that gives all candidates
    one score says nothing, and is left out.

    Args:
        scores: in any order.
        factors: the slots of the space.
        encode: returns the codes of candidates' texts, ``(n, num_slots)``.

    Raises:
        RungError: a score is not finite.
        SpaceError: a candidate is not in the space.
    """
    values: dict[str, dict[str, dict[int, float]]] = {}
    members: dict[str, set[int]] = {}
    for score in scores:
        values.setdefault(score.rung, {}).setdefault(score.candidate, {})[score.member] = (
            score.value
        )
        members.setdefault(score.rung, set()).add(score.member)
    found = []
    for rung in sorted(values):
        own = sorted(members[rung])
        # By candidate, not by when it was scored: equal scores give equal numbers.
        kept = [text for text in sorted(values[rung]) if len(values[rung][text]) == len(own)]
        table = np.array([[values[rung][text][member] for text in kept] for member in own])
        if len(np.unique(table.mean(axis=0))) > 1:
            found.append(RungScores.of_members(rung, factors, encode(kept), table))
    return tuple(found)


class Encoder:
    """Codes of candidates' texts; the plain network need not be in the space."""

    def __init__(self, space: BoundSpace) -> None:
        self.space = space
        self.factors = Factors(space.describe_levels()).with_empty_levels()
        self.plain = str(Candidate.plain(space.backbone))
        self._known: dict[str, NDArray[np.int16]] = {}

    def __call__(self, texts: Sequence[str]) -> NDArray[np.int16]:
        """Return ``(n, num_slots)``: positions in the levels of each slot."""
        rows = [self._encode(text) for text in texts]
        return np.array(rows, np.int16).reshape(len(rows), self.factors.num_slots)

    def _encode(self, text: str) -> NDArray[np.int16]:
        if text not in self._known:
            plain = self.factors.plain
            self._known[text] = (
                plain
                if text == self.plain and plain is not None
                else self.space.codes_of(self.space.parse(text))
            )
        return self._known[text]
