"""Decides what to train next: a new candidate, or one that is undecided in another replicate.

A decision is a function of the seed, of the scores of cheap rungs that have been taken, and of the
trainings that have finished, are running or have failed, in the order of their trials; nothing else
is remembered, so a continued search decides as an undisturbed one would. Hyper-parameters are
fitted anew whenever the trainings have grown by a twentieth, from 200 on by a fifth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.pareto import on_front
from se_search.errors import SpaceError
from se_search.search.history import History
from se_search.search.pool import Array, Codes, Pool, PoolSource
from se_search.search.start_design import draw_untried, make_start_design
from se_search.search.valuation import Decision, Valuation
from se_search.surrogate.features import Factors
from se_search.surrogate.kernel import EXPLORING, JITTER, Kernel, log2_fidelity_gaps
from se_search.surrogate.likelihood import MOST_EXACT, fit_kernel
from se_search.surrogate.many_posterior import ManyPosterior
from se_search.surrogate.many_trainings import ManyTrainings
from se_search.surrogate.one_thread import one_thread
from se_search.surrogate.posterior import Posterior
from se_search.surrogate.scale import AccuracyScale
from se_search.surrogate.scores import (
    MOST_SCORES,
    RungScores,
    choose_scores,
    join,
    observe_scores,
)
from se_search.surrogate.trainings import Observations, Trainings

# Candidates times trainings, from which on a pool is thinned out: a decision would take seconds and
# gigabytes. 53 trainings of 371,800 candidates.
MOST_SCORED = 2 * 10**7
STARTS_PER_SLOT = 2
FEWEST_STARTS, MOST_STARTS = 8, 20


class Proposer:
    """Decides what to train next.

    Args:
        factors: the slots of the space.
        source: makes the pools of candidates that are scored.
        is_allowed: whether a candidate is within the limits.
        seed: of the start design and of draws from the model.
        repeats: whether a candidate may be proposed again, for another replicate.
        is_open: whether a candidate may still be proposed for the first time; unlike
            ``is_allowed`` it may change from one decision to the next.
        first: candidates that are trained before the start design.
        plain: ``(num_slots,)``: the network without SE, of which each replicate has a training;
            None: there is none.
        has_replicates: whether trainings share replicates.
        most_replicates: returns how many replicates a candidate can have; None: any number.
        most_exact: of more trainings, those that run included, the posterior is approximate, and
            rests on trainings alone; see ``many_posterior``.
        most_scored: of more candidates times trainings and scores, a pool of at most 50,000
            candidates is scored, and those that have been trained and the front's neighbours.

    Attributes:
        scores: what cheap rungs say of candidates; see ``take_scores``.
    """

    def __init__(
        self,
        factors: Factors,
        source: PoolSource[Any],
        is_allowed: Callable[[Codes], bool],
        seed: int,
        *,
        repeats: bool = True,
        is_open: Callable[[Codes], bool] = lambda codes: True,
        first: Sequence[Codes] = (),
        plain: Codes | None = None,
        has_replicates: bool = True,
        most_replicates: Callable[[Codes], int] | None = None,
        most_exact: int = MOST_EXACT,
        most_scored: int = MOST_SCORED,
    ) -> None:
        self.factors = factors
        self.source = source
        self.is_allowed = is_allowed
        self.seed = seed
        self.repeats = repeats
        self.is_open = is_open
        self.first = list(first)
        self.plain = plain
        self.has_replicates = has_replicates
        self.most_replicates = most_replicates
        self.most_exact = most_exact
        self.most_scored = most_scored
        self.scores: tuple[RungScores, ...] = ()
        self._design: list[Codes] | None = None
        self._fitted: tuple[Any, Pool, Posterior | ManyPosterior] | None = None
        self._decided: tuple[History, Decision] | None = None

    def take_scores(self, scores: Sequence[RungScores]) -> None:
        """Let decisions rest on scores of cheap rungs, too, in place of those taken before."""
        self.scores = tuple(scores)
        self._fitted = self._decided = None

    def has_next(self, history: History) -> bool:
        """Tell whether there is a training to propose.

        Without ``repeats`` there is none once every candidate has begun.
        """
        if self.repeats and len(self.list_repeatable(history)):
            return True
        return self.source.size > 0 and self._draw_untried(history) is not None

    def decide(self, history: History) -> Decision:
        """Return what to train next.

        Raises:
            SpaceError: no candidate is left; see ``has_next``.
        """
        if self._decided is None or not self._decided[0].equals(history):
            # One thread: trainings need the other cores, and sums depend on the number of threads.
            with one_thread():
                self._decided = history, self._decide(history)
        return self._decided[1]

    def estimate(self, history: History) -> tuple[Array, Array]:
        """Return the posterior of the full-budget accuracy of each finished training's candidate.

        Returns:
            ``(n,)`` means and ``(n,)`` standard deviations, without replicates and noise; n is the
            number of finished trainings.
        """
        with one_thread():
            trainings = history.trainings
            _, fitted = self.fit(history)
            scale = self.fit_scale(trainings, len(history.budgets))
            # The pool of a huge space does not hold all candidates that have been trained.
            rows = self.factors.one_hot(trainings.codes)
            if len(trainings) > self.most_exact:
                seen = self._standardise(trainings, len(history.budgets))
                mean, variance = ManyTrainings([fitted.kernel], seen).moments(0, rows)
                return scale.undo(mean), np.sqrt(np.maximum(variance, JITTER)) * scale.sd
            seen = self.see(history)
            own = Posterior(fitted.kernel, rows.astype(np.float32), seen.design)
            mean = own.mean(seen.values)
            return scale.undo(mean), np.sqrt(own.variance) * scale.sd

    @property
    def num_starts(self) -> int:
        """Number of candidates that are trained before the model is asked."""
        wanted = np.clip(STARTS_PER_SLOT * self.factors.num_slots, FEWEST_STARTS, MOST_STARTS)
        return int(min(wanted, max(2, self.source.size // 2)))

    def fit(self, history: History) -> tuple[Pool, Posterior | ManyPosterior]:
        """Return the pool, and the posterior over it given the finished trainings."""
        trainings = history.trainings
        fidelity_gaps = log2_fidelity_gaps(history.budgets)
        num_base = _milestone(len(trainings))
        base = trainings.first(num_base)
        many, design = self._are_many(history), self.see(history).design
        count = num_base + len(history.running) + len(design) - len(trainings)
        few = count * self.source.size > self.most_scored
        key = (fidelity_gaps, _freeze(base), many, few)
        if self._fitted is None or self._fitted[0] != key:
            self._fitted = key, *self._fit_base(base, fidelity_gaps, many=many, few=few)
        _, pool, posterior = self._fitted
        if isinstance(posterior, ManyPosterior):
            posterior.finish(design)
            return pool, posterior
        known = posterior.same_as(design)
        posterior.truncate(max(known, len(design) - len(trainings) + num_base))
        for number in range(len(posterior), len(design)):
            posterior.append(design.take(slice(number, number + 1)))
        return pool, posterior

    def see(self, history: History) -> Observations:
        """Return what decisions rest on: scores, then the finished trainings, standardised."""
        trainings, num_budgets = history.trainings, len(history.budgets)
        base = trainings.first(_milestone(len(trainings)))
        scores = self._choose_scores(base, num_budgets, many=self._are_many(history))
        return join(scores, self._standardise(trainings, num_budgets))

    def _are_many(self, history: History) -> bool:
        """Tell whether the posterior is approximate."""
        # Trainings that run are part of what is computed, too.
        base = _milestone(len(history.trainings))
        return base + len(history.running) > self.most_exact

    def _standardise(self, trainings: Trainings, num_budgets: int) -> Observations:
        values = self.fit_scale(trainings, num_budgets).apply(trainings)
        return Observations(trainings.design(self.factors), values)

    def _choose_scores(
        self, base: Trainings, num_budgets: int, *, many: bool
    ) -> Observations | None:
        """Return the scores that decisions rest on; None: there are none, or many trainings."""
        scores = None if many else observe_scores(self.factors, self.scores, num_budgets)
        if scores is None:
            return None
        return choose_scores(scores, self.factors.one_hot(base.codes), MOST_SCORES)

    def fit_scale(self, trainings: Trainings, num_budgets: int) -> AccuracyScale:
        """Return the scale of trainings; trainings of the plain network alone do not set it."""
        num_plain = int(self.mark_plain(trainings.codes).sum())
        return AccuracyScale.fit(trainings, num_budgets, self.num_starts + num_plain)

    def mark_plain(self, codes: Codes) -> NDArray[np.bool_]:
        """Mark the rows of ``(n, num_slots)`` that are the plain network."""
        if self.plain is None:
            return np.zeros(len(codes), bool)
        return np.asarray((codes == self.plain).all(axis=1))

    def _decide(self, history: History) -> Decision:
        start = self._next_start(history)
        if start is not None:
            return Decision(start, "start", None)
        if not len(history.trainings):
            return self._decide_without_model(history)
        return Valuation(self, history).decide()

    def _next_start(self, history: History) -> Codes | None:
        tried = history.tried
        if len(tried) >= self.num_starts and len(history.trainings) >= 2:
            return None
        if self._design is None:
            self._design = self.first + make_start_design(
                self._empty_pool(), self.factors, self.is_allowed, self.num_starts, self.seed
            )
        open_ones = (codes for codes in self._design if codes.tobytes() not in tried)
        return next(filter(self.is_open, open_ones), None)

    def list_repeatable(self, history: History) -> Codes:
        """Return the candidates that have begun and may be proposed again, ``(n, num_slots)``."""
        codes, counts = history.count_replicates()
        is_open = ~self.mark_plain(codes)  # the plain network has had every replicate
        if self.most_replicates is not None:
            is_open &= counts < np.array([self.most_replicates(row) for row in codes], np.int64)
        return np.asarray(codes[is_open])

    def may_try(self, codes: Codes) -> bool:
        """Tell whether a candidate is within the limits and may still be proposed."""
        return self.is_open(codes) and self.is_allowed(codes)

    def _decide_without_model(self, history: History) -> Decision:
        """Return any new candidate, or else another seed of one that is running.

        No training has finished, and the start design is used up: more trainings run at once than
        it has candidates, or all of them have failed.
        """
        codes = self._draw_untried(history)
        if codes is not None:
            return Decision(codes, "start", None)
        again = self.list_repeatable(history)
        if self.repeats and len(again):
            counts = [(history.running == row).all(axis=1).sum() for row in again]
            return Decision(again[np.argmin(counts)], "repeat", None)
        raise SpaceError("no candidate of the space is left that may be trained")

    def _draw_untried(self, history: History) -> Codes | None:
        return draw_untried(self._empty_pool(), history.tried, self.may_try, self.seed)

    def _empty_pool(self) -> Pool:
        """Return the pool as it is before anything has been trained."""
        none = np.zeros((0, self.factors.num_slots), np.int16)
        return self.source.make(none, none)

    def _fit_base(
        self, base: Trainings, fidelity_gaps: tuple[float, ...], *, many: bool, few: bool
    ) -> tuple[Pool, Posterior | ManyPosterior]:
        scores = self._choose_scores(base, len(fidelity_gaps), many=many)
        seen = join(scores, self._standardise(base, len(fidelity_gaps)))
        design, values = seen.design, seen.values
        prior = Kernel(
            self.factors,
            fidelity_gaps,
            has_replicates=self.has_replicates,
            priors=EXPLORING,
            rungs=() if many else tuple(rung.priors for rung in self.scores),
        )
        kernel = fit_kernel(prior, seen, self.most_exact)
        if many:
            return self._fit_many(kernel, seen, np.unique(base.codes, axis=0))
        pool = self._empty_pool()
        if few or not self.source.is_whole:
            trained = np.unique(np.vstack([base.codes, *self._list_scored()]), axis=0)
            if self.plain is not None:
                trained = trained[~self.mark_plain(trained)]
            one_hot = self.factors.one_hot(trained, np.float32)
            mean = Posterior(kernel, one_hot, design).mean(values)
            known = self.source.make(trained, trained[:0], few=few)
            marks = on_front(known.costs[known.find(trained)], mean[None])[0]
            pool = self.source.make(trained, trained[marks], few=few)
        one_hot = self.factors.one_hot(pool.codes, np.float32)
        return pool, Posterior(kernel, one_hot, design)

    def _list_scored(self) -> list[Codes]:
        """Return the candidates that each rung has scored and that may be trained."""
        return [rung.codes[self.source.allowed.keep(rung.codes)] for rung in self.scores]

    def _fit_many(
        self, kernel: Kernel, seen: Observations, trained: Codes
    ) -> tuple[Pool, ManyPosterior]:
        trained = trained[~self.mark_plain(trained)]
        many = ManyTrainings([kernel], seen)
        mean, _ = many.moments(0, self.factors.one_hot(trained))
        known = self.source.make(trained, trained[:0], few=True)
        marks = on_front(known.costs[known.find(trained)], mean[None])[0]
        pool = self.source.make(trained, trained[marks], few=True)
        one_hot = self.factors.one_hot(pool.codes, np.float32)
        return pool, ManyPosterior(kernel, many.pivots, one_hot, seen.design)


def _milestone(count: int) -> int:
    """Return after how many of ``count`` trainings the model was last fitted anew."""
    at = min(2, count)
    while (following := at + _step(at)) <= count:
        at = following
    return at


def _step(count: int) -> int:
    """Return after how many more trainings the model is fitted anew; later it moves little."""
    return max(2, count // 20) if count < 200 else count // 5


def _freeze(trainings: Trainings) -> tuple[bytes, bytes, bytes, bytes]:
    return (
        trainings.codes.tobytes(),
        trainings.budgets.tobytes(),
        trainings.replicates.tobytes(),
        trainings.accuracies.tobytes(),
    )
