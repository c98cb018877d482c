"""What each training is worth: by how much it is expected to raise the front."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.pareto import front_probability, is_non_dominated
from se_search.search.acquisition import Staircase
from se_search.search.history import History
from se_search.search.pool import Codes
from se_search.seeds import derive_seed
from se_search.surrogate.many_posterior import ManyPosterior
from se_search.surrogate.trainings import Design, Trainings

if TYPE_CHECKING:
    from se_search.search.proposer import Proposer

# Multiplies the posterior's standard deviation of candidates that have not been trained. On three
# tables of NAS-Bench-201 factors from 1 to 3 find about equal fronts; 1 gets stuck more often.
SD_FACTOR = 1.5
END = 1.001  # area counts up to a little beyond the greatest scaled cost, 1
NUM_SAMPLES = 256
UNDECIDED = (0.05, 0.95)  # probabilities of being on the front between which it is undecided
MOST_DRAWN = 500  # members together: of more, those that can't be on the front are left out
HOPELESS = 2.5  # standard deviations of either of two candidates
# Share of the trainings; more leaves too few for new candidates where the model is too sure.
REPEAT_SHARE = 0.2


Kind = Literal["start", "explore", "repeat"]


@dataclass(frozen=True)
class Decision:
    """What to train next.

    Attributes:
        codes: ``(num_slots,)``, the candidate.
        kind: ``start``: a candidate of the start design; ``explore``: a new candidate;
            ``repeat``: a candidate that has been trained, in another replicate.
        gain: expected rise of the front, in accuracy averaged over the scaled cost, if the true
            accuracy of the most valuable candidate became known; no number of trainings of it
            can bring more. None: there is no model yet.
    """

    codes: Codes
    kind: Kind
    gain: float | None


@dataclass(frozen=True)
class _Value:
    """By how much training a candidate is expected to raise the front, in scaled accuracy.

    Attributes:
        number: the candidate's number in the pool.
        gain: expected rise from one more training.
        limit: expected rise if the candidate's true accuracy became known.
    """

    number: int
    gain: float
    limit: float


class Valuation:
    """The value of training each candidate, given the trials at one moment."""

    def __init__(self, proposer: Proposer, history: History) -> None:
        self.proposer = proposer
        self.history = history
        trainings = history.trainings
        self.pool, self.posterior = proposer.fit(history)
        self.scale = proposer.fit_scale(trainings, len(history.budgets))
        self.values = proposer.see(history).values
        running = Design(
            proposer.factors.one_hot(history.running),
            history.running_budgets,
            history.running_replicates,
        )
        self.mean, self.variance = self.posterior.look_ahead(self.values, running)
        found = self.pool.find(np.concatenate([trainings.codes, history.running]))
        self.visited = np.unique(found[found >= 0])
        self.is_taken = np.zeros(len(self.pool), bool)
        self.is_taken[self.visited] = True
        failed = self.pool.find(history.failed)
        self.is_taken[failed[failed >= 0]] = True
        self.repeatable = self.pool.find(proposer.list_repeatable(history))

    def decide(self) -> Decision:
        """Return the training that is expected to raise the front most."""
        new = self._find_new()
        repeat = self._find_repeat(may_open=new is None)
        limit = max((one.limit for one in (new, repeat) if one), default=0.0) * self.scale.sd
        if repeat is not None and (new is None or repeat.gain > new.gain):
            return Decision(self.pool.codes[repeat.number], "repeat", limit)
        if new is None:
            return Decision(self._most_uncertain(), "repeat", limit)
        return Decision(self.pool.codes[new.number], "explore", limit)

    def _staircase(self, members: NDArray[np.int64]) -> Staircase:
        return Staircase.over(self.pool.costs[members], self.mean[members], self.scale.floor, END)

    def _find_new(self) -> _Value | None:
        """Return the new candidate of the greatest expected hypervolume improvement."""
        staircase = self._staircase(self.visited)
        sd = np.sqrt(self.variance)
        scores = staircase.expected_hypervolume_improvement(
            self.pool.costs, self.mean, SD_FACTOR * sd
        )
        scores[self.is_taken] = -np.inf
        best = int(np.argmax(scores))
        if scores[best] > -np.inf and self.proposer.may_try(self.pool.codes[best]):
            return self._value(best, staircase)
        order = np.argsort(-scores, kind="stable")
        for number in order[: len(order) - np.count_nonzero(self.is_taken)]:
            if self.proposer.may_try(self.pool.codes[number]):
                return self._value(int(number), staircase)
        return None

    def _value(self, number: int, staircase: Staircase) -> _Value:
        """Return the value of training a candidate over a staircase that it is not part of.

        A further training moves the posterior mean by a normal step. The front's expected rise is
        the expected area above the staircase after that step, less the area that the candidate
        holds already if it has been trained.
        """
        at = np.full(3, number)
        # The model may not know what sets a candidate apart that has not been trained.
        known = self.variance[number] * (1.0 if self.is_taken[number] else SD_FACTOR**2)
        own = self.posterior.pool[number : number + 1]
        noise = self.posterior.kernel.noise_beyond_levels(own)[0]
        moves = np.array([0.0, known / np.sqrt(known + noise), np.sqrt(known)])
        rises = staircase.expected_hypervolume_improvement(
            self.pool.costs[at], self.mean[at], moves
        )
        held = rises[0] if self.is_taken[number] else 0.0
        return _Value(number, float(rises[1] - held), float(rises[2] - held))

    def _find_repeat(self, *, may_open: bool) -> _Value | None:
        """Return the undecided candidate whose next training has the greatest value.

        Args:
            may_open: whether it may have had all replicates so far: then it opens another one,
                whose control costs a training, too.
        """
        if not self.proposer.repeats:
            return None
        full = len(self.history.budgets) - 1
        is_repeat = _mark_repeats(self.history.trainings)
        is_repeat &= ~self.proposer.mark_plain(self.history.trainings.codes)
        if is_repeat.sum() >= REPEAT_SHARE * len(is_repeat):
            return None
        trained = self.history.trainings.codes[self.history.trainings.budgets == full]
        running = self.pool.find(self.history.running)
        members = np.setdiff1d(self.pool.find(trained), np.append(running, -1))
        members = np.intersect1d(members, self.repeatable)
        if not may_open:
            members = np.setdiff1d(members, self._list_everywhere())
        if len(members) < 2:
            return None
        values = [
            self._value(int(member), self._staircase(self.visited[self.visited != member]))
            for member in self._undecided(members)
        ]
        return max(values, key=lambda value: value.gain, default=None)

    def _list_everywhere(self) -> NDArray[np.int64]:
        """Return the candidates that have been trained in all replicates so far."""
        seen = (self.history.trainings.replicates, self.history.running_replicates)
        codes, counts = self.history.count_replicates()
        return self.pool.find(codes[counts >= len(np.unique(np.concatenate(seen)))])

    def _undecided(self, members: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the members that may or may not be on the front, by draws from the posterior."""
        if isinstance(self.posterior, ManyPosterior) or len(members) > MOST_DRAWN:
            members = self._leave_hopeless(members)
        rng = np.random.default_rng(derive_seed(self.proposer.seed, "front", len(self.values)))
        samples = self.posterior.sample(members, self.values, NUM_SAMPLES, rng)
        probability = front_probability(self.pool.costs[members], samples)
        low, high = UNDECIDED
        return members[(probability > low) & (probability < high)]

    def _leave_hopeless(self, members: NDArray[np.int64]) -> NDArray[np.int64]:
        """Leave out the members that another one beats by five standard deviations.

        To draw thousands that can't be on the front takes most of a decision's time.
        """
        mean, reach = self.mean[members], HOPELESS * np.sqrt(self.variance[members])
        costs, low = self.pool.costs[members], mean - reach
        best = np.flatnonzero(is_non_dominated(np.column_stack([costs, -low])))
        is_hopeless = np.zeros(len(members), bool)
        for rival in best:
            is_hopeless |= (costs[rival] <= costs).all(axis=1) & (low[rival] > mean + reach)
        return members[~is_hopeless]

    def _most_uncertain(self) -> Codes:
        """Return the candidate of the greatest posterior variance of those to train again."""
        among = np.intersect1d(self.visited, self.repeatable)
        return np.asarray(self.pool.codes[among[np.argmax(self.variance[among])]])


def _mark_repeats(trainings: Trainings) -> NDArray[np.bool_]:
    """Mark the trainings whose candidate was trained with that budget before, ``(n,)``."""
    seen: set[tuple[bytes, int]] = set()
    marks = []
    for codes, budget in zip(trainings.codes, trainings.budgets, strict=True):
        key = codes.tobytes(), int(budget)
        marks.append(key in seen)
        seen.add(key)
    return np.array(marks, bool)
