"""What a search with supernets spends its budget on: trainings, or supernets, segment by segment.

A plan is a function of the budget and of what the run has: its trials, its supernets, and what
trainings say of their scores. So a run that was killed goes on as an undisturbed one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from se_search.candidate import Candidate
from se_search.errors import RunError
from se_search.record import TrialRecord
from se_search.score import supernet_seed
from se_search.store.supernets import Segment, Supernets

Evaluator = Literal["train", "supernet", "ladder"]

PROBES_SHARE = 5  # probes and their controls have at most a fifth of a budget
# The fewest probes for each number of their replicates: with more of both, tau is told better.
FEWEST_PROBES = {4: 24, 3: 12, 2: 8}
MOST_PROBES = 24
FIRST_SUPERNETS = 2  # the fewest that tell by how much supernets differ
TESTED_AGAIN = 4  # scores that failed their test are tested again with a quarter more trainings
MOST_FAILURES = 2  # of supernets: then the run goes on without more of them


@dataclass(frozen=True, slots=True)
class ProbeCounts:
    """How many candidates are probes, and in how many replicates each is trained."""

    probes: int
    replicates: int

    @property
    def num_trainings(self) -> int:
        """How many trainings they take, with the plain network's in each of their replicates."""
        return (self.probes + 1) * self.replicates


@dataclass(frozen=True, slots=True)
class Worth:
    """What a supernet costs, in full trainings: its training, and scoring candidates by it."""

    training: float
    scoring: float

    @property
    def total(self) -> float:
        """Both together."""
        return self.training + self.scoring


@dataclass(frozen=True, slots=True)
class Offer:
    """What further supernets would score, and what that costs.

    Attributes:
        each: what a new supernet costs.
        catching_up: by its seed, what an earlier supernet costs that scores the candidates that it
            lacks, in full trainings; earlier supernets that lack none are left out.
        scored: candidates that each supernet would have scored.
        joining: candidates that an earlier supernet lacks.
        chosen: candidates that the accuracy model would have scored.
    """

    each: Worth
    catching_up: Mapping[int, float] = field(default_factory=dict)
    scored: tuple[Candidate, ...] = ()
    joining: tuple[Candidate, ...] = ()
    chosen: tuple[Candidate, ...] = ()

    def total(self, number: int = 1) -> float:
        """Return what some new supernets cost, with what the earlier ones score."""
        return number * self.each.total + sum(self.catching_up.values())

    def count(self, left: float) -> int:
        """Return how many new supernets a budget has room for."""
        return max(0, int((left - sum(self.catching_up.values()) + 1e-9) / self.each.total))


@dataclass(frozen=True, slots=True)
class Gains:
    """By how much the front is expected to rise for what one supernet is worth.

    Attributes:
        train: by as many trainings, in accuracy.
        supernet: by one more supernet.
    """

    train: float
    supernet: float


Extend = Callable[[int, float], Offer]
"""Returns an offer with chosen candidates, given the number of new supernets and what is left."""

Weigh = Callable[[Offer], Gains | None]
"""Returns what may be gained by what the run has now; None: there is no model yet."""


