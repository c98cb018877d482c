"""Scores of cheap rungs, as the accuracy model takes them: one number a candidate and rung."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from se_search.errors import RungError
from se_search.surrogate.features import Factors
from se_search.surrogate.rung_terms import RungPriors
from se_search.surrogate.scale import TAIL_SCALE, compress_tail
from se_search.surrogate.trained_candidates import pack_rows
from se_search.surrogate.trainings import Array, Design, Observations

MOST_SCORES = 1_000  # of all rungs: the posterior takes a covariance of them
FENCE = 2.0  # interquartile ranges below the lower quartile, as of accuracies (``fitted_model``)
# Standard deviations of logarithms: what a member favours is not quite what is measured, and what
# all members get wrong alike of a single candidate counts as noise, too, however well they agree.
OWN_SD, NOISE_SD = 0.3, 1.0
LEAST_SHARE = 0.02  # of the variance of scores: no variance between members is expected to be less


@dataclass(frozen=True)
class MemberSpread:
    """By how much single members of a rung differ, each about its own mean; score squared.

    Attributes:
        own: variance of what one member adds for levels of slots, beside the others.
        num_own: of how many independent numbers that is.
        noise: variance of one member's scores about it.
        num_noise: of how many independent numbers that is.
    """

    own: float
    num_own: int
    noise: float
    num_noise: int

    @classmethod
    def measure(cls, rows: Array, scores: Array) -> MemberSpread | None:
        """Measure it; None: there is one member, or there are too few candidates.

        A least-squares fit of each slot's levels tells apart what levels add and what is left.

        Args:
            rows: ``(m, num_levels)``: the candidates one-hot.
            scores: ``(num_members, m)``.
        """
        num_members, count = scores.shape
        own = scores - scores.mean(axis=1, keepdims=True)
        rest = own - own.mean(axis=0)
        centred = rows - rows.mean(axis=0)
        left, size, _ = np.linalg.svd(centred, full_matrices=False)
        basis = left[:, size > 1e-9 * max(1.0, float(size[0]))]
        rank = basis.shape[1]
        freedom = num_members - 1
        if not freedom or not rank or count - 1 - rank < rank:
            return None
        told = float(((rest @ basis) ** 2).sum()) / freedom
        whole = float((rest**2).sum()) / freedom
        noise = (whole - told) / (count - 1 - rank)
        liked = max(0.0, (told - rank * noise) / count)
        return cls(liked, freedom * rank, noise, freedom * (count - 1 - rank))


@dataclass(frozen=True)
class RungScores:
    """What a rung says of candidates, the mean over its members (supernets).

    Attributes:
        name: of the rung.
        codes: ``(m, num_slots)``, no candidate twice.
        values: ``(m,)``; higher is better.
        num_members: over how many members each value is the mean.
        spread: by how much single members differ; None: not known.
    """

    name: str
    codes: NDArray[np.int16]
    values: Array
    num_members: int = 1
    spread: MemberSpread | None = None

    def __post_init__(self) -> None:
        """Refuse scores that tell nothing, or that are none.

        Raises:
            RungError: scores are not finite, all equal or fewer than two, or a candidate has two.
        """
        where = f"scores of the rung {self.name!r}"
        if self.num_members < 1:
            raise RungError(f"{where}: num_members is {self.num_members}; allowed: 1 or more")
        if len(self.codes) != len(self.values):
            raise RungError(
                f"{where}: {len(self.codes)} candidates have {len(self.values)} scores; allowed: "
                "one each"
            )
        if not np.isfinite(self.values).all():
            bad = int(np.flatnonzero(~np.isfinite(self.values))[0])
            raise RungError(f"{where}: number {bad} is {self.values[bad]}; allowed: finite numbers")
        if len(np.unique(self.values)) < 2:
            raise RungError(
                f"{where} tell nothing: there are {len(self.values)}, and none differs from "
                "another; allowed: two or more different ones"
            )
        if len(np.unique(self.codes, axis=0)) < len(self.codes):
            raise RungError(f"{where}: a candidate has two; allowed: one, the mean over members")

    def __len__(self) -> int:
        return len(self.values)

    @classmethod
    def of_members(
        cls, name: str, factors: Factors, codes: NDArray[np.int16], scores: Array
    ) -> RungScores:
        """Return the mean over members; by how much they differ is measured.

        Args:
            name: of the rung.
            factors: the slots of the space.
            codes: ``(m, num_slots)``.
            scores: ``(num_members, m)``.
        """
        spread = MemberSpread.measure(factors.one_hot(codes), scores)
        return cls(name, codes, scores.mean(axis=0), len(scores), spread)

    @cached_property
    def _compressed(self) -> Array:
        low, high = np.quantile(self.values, [0.25, 0.75])
        reach = float(high - low) or float(self.values.std())
        floors = np.full(len(self), low - FENCE * reach)
        return compress_tail(self.values, floors, TAIL_SCALE * reach)

    @property
    def sd(self) -> float:
        """Standard deviation of the scores, outliers below compressed."""
        return float(self._compressed.std())

    @cached_property
    def standardised(self) -> Array:
        """``(m,)``: scores with mean 0 and standard deviation 1, outliers below compressed."""
        return np.asarray((self._compressed - self._compressed.mean()) / self.sd)

    @property
    def priors(self) -> RungPriors:
        """What is expected of the rung's hyper-parameters; see ``RungPriors``."""
        priors = RungPriors()
        if self.spread is None:
            return priors
        spread = self.spread
        return replace(
            priors,
            own=_expect(spread.own / self.sd**2, spread.num_own, OWN_SD),
            noise=_expect(spread.noise / self.sd**2, spread.num_noise, NOISE_SD),
        )


