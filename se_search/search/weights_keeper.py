"""Decides of which trainings a search keeps the weights: by what may be recommended, in a budget.

Of a candidate the weights of one training are kept: of its longest, in the first replicate in which
it was trained. Which accuracy that has plays no part: the luckiest of several would look better
than the candidate is.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from se_search.candidate import Candidate
from se_search.execution.executor import Executor
from se_search.record import (
    ENDED_WELL,
    Assignment,
    Effort,
    EpochRow,
    Evaluation,
    Failure,
    TrialRecord,
)
from se_search.store.kept_weights import KeptWeights, WeightsName
from se_search.store.room import describe_bytes
from se_search.surrogate.posterior_front import PosteriorCandidate, PosteriorFront

Mode = Literal["front", "all", "none"]
# A probability on the front below which weights are dropped. A posterior probability is a
# martingale: one of 0.01 ever rises to the 0.2 of listed candidates with a probability of at most
# 0.05 (Doob's inequality), as far as the accuracy model holds.
SLIGHT = 0.01
UNKNOWN = 0.5  # the place in the order of dropping of a candidate that the last fit did not have
# Further trainings, and a share of all, after which the order of dropping is made anew.
REFIT_AFTER, REFIT_SHARE = 4, 0.1
SPARE = 256 << 20  # bytes that weights leave free on the disk, for all else that is written
HEADER_BYTES = 64 << 10  # of a file of weights, at most for most networks
BYTES_PER_PARAMETER = 4.4  # a 32-bit number each, and batch norms' statistics; until one is known


@dataclass(frozen=True, slots=True)
class Keeping:
    """What is kept.

    Attributes:
        mode: ``front``: of candidates that may be recommended; ``all``: of all; ``none``.
        budget: bytes that all files may take together.
        full_epochs: of a full training, without which no candidate is on a front.
    """

    mode: Mode
    budget: int
    full_epochs: int


class WeightsKeeper:
    """Keeps the weights of a search's trainings; see the module.

    With ``front`` the full trainings of all candidates are kept while they fit the budget, and at
    the end those of candidates that may still be recommended. When the budget is used up, those
    go first that are least likely to be on the front.

    Args:
        weights: the run's.
        keeping: what is kept.
        list_records: returns all trials of the run.
        fit: returns what the trials say of each candidate.
        note: told of what is not kept.
        count_free: returns the bytes that are free on the disk.
    """

    def __init__(
        self,
        weights: KeptWeights,
        keeping: Keeping,
        list_records: Callable[[], Sequence[TrialRecord]],
        fit: Callable[[Sequence[TrialRecord]], PosteriorFront],
        note: Callable[[str], None] = lambda _: None,
        count_free: Callable[[], int] | None = None,
    ) -> None:
        self._weights = weights
        self._keeping = keeping
        self._list_records = list_records
        self._fit = fit
        self._note = note
        self._count_free = count_free or self._ask_disk
        self._sizes: dict[WeightsName, int] = {}
        self._reserved: dict[int, _Reserved] = {}
        self._bytes_per_parameter = BYTES_PER_PARAMETER
        self._front: PosteriorFront | None = None
        self._num_fitted = 0
        self._told: set[str] = set()

    def begin(self) -> None:
        """Remove what killed trainings have left, and weights of no training of the run."""
        self._weights.tidy()
        self._sizes = self._weights.list_names()
        known = {(r.key, r.seed, r.epochs) for r in self._list_records() if r.state != "FAIL"}
        for name in list(self._sizes):
            if (name.key, name.replicate, name.epochs) not in known:
                self._remove(name)

    def assign(self, number: int, assignment: Assignment[Candidate]) -> Assignment[Candidate]:
        """Return the assignment of a trial that begins, with the file that takes its weights.

        It has none if they are not to be kept, or there is no room for them.
        """
        records = self._list_records()
        if not self._wants(number, assignment, records):
            return assignment
        record = next(each for each in records if each.number == number)
        needed = round(self._bytes_per_parameter * record.params) + HEADER_BYTES
        name = WeightsName(record.key, record.seed, record.epochs)
        if not self._make_room(needed, records):
            return assignment
        self._reserved[number] = _Reserved(name, needed, record)
        path = self._weights.path_for(name.key, name.replicate, name.epochs).absolute()
        return replace(assignment, weights_file=path)

    def end(self, number: int, outcome: Evaluation | Failure) -> None:
        """Take how the training of a trial ended."""
        reserved = self._reserved.pop(number, None)
        if reserved is None:
            return
        name, _, record = reserved
        size = self._weights.size(name)
        if isinstance(outcome, Failure) or size is None:
            self._remove(name)
            if isinstance(outcome, Evaluation):
                self._tell_once(
                    "unkept",
                    f"The weights of {record.placement} are not kept: "
                    f"{outcome.unkept or 'the file is not there'}. The search goes on; se-search "
                    "export trains such candidates again",
                )
            return
        self._sizes[name] = size
        self._bytes_per_parameter = size / record.params
        for other in list(self._sizes):
            if other.key == name.key and other.epochs < name.epochs:
                self._remove(other)

    def release(self) -> None:
        """Take that all that ran was broken off."""
        self._reserved.clear()

    def finish(self, front: PosteriorFront, also: Iterable[str] = ()) -> None:
        """Drop what can't be recommended any more, and tidy up, as nothing runs.

        Args:
            front: what all trials say of each candidate.
            also: keys of other candidates whose weights stay, as of those that were confirmed.
        """
        if self._keeping.mode == "front":
            stay = set(also)
            known = {c.summary.key: c for c in front.candidates}
            for name in list(self._sizes):
                found = known.get(name.key)
                if name.key not in stay and found is not None and not may_be_taken(found):
                    self._remove(name)
        self._weights.tidy()

    def describe(self) -> str | None:
        """Say whose weights are kept; None: nobody's, as was asked for or as nobody was trained."""
        if self._keeping.mode == "none":
            return None
        num_trained = len({r.key for r in self._list_records() if r.state in ENDED_WELL})
        if not num_trained:
            return None
        num_kept = len({name.key for name in self._sizes})
        size = describe_bytes(sum(self._sizes.values()))
        rest = "" if num_kept >= num_trained else "; se-search export trains others again"
        chosen = ", those that may be recommended" if self._keeping.mode == "front" else ""
        return (
            f"Weights: {num_kept} of {num_trained} candidates are kept in "
            f"{self._weights.folder}, {size}{chosen}{rest}"
        )

    def _wants(
        self, number: int, assignment: Assignment[Candidate], records: Sequence[TrialRecord]
    ) -> bool:
        """Tell whether a training stands for its candidate, as far as is known when it begins."""
        mode, epochs = self._keeping.mode, assignment.epochs
        if mode == "none" or (mode == "front" and epochs < self._keeping.full_epochs):
            return False
        key = assignment.candidate.key
        return not any(
            record.key == key
            and record.state in ("RUNNING", *ENDED_WELL)
            and (record.epochs > epochs or (record.epochs == epochs and record.number < number))
            for record in records
        )

    def _make_room(self, needed: int, records: Sequence[TrialRecord]) -> bool:
        """Tell whether a file fits the budget and the disk, after others were dropped for it."""
        budget = self._keeping.budget
        if needed > budget:
            self._tell_once(
                "too large",
                f"The weights of one candidate take about {describe_bytes(needed)}, and the budget "
                f"is {describe_bytes(budget)}: they are not kept, and se-search export trains a "
                "candidate again. --weights-budget takes more",
            )
            return False
        if self._count_free() < needed + SPARE:
            self._tell_once(
                "disk",
                f"The disk has little room left: weights are not kept while less than "
                f"{describe_bytes(needed + SPARE)} are free, and se-search export trains such "
                "candidates again",
            )
            return False
        lacking = self._count_used() + needed - budget
        if lacking > 0 and self._keeping.mode == "front":
            self._drop(lacking, records)
            lacking = self._count_used() + needed - budget
        if lacking > 0:
            self._tell_once(
                "all",
                f"The budget of {describe_bytes(budget)} for weights is used up: those of further "
                "candidates are not kept, and se-search export trains them again. --weights-budget "
                "takes more",
            )
        return lacking <= 0

    def _drop(self, lacking: int, records: Sequence[TrialRecord]) -> None:
        """Drop the weights that are least likely to be asked for, until as many bytes are free."""
        num_ended = sum(record.state in ENDED_WELL for record in records)
        if self._front is None or num_ended > REFIT_AFTER + (1 + REFIT_SHARE) * self._num_fitted:
            self._front, self._num_fitted = self._fit(records), num_ended
        known = {c.summary.key: c for c in self._front.candidates}
        placements = {record.key: record.placement for record in records}
        lost = []
        for name in sorted(self._sizes, key=lambda name: _worth(known.get(name.key))):
            if lacking <= 0:
                break
            lacking -= self._sizes[name]
            found = known.get(name.key)
            if found is None or may_be_taken(found):
                lost.append(placements.get(name.key, name.key))
            self._remove(name)
        budget = describe_bytes(self._keeping.budget)
        self._tell_once(
            "budget",
            f"The budget of {budget} for weights is used up: from now on those that are least "
            "likely to be recommended are dropped, and se-search export trains such candidates "
            "again",
        )
        if lost:
            self._note(
                f"The weights of {', '.join(lost)} are dropped, which may still be recommended: "
                f"more do not fit {budget}. --weights-budget takes more"
            )

    def _count_used(self) -> int:
        return sum(self._sizes.values()) + sum(each.num_bytes for each in self._reserved.values())

    def _remove(self, name: WeightsName) -> None:
        self._sizes.pop(name, None)
        self._weights.remove(name)

    def _tell_once(self, kind: str, text: str) -> None:
        if kind not in self._told:
            self._told.add(kind)
            self._note(text)

    def _ask_disk(self) -> int:
        return shutil.disk_usage(self._weights.folder.parent).free