def count_probes(budget: int, num_candidates: int) -> ProbeCounts:
    """Return how many probes a ladder with this budget has.

    Args:
        budget: in trainings' worth.
        num_candidates: within the limits, without the plain network.

    Raises:
        RunError: the budget or the space is too small; the message has the smallest.
    """
    most = min(MOST_PROBES, num_candidates)
    if most < FEWEST_PROBES[2]:
        raise RunError(
            f"evaluator ladder: the space has {num_candidates} candidates besides the plain "
            f"network, and its test takes {FEWEST_PROBES[2]}; take --evaluator train"
        )
    for replicates, fewest in FEWEST_PROBES.items():
        probes = min(most, budget // PROBES_SHARE // replicates - 1)
        if probes >= min(fewest, most):
            return ProbeCounts(probes, replicates)
    smallest = PROBES_SHARE * ProbeCounts(FEWEST_PROBES[2], 2).num_trainings
    raise RunError(
        f"evaluator ladder: {budget} trials are too few to test scores; {smallest} are the fewest, "
        f"a fifth of which are {FEWEST_PROBES[2]} probes and the plain network in 2 replicates"
    )


def refuse_small_budget(evaluator: Evaluator, budget: int, worth: Worth, probes: int) -> None:
    """Refuse a budget that can't have the first supernets.

    Args:
        evaluator: ``supernet`` or ``ladder``.
        budget: in trainings' worth.
        worth: of a supernet.
        probes: trainings of probes.

    Raises:
        RunError: it can't; the message has the smallest budget.
    """
    needed = worth.total if evaluator == "supernet" else probes + FIRST_SUPERNETS * worth.total
    if budget < needed:
        what = "one supernet is" if evaluator == "supernet" else "probes and two supernets are"
        raise RunError(
            f"evaluator {evaluator}: {budget} trials are too few, for {what} worth "
            f"{needed:.1f} trainings; {math.ceil(needed)} are the fewest"
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """Plans the segments of a run.

    Attributes:
        evaluator: ``supernet``: supernets alone; ``ladder``: supernets and trainings.
        budget: in trainings' worth: trials, and what supernets cost, failed ones included.
        run_seed: from which the seeds of supernets are derived.
    """

    evaluator: Evaluator
    budget: int
    run_seed: int

    def next_segment(
        self,
        records: Sequence[TrialRecord],
        supernets: Supernets,
        num_due: int,
        used: tuple[str, ...],
        offer: Offer,
        extend: Extend | None = None,
        weigh: Weigh = lambda _: None,
    ) -> Segment | None:
        """Return the next segment of a run whose earlier ones have ended; None: nothing is left.

        Args:
            records: all trials, none of which runs or waits.
            supernets: what the run has of them.
            num_due: trainings of probes, controls included, that have not begun.
            used: names of the rungs whose scores are worth having, as trainings say.
            offer: further supernets that score no chosen candidate.
            extend: asked in a ladder for chosen candidates, which cost no more than is left; None:
                supernets score none.
            weigh: asked if a further supernet may come; by no answer trainings come.
        """
        begun = len(records)
        left = max(0.0, self.budget - begun - supernets.worth)
        num_more = offer.count(left)
        if self.evaluator == "supernet":
            return self._supernets(begun, supernets, num_more, offer) if num_more else None
        most = int(left + 1e-9)
        if num_due and most:
            return Segment("train", begun, begun + min(num_due, most))
        missing = FIRST_SUPERNETS - len(supernets.supernets)
        if missing > 0 and num_more:
            number = min(missing, num_more)
            offer = offer if extend is None else extend(number, left)
            return self._supernets(begun, supernets, number, offer)
        if not most:
            return None
        num_failed = sum(one.state == "FAIL" for one in supernets.supernets)
        if not used:
            return self._test_again(begun, supernets, offer, left)
        if not num_more or num_failed >= MOST_FAILURES:
            return Segment("train", begun, begun + most, rungs=used)
        offer = offer if extend is None else extend(1, left)
        gains = weigh(offer)
        known = {} if gains is None else _describe(gains)
        if gains is not None and gains.supernet > gains.train:
            return self._supernets(begun, supernets, 1, offer, **known)
        until = begun + min(most, max(1, round(offer.total())))
        return Segment("train", begun, until, rungs=used, **known)

    def _test_again(
        self, begun: int, supernets: Supernets, offer: Offer, left: float
    ) -> Segment | None:
        """Return trainings without scores, or the scores of what was trained, which test the rung.

        A test follows when trainings have grown by a quarter, and by what a supernet is worth: few
        tests, so that few pass by chance.
        """
        most = int(left + 1e-9)
        if not supernets.scored:
            return Segment("train", begun, begun + most)
        tested = max(one.begun for one in supernets.segments if one.kind == "supernets")
        if begun > tested and offer.catching_up and offer.total(0) + 1 <= left:
            return self._supernets(begun, supernets, 0, offer)
        wait = math.ceil(max(offer.each.total, begun / TESTED_AGAIN))
        return Segment("train", begun, begun + min(most, wait))

    def _supernets(
        self, begun: int, supernets: Supernets, number: int, offer: Offer, **known: Any
    ) -> Segment:
        first = len(supernets.supernets)
        seeds = tuple(supernet_seed(self.run_seed, first + k) for k in range(number))
        chosen = tuple(map(str, offer.chosen))
        return Segment("supernets", begun, begun, seeds, chosen, **known)


def _describe(gains: Gains) -> dict[str, Any]:
    return {"train_gain": gains.train, "supernet_gain": gains.supernet}
