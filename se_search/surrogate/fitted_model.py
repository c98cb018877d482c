"""The accuracy model after some trainings: draws of what candidates are worth.

Seeds move a training about as far as candidates differ, so that the best of many plain means is
mostly the luckiest one, and all candidates of one lucky replicate look good. The model is fitted to
all trainings, short and repeated ones included. Its posterior is about a candidate's accuracy in
replicates that nobody has drawn yet, on average over them: what a replicate does to the trainings
that were made is left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from se_search.surrogate.features import Factors
from se_search.surrogate.kernel import Kernel, log2_fidelity_gaps
from se_search.surrogate.likelihood import (
    MOST_EXACT,
    Likelihood,
    choose_fitted,
    draw_kernels,
    fit_kernel,
)
from se_search.surrogate.many_trainings import CHUNK, ManyTrainings
from se_search.surrogate.one_thread import one_thread
from se_search.surrogate.posterior import Posterior
from se_search.surrogate.posterior_front import Noise
from se_search.surrogate.scale import AccuracyScale
from se_search.surrogate.scores import (
    MOST_SCORES,
    RungScores,
    choose_scores,
    join,
    observe_scores,
)
from se_search.surrogate.trainings import Observations, Trainings

Array = NDArray[np.float64]

NUM_DRAWS = 4_000
NUM_MANY_DRAWS = 1_000  # of more than 2,048 candidates: more take memory and seconds
NUM_STARTS = 20
# Each kernel takes a factorisation. Many trainings leave little open of the hyper-parameters.
MOST_KERNELS, FEWEST_KERNELS = 40, 8
KERNELS_TIMES_TRAININGS = 16_000
# After more trainings than the posterior is exact for: all learn from 400 trainings alike.
MANY_KERNELS = 5
# Trainings: of more the posterior is that of weights, exact up to 700 candidates. A search, which
# asks one kernel for means and variances, takes covariances up to 2,000.
MOST_DRAWN_EXACTLY = 400
# The search compresses the poorest quarter of its accuracies, which can't matter to the front.
# Noise below the floor is compressed as well, so that the model finds too little of it and
# intervals are too narrow: after 100 trainings 90 % of the 95 % intervals held the truth, with this
# fence 93 %. So only outliers are compressed here, more than two interquartile ranges below the
# lower quartile (after Tukey 1977): one training that went wrong then widens all other intervals by
# a quarter instead of many times.
FENCE = 2.0
LEAST_SD = 1e-9  # of accuracies, where nothing is known of the images that they are of
# Variances of what levels add where they are estimated freely; a training within a replicate has 1.
# No SE differs from SE as it may. Levels with SE differ from each other by much more than they do
# as a rule, but not without bounds: one that has been trained once leaves the others' mean known.
FREE_EMPTY, FREE_LEVEL = 25.0, 1.0


@dataclass(frozen=True)
class FittedModel:
    """The accuracy model after some trainings.

    Attributes:
        factors: the slots of the space, each with an empty level.
        trainings: all that have finished.
        num_budgets: how many budgets there are; the last one is the full one.
        scale: from accuracies to the model's numbers.
        kernels: drawn from the posterior of the hyper-parameters; all count alike.
        most_exact: of more trainings the posterior is approximate; see ``many_trainings``. It rests
            on trainings alone then, and there are no ``scores``.
        scores: what each rung says of candidates; see ``rung_terms``.
    """

    factors: Factors
    trainings: Trainings
    num_budgets: int
    scale: AccuracyScale
    kernels: tuple[Kernel, ...]
    most_exact: int
    scores: tuple[RungScores, ...] = ()

    @classmethod
    def fit(
        cls,
        factors: Factors,
        trainings: Trainings,
        budgets: Sequence[int],
        num_kernels: int | None = None,
        least_noise: float = 0.0,
        most_exact: int | None = None,
        scores: Sequence[RungScores] = (),
    ) -> FittedModel:
        """Fit the model; equal arguments give equal numbers.

        Args:
            factors: the slots of the space.
            trainings: all that have finished.
            budgets: numbers of epochs, ascending; the last one is that of a full training.
            num_kernels: how many kernels are drawn; None: 40, and fewer from 400 trainings on.
            least_noise: the least variance of a training's accuracy, a share squared.
            most_exact: of more trainings the posterior is approximate; None: 400, or 2,000 with
                scores.
            scores: what each rung says of candidates; of more than 1,000 scores some are taken, and
                after more trainings than ``most_exact`` none.
        """
        if most_exact is None:
            most_exact = _count_exact(scores)
        if len(trainings) > most_exact:
            scores = ()
        if num_kernels is None:
            affordable = KERNELS_TIMES_TRAININGS // len(trainings)
            fewest, most = FEWEST_KERNELS, MOST_KERNELS
            if len(trainings) > most_exact:
                fewest, most = MANY_KERNELS, FEWEST_KERNELS
            num_kernels = max(fewest, min(most, affordable))
        with one_thread():
            unfitted = cls.of(factors, trainings, budgets, [], least_noise, scores)
            prior = unfitted._prior(budgets, least_noise)
            fitted = fit_kernel(prior, unfitted.seen, most_exact)
            likelihood = Likelihood(prior, choose_fitted(unfitted.seen, most_exact))
            rng = np.random.default_rng(0)
            drawn = draw_kernels(fitted, likelihood.log_density, num_kernels, rng) or [fitted]
            values = [kernel.values for kernel in drawn]
            found = cls.of(factors, trainings, budgets, values, least_noise, scores)
            return replace(found, most_exact=most_exact)

    @classmethod
    def of(
        cls,
        factors: Factors,
        trainings: Trainings,
        budgets: Sequence[int],
        values: Sequence[Array],
        least_noise: float = 0.0,
        scores: Sequence[RungScores] = (),
    ) -> FittedModel:
        """Return the model with hyper-parameters that were found before, as ``Kernel.values``.

        Arguments are those of ``fit``.
        """
        factors = factors.with_empty_levels()
        plain = factors.plain
        num_plain = int((trainings.codes == plain).all(axis=1).sum())
        least_sd = max(float(np.sqrt(least_noise)), LEAST_SD)
        scale = AccuracyScale.fit(trainings, len(budgets), NUM_STARTS + num_plain, FENCE, least_sd)
        most_exact = _count_exact(scores)
        model = cls(factors, trainings, len(budgets), scale, (), most_exact, tuple(scores))
        prior = model._prior(budgets, least_noise)
        kernels = tuple(prior.with_values(np.asarray(each)) for each in values)
        return replace(model, kernels=kernels)

    @property
    def plain(self) -> NDArray[np.int16]:
        """``(num_slots,)``: codes of the network without SE."""
        plain = self.factors.plain
        assert plain is not None  # each slot has an empty level
        return plain

    @property
    def num_replicates(self) -> int:
        """The number of replicates of the full trainings."""
        is_full = self.trainings.budgets == self.num_budgets - 1
        return len(np.unique(self.trainings.replicates[is_full]))

    @property
    def is_approximate(self) -> bool:
        """Whether the number of trainings makes the posterior approximate."""
        return len(self.trainings) > self.most_exact

    @cached_property
    def seen(self) -> Observations:
        """The scores, at most 1,000, then the trainings, standardised."""
        trainings = self._trainings_seen
        scores = observe_scores(self.factors, self.scores, self.num_budgets)
        if scores is not None:
            scores = choose_scores(scores, trainings.design.rows, MOST_SCORES)
        return join(scores, trainings)

    @cached_property
    def _trainings_seen(self) -> Observations:
        return Observations(self.trainings.design(self.factors), self.scale.apply(self.trainings))

    def _prior(self, budgets: Sequence[int], least_noise: float) -> Kernel:
        return Kernel(
            self.factors,
            log2_fidelity_gaps(budgets),
            least_noise=least_noise / self.scale.sd**2,
            rungs=tuple(rung.priors for rung in self.scores),
        )

    def draw(self, codes: NDArray[np.int16], num_draws: int = NUM_DRAWS) -> Array:
        """Draw the accuracies of candidates in an average replicate together.

        Draws of one number of candidates use the same random numbers. What is poor is so beside
        the mean of all trainings in its draw: with few replicates all accuracies of a draw may be
        low, and stretching them would make differences of any size.

        Args:
            codes: ``(m, num_slots)``.
            num_draws: rounded down to a multiple of the number of kernels.

        Returns:
            ``(num_draws, m)``: shares, not clipped to 0..1; their differences are what counts.
        """
        trained, counts = np.unique(self.trainings.codes, axis=0, return_counts=True)
        if self.is_approximate:
            return self._draw_many(codes, trained, counts / counts.sum(), num_draws)
        distinct, at = np.unique(np.vstack([codes, trained]), axis=0, return_inverse=True)
        row = np.concatenate([np.arange(len(codes)), np.full(len(trained), len(codes))])
        shares = np.concatenate([np.ones(len(codes)), counts / counts.sum()])
        weights = csr_array((shares, (row, at.ravel())), (len(codes) + 1, len(distinct)))
        drawn = self._draw(distinct, weights, num_draws)
        common = drawn[:, -1:] - drawn[:, -1].mean()
        return self._stretch(drawn[:, :-1], common)

    def draw_contrasts(
        self, codes: NDArray[np.int16], weights: Array, num_draws: int = NUM_DRAWS
    ) -> Array:
        """Draw linear combinations of candidates' accuracies together, ``(num_draws, k)``.

        Accuracies so poor that the model compresses them stay compressed.

        Args:
            codes: ``(m, num_slots)``.
            weights: ``(k, m)``; for differences each row adds up to 0.
            num_draws: rounded down to a multiple of the number of kernels.
        """
        if self.is_approximate:
            distinct, at = np.unique(codes, axis=0, return_inverse=True)
            gathered = np.zeros((len(distinct), len(weights)))
            np.add.at(gathered, at.ravel(), weights.T)
            with one_thread():
                rows, rng = self.factors.one_hot(distinct), np.random.default_rng(1)
                drawn = self._many.draw_sums(rows, gathered.T, num_draws, rng)
        else:
            drawn = self._draw(codes, weights, num_draws)
        return np.asarray(drawn * self.scale.sd + weights.sum(axis=1) * self.scale.mean)

    def unshrunken(self) -> FittedModel:
        """Return the model with what each slot's levels add estimated freely.

        The prior draws what levels add towards 0 and towards each other, which makes estimates
        better on average, and tests of single levels wrong. The variances of all else stay.
        """
        is_empty = [not level for levels in self.factors.levels for level in levels]
        own = np.where(is_empty, FREE_EMPTY, FREE_LEVEL)
        kernels = (replace(kernel, own_variances=own) for kernel in self.kernels)
        return replace(self, kernels=tuple(kernels))

    def predict(self, codes: NDArray[np.int16]) -> tuple[Array, Array]:
        """Return mean and standard deviation of candidates' gains over the plain network, ``(m,)``.

        Less is computed than for joint draws, so that there may be many candidates.
        """
        rows = self.factors.one_hot(np.vstack([self.plain, codes]))
        means, squares = [], []
        with one_thread():
            if self.is_approximate:
                gains = list(self._many.gains(rows))
            else:
                gains = [each.gains(self.seen.values) for each in self._posteriors(rows)]
            for mean, variance in gains:
                means.append(mean[1:])
                squares.append(variance[1:])
        spread = np.var(means, axis=0) + np.mean(squares, axis=0)
        return (
            np.mean(means, axis=0) * self.scale.sd,
            np.sqrt(np.maximum(spread, 0)) * self.scale.sd,
        )

    def measure_noise(self, draws: Array) -> Noise:
        """Return the standard deviations of what makes up an accuracy.

        Args:
            draws: ``(draws, m)`` of the candidates that were trained.
        """
        rows = self._trainings_seen.design.rows
        levels = [kernel.levels[-1] for kernel in self.kernels]
        noises = [kernel.noise[-1] for kernel in self.kernels]
        liked = [kernel.liking_variance(rows).mean() for kernel in self.kernels]

        def root(variances: Sequence[float]) -> float:
            return float(np.sqrt(np.mean(variances))) * self.scale.sd

        networks = float(np.sqrt(np.mean(np.var(draws, axis=1))))
        return Noise(root(levels), root(liked), root(noises), networks)

    def _draw(self, codes: NDArray[np.int16], weights: Array | csr_array, num_draws: int) -> Array:
        rows = self.factors.one_hot(codes)
        members = np.arange(len(codes))
        share = max(1, num_draws // len(self.kernels))
        rng = np.random.default_rng(1)
        parts = []
        with one_thread():
            for posterior in self._posteriors(rows):
                mean, covariance = posterior.moments(members, self.seen.values)
                mean, covariance = weights @ mean, weights @ covariance @ weights.T
                covariance[np.diag_indices(len(mean))] += 1e-9
                normal = rng.standard_normal((share, len(mean)))
                parts.append(mean + normal @ np.linalg.cholesky(covariance).T)
        return np.concatenate(parts)

    def _draw_many(
        self, codes: NDArray[np.int16], trained: NDArray[np.int16], shares: Array, num_draws: int
    ) -> Array:
        distinct, at = np.unique(np.vstack([codes, trained]), axis=0, return_inverse=True)
        own, of_trained = np.split(at.ravel(), [len(codes)])
        with one_thread():
            rows, rng = self.factors.one_hot(distinct), np.random.default_rng(1)
            affordable = num_draws if len(rows) <= CHUNK else min(num_draws, NUM_MANY_DRAWS)
            drawn = self._many.draw(rows, affordable, rng)
        weights = np.bincount(of_trained, weights=shares, minlength=len(distinct))
        common = np.asarray(drawn @ weights, np.float64)[:, None]
        common -= common.mean()
        found = np.empty((len(drawn), len(codes)))
        for begin in range(0, len(codes), CHUNK):  # beside thousands of candidates copies are large
            part = slice(begin, begin + CHUNK)
            found[:, part] = self._stretch(drawn[:, own[part]], common)
        return found

    def _stretch(self, drawn: Array, common: Array) -> Array:
        """Return accuracies of draws; what is poor is so beside what they have in common."""
        return np.asarray(self.scale.invert(drawn - common) + common * self.scale.sd)

    @cached_property
    def _many(self) -> ManyTrainings:
        with one_thread():
            return ManyTrainings(self.kernels, self.seen)

    def _posteriors(self, rows: Array) -> Iterator[Posterior]:
        """Yield the posteriors of the kernels: together they take gigabytes."""
        for kernel in self.kernels:
            yield Posterior(kernel, rows, self.seen.design)


def _count_exact(scores: Sequence[RungScores]) -> int:
    """Return of how many trainings covariances are taken, on which scores depend."""
    return MOST_EXACT if scores else MOST_DRAWN_EXACTLY