def may_be_taken(candidate: PosteriorCandidate) -> bool:
    """Tell whether a candidate may still be recommended, or is what others are compared with."""
    probability = candidate.probability_on_front
    return (
        candidate.is_plain
        or candidate.is_listed
        or candidate.on_front
        or probability is None
        or probability >= SLIGHT
    )


def _worth(candidate: PosteriorCandidate | None) -> tuple[bool, float]:
    """Return what orders candidates by how likely their weights are asked for, ascending."""
    if candidate is None:
        return False, UNKNOWN
    probability = candidate.probability_on_front
    is_shown = candidate.is_plain or candidate.is_listed
    return is_shown, UNKNOWN if probability is None else probability


class _Reserved(NamedTuple):
    """Room for the weights of a training that runs."""

    name: WeightsName
    num_bytes: int
    record: TrialRecord


class KeepingExecutor:
    """An executor whose assignments say where their weights go.

    Args:
        inner: trains.
        keeper: decides.
    """

    def __init__(self, inner: Executor[Candidate], keeper: WeightsKeeper) -> None:
        self._inner = inner
        self._keeper = keeper

    def has_room(self) -> bool:
        """Tell whether another assignment can start now."""
        return self._inner.has_room()

    def submit(self, number: int, assignment: Assignment[Candidate]) -> None:
        """Start an assignment."""
        self._inner.submit(number, self._keeper.assign(number, assignment))

    def wait(self, timeout: float) -> Sequence[tuple[int, Evaluation | Failure | EpochRow]]:
        """Return which assignments have ended, and how far others have come."""
        results = self._inner.wait(timeout)
        for number, result in results:
            if not isinstance(result, EpochRow):
                self._keeper.end(number, result)
        return results

    def wind_down(self, seconds: float) -> None:
        """Have all assignments end within ``seconds``."""
        self._inner.wind_down(seconds)

    def forget(self, assignment: Assignment[Candidate]) -> None:
        """Remove the states of an assignment that is not made again."""
        self._inner.forget(assignment)

    def kill(self) -> dict[int, Effort]:
        """End all running assignments at once."""
        self._keeper.release()
        return self._inner.kill()
