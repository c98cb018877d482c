"""Scores the front that some trainings recommend by what all trainings of a table say.

The yardstick is the product's posterior of all trainings: the expected gain of each network over
the plain one, which has a gain of 0. Costs are on a logarithmic scale from the cheapest network's
to the dearest one's, and accuracies are in points.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration.worlds import POINTS, Array
from se_search.analysis.pareto import hypervolume, is_non_dominated, summarize
from se_search.candidate import Candidate
from se_search.record import TrialRecord
from se_search.space.bound import BoundSpace
from se_search.surrogate.coded_trainings import Encoder, Question, code_scores
from se_search.surrogate.decision import Decision, Settled, decide, judge_settled
from se_search.surrogate.fitted_model import FittedModel
from se_search.surrogate.trainings import Trainings


@dataclass(frozen=True)
class Fitted:
    """The part of ``fit_front``'s answer that is scored; effects, half of its time, are left out.

    Attributes:
        keys: of the candidates with a full training.
        costs: ``(n,)`` parameters.
        draws: ``(draws, n)`` gains over the plain network, shares.
        plain: key of the plain network.
        decision: what to do about SE.
        settled: whether another choice could matter.
    """

    keys: tuple[str, ...]
    costs: Array
    draws: Array
    plain: str
    decision: Decision
    settled: Settled

    @cached_property
    def gains(self) -> Array:
        """``(n,)`` expected gains, shares."""
        return np.asarray(self.draws.mean(axis=0))

    @property
    def front(self) -> list[str]:
        """The keys of the front by expected gains, cheapest first."""
        return _front_of(self.keys, self.gains, self.costs)

    def with_se(self) -> Fitted:
        """Return what is known of the networks with SE alone."""
        has_se = np.array([key != self.plain for key in self.keys], bool)
        keys = tuple(key for key in self.keys if key != self.plain)
        return replace(self, keys=keys, costs=self.costs[has_se], draws=self.draws[:, has_se])


def fit(records: Sequence[TrialRecord], space: BoundSpace, question: Question) -> Fitted:
    """Fit the product's accuracy model to trainings that have all ended.

    Args:
        records: by number.
        space: of the candidates, the plain network included.
        question: what is asked; the cost is one objective.
    """
    budgets = sorted({record.epochs for record in records})
    codes = {r.key: space.codes_of(space.parse(r.candidate)) for r in records}
    encode = Encoder(space)
    model = FittedModel.fit(
        encode.factors,
        Trainings(
            np.array([codes[record.key] for record in records], np.int16),
            np.array([budgets.index(record.epochs) for record in records], np.int64),
            np.array([record.seed for record in records], np.int64),
            np.array([record.accuracy for record in records], np.float64),
        ),
        budgets,
        scores=code_scores(question.scores, encode.factors, encode),
    )
    full = [record for record in records if record.epochs == question.full_epochs]
    summaries = summarize(full, question.objectives)
    own = np.array([codes[summary.key] for summary in summaries], np.int16)
    is_plain = (own == model.plain).all(axis=1)
    accuracies = model.draw(np.vstack([model.plain, own]))
    draws = accuracies[:, 1:] - accuracies[:, :1]
    draws[:, is_plain] = 0.0
    (cost,) = question.costs
    costs = np.array([getattr(summary, cost) for summary in summaries], np.float64)
    compared = _count_compared(full)
    return Fitted(
        tuple(summary.key for summary in summaries),
        costs,
        draws,
        Candidate.plain(space.backbone).key,
        decide(draws, compared),
        judge_settled(draws.mean(axis=0), draws, costs[:, None], compared, question.tolerance),
    )


def observed_front(records: Iterable[TrialRecord], cost: str) -> list[str]:
    """Return the keys of the trainings that no other training dominates, cheapest first.

    That is what Optuna's ``best_trials`` has: accuracies are as observed, by single trainings.

    Args:
        records: of one replicate.
        cost: name of the cost.
    """
    trained = list({record.key: record for record in records}.values())  # all of one replicate
    accuracies = np.array([record.accuracy for record in trained], np.float64)
    costs = np.array([getattr(record, cost) for record in trained], np.float64)
    return _front_of([record.key for record in trained], accuracies, costs)


@dataclass(frozen=True)
class Score:
    """What a recommended front is worth, in points, averaged over the logarithm of the cost.

    Attributes:
        gap: by how much the best network at a cost or less is better than the best member of the
            front there: the difference of the hypervolumes. Who knew the best member would lose
            no more.
        loss: by how much the best network at a cost or less is better than the member that the
            front recommends there, its dearest one. This is what a user of the front loses, and
            the posterior's expected regret beyond the one that all trainings leave.
        placement: the loss of a user who must have SE, from the front of networks with SE: how
            well it is known where SE goes, also where none is best.
    """

    gap: float
    loss: float
    placement: float

    @property
    def worst(self) -> float:
        """The largest of the three."""
        return max(self.gap, self.loss, self.placement)


@dataclass(frozen=True)
class Truth:
    """What all trainings of a table say.

    Attributes:
        whole: of all networks.
        placed: of those with SE; who finds none that is affordable takes any, and gains as much
            as these do on average.
        decision: what to do about SE.
    """

    whole: Yardstick
    placed: Yardstick
    decision: str

    @classmethod
    def of(cls, fitted: Fitted) -> Truth:
        """Return the truth by a fit to all trainings."""
        with_se = fitted.with_se()
        any_se = float(POINTS * with_se.gains.mean())
        return cls(Yardstick.of(fitted, 0.0), Yardstick.of(with_se, any_se), fitted.decision.kind)

    def score(self, front: Sequence[str], placed: Sequence[str]) -> Score:
        """Score the recommended front, and that of the networks with SE.

        Args:
            front: keys of its members, cheapest first. The plain network need not be in it.
            placed: keys of the members of the front of networks with SE, cheapest first.
        """
        return Score(self.whole.gap(front), self.whole.loss(front), self.placed.loss(placed))


@dataclass(frozen=True)
class Yardstick:
    """What all trainings say of some networks.

    Attributes:
        gains: expected gain of each network by its key, in points.
        costs: parameters of each network by its key.
        otherwise: what is gained where a front has no member that is affordable, in points.
        regret: the expected regret that all trainings leave: by how much the best network at a
            cost is better than the one that they recommend, in points, averaged as scores are.
    """

    gains: Mapping[str, float]
    costs: Mapping[str, float]
    otherwise: float
    regret: float

    @classmethod
    def of(cls, fitted: Fitted, otherwise: float) -> Yardstick:
        """Return the yardstick of a fit to all trainings; ``otherwise`` as above."""
        means = POINTS * fitted.gains
        order = np.argsort(fitted.costs, kind="stable")
        widths = _widths(_scale(fitted.costs)[order])
        best = np.maximum.accumulate(POINTS * fitted.draws[:, order], axis=1).mean(axis=0)
        best_mean = np.maximum.accumulate(means[order])
        return cls(
            dict(zip(fitted.keys, means.tolist(), strict=True)),
            dict(zip(fitted.keys, fitted.costs.tolist(), strict=True)),
            otherwise,
            float((best - best_mean) @ widths),
        )

    @property
    def front(self) -> list[str]:
        """The keys of the networks that all trainings recommend, cheapest first."""
        keys = list(self.gains)
        gains, costs = np.array([*self.gains.values()]), np.array([*self.costs.values()])
        return _front_of(keys, gains, costs)

    @property
    def hypervolume(self) -> float:
        """The best gain at a cost or less, averaged over the logarithm of the cost, in points.

        It counts from ``otherwise``, and worse networks count as that.
        """
        return self._measure(list(self.gains))

    def gap(self, front: Sequence[str]) -> float:
        """Return what a front lacks of the hypervolume; keys of its members, cheapest first."""
        return self.hypervolume - self._measure(front)

    def loss(self, front: Sequence[str]) -> float:
        """Return what a user of a front loses; keys of its members, cheapest first."""
        costs, _ = self._ordered
        return float(self._lose_at_each_cost(front) @ _widths(_scale(costs)))

    def shortfall(self, front: Sequence[str]) -> float:
        """Return what a user of a front loses at the cost where it is most, in points."""
        return float(np.max(self._lose_at_each_cost(front)))

    @cached_property
    def _ordered(self) -> tuple[Array, Array]:
        """Costs of all networks, ascending, and the best gain at each cost or less, ``(n,)``."""
        costs, gains = np.array([*self.costs.values()]), np.array([*self.gains.values()])
        order = np.argsort(costs, kind="stable")
        best = np.maximum.accumulate(gains[order])
        # Networks of equal cost see each other.
        return costs[order], best[np.searchsorted(costs[order], costs[order], side="right") - 1]

    def _measure(self, keys: Sequence[str]) -> float:
        costs, _ = self._ordered
        scaled = _scale(np.array([self.costs[key] for key in keys]), costs[0], costs[-1])
        gains = np.array([self.gains[key] for key in keys])
        return hypervolume(scaled, gains, (1.0, self.otherwise))

    def _lose_at_each_cost(self, front: Sequence[str]) -> Array:
        costs, best = self._ordered
        own_costs = np.array([-np.inf, *(self.costs[key] for key in front)])
        gains = np.array([self.otherwise, *(self.gains[key] for key in front)])
        taken = gains[np.searchsorted(own_costs, costs, side="right") - 1]
        return np.asarray(best - taken)


def _front_of(keys: Sequence[str], gains: Array, costs: Array) -> list[str]:
    on_front = np.flatnonzero(is_non_dominated(np.column_stack([-gains, costs])))
    return [keys[at] for at in on_front[np.argsort(costs[on_front], kind="stable")]]


def _scale(costs: Array, low: float | None = None, high: float | None = None) -> Array:
    """Return log costs, scaled to 0 for the least and 1 for the greatest of a table."""
    low, high = costs.min() if low is None else low, costs.max() if high is None else high
    return np.asarray((np.log(costs) - np.log(low)) / (np.log(high) - np.log(low)))


def _widths(scaled: Array) -> Array:
    """Return how far each ascending cost reaches: up to the next one, the last up to 1."""
    return np.diff(scaled, append=1.0)


def _count_compared(full: Sequence[TrialRecord]) -> int:
    """Return the number of replicates in which SE can be compared with the plain network."""
    plain: NDArray[np.bool_] = np.array([record.added_params == 0 for record in full], bool)
    seeds = np.array([record.seed for record in full], np.int64)
    return len(np.intersect1d(seeds[plain], seeds[~plain]))