def observe_scores(
    factors: Factors, rungs: Sequence[RungScores], num_budgets: int
) -> Observations | None:
    """Return the scores of all rungs, standardised, one rung after the other; None: no rung.

    Args:
        factors: the slots of the space.
        rungs: a rung's position is that in the model's list.
        num_budgets: how many budgets trainings have; a score has the full one, the last.
    """
    if not rungs:
        return None
    sizes = [len(rung) for rung in rungs]
    count = sum(sizes)
    design = Design(
        factors.one_hot(np.vstack([rung.codes for rung in rungs])),
        np.full(count, num_budgets - 1, np.int64),
        np.zeros(count, np.int64),
        np.repeat(np.arange(len(rungs)), sizes),
        np.repeat([rung.num_members for rung in rungs], sizes),
    )
    return Observations(design, np.concatenate([rung.standardised for rung in rungs]))


def choose_scores(scores: Observations, trained: Array, limit: int) -> Observations:
    """Return at most ``limit`` scores, shared equally by the rungs.

    Those of candidates that have been trained come first, as nothing else tells what scores are
    worth; the others are drawn at random, by their number alone.

    Args:
        scores: of all rungs.
        trained: ``(n, num_levels)``: the candidates of trainings, one-hot.
        limit: on their number.
    """
    if len(scores) <= limit:
        return scores
    rungs = scores.design.list_rungs()
    share = max(1, limit // len(np.unique(rungs)))
    is_trained = np.isin(pack_rows(scores.design.rows), pack_rows(trained))
    order = np.random.default_rng(0).permutation(len(scores))
    order = order[np.argsort(~is_trained[order], kind="stable")]
    kept = [order[rungs[order] == rung][:share] for rung in np.unique(rungs)]
    at = np.sort(np.concatenate(kept))
    return scores.take(at)


def join(scores: Observations | None, trainings: Observations) -> Observations:
    """Return scores, if there are any, followed by trainings."""
    if scores is None:
        return trainings
    return Observations(
        scores.design.followed_by(trainings.design),
        np.concatenate([scores.values, trainings.values]),
    )


def _expect(variance: float, freedom: int, sd: float) -> tuple[float, float]:
    """Return median and sd of the logarithm of a variance that so many numbers tell."""
    return max(variance, LEAST_SHARE), float(np.hypot(np.sqrt(2.0 / freedom), sd))
