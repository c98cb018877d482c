"""Measures effects: how often one that is none is said to hold, and whether intervals are true.

Trainings are drawn at random, with no search: R replicates with a control each, as the product
spreads them, in worlds whose true effects are known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration.measures import (
    MEAN_ERROR,
    RATE_ERROR,
    Measurement,
    Target,
    mean_by_search,
    share_of,
)
from benchmarks.calibration.worlds import (
    AS_MEASURED,
    POINTS,
    Array,
    Spread,
    World,
    default_space,
    draw_level_terms,
    sum_level_terms,
)
from se_search.analysis.effects import Effect
from se_search.record import TrialRecord
from se_search.seeds import derive_seed
from se_search.space.bound import BoundSpace
from se_search.surrogate.effects import compute_effects
from se_search.surrogate.features import Factors
from se_search.surrogate.fitted_model import FittedModel
from se_search.surrogate.trainings import Trainings

NUM_TRAININGS = (12, 50, 200)
EPOCHS = 4
OBJECTIVES = ("accuracy", "params")
LARGE_EFFECT = 0.3  # points
NOTHING = 1e-9  # points: an effect that is none, but for rounding
# Kernels of each fit: the product draws 20. Six make it three times as fast, and intervals and
# p values differ from the product's in the third digit.
NUM_KERNELS = 6
FALSE_EFFECTS = Target(high=0.05, error=RATE_ERROR)
# Intervals of effects that are none hold them more often: the prior expects small effects.
COVERAGE = Target(low=0.93, error=MEAN_ERROR)

Terms = Callable[[np.random.Generator], Array]


def _all(rng: np.random.Generator) -> Array:
    return draw_level_terms(rng)


def _some_slots(rng: np.random.Generator) -> Array:
    """In half of the slots SE makes no difference."""
    terms = draw_level_terms(rng)
    terms[rng.permutation(len(terms))[: len(terms) // 2]] = 0.0
    return terms


def _some_levels(rng: np.random.Generator) -> Array:
    """Half of the levels make no difference."""
    terms = draw_level_terms(rng)
    return np.asarray(np.where(rng.random(terms.shape) < 0.5, 0.0, terms))


def _none(rng: np.random.Generator) -> Array:
    return np.zeros_like(draw_level_terms(rng))


KINDS: dict[str, Terms] = {
    "no effects": _none,
    "none in half of the slots": _some_slots,
    "none of half of the levels": _some_levels,
    "all effects": _all,
}


@dataclass(frozen=True)
class Judged:
    """Main effects of one world beside the truth, in points.

    Attributes:
        effects: ``k`` that are known.
        truths: ``(k,)``.
    """

    effects: tuple[Effect, ...]
    truths: Array

    @property
    def is_false(self) -> bool:
        """Whether an effect is said to hold that is none, or has the other sign."""
        return any(
            effect.holds and (abs(truth) < NOTHING or np.sign(truth) != np.sign(effect.gain))
            for effect, truth in zip(self.effects, self.truths, strict=True)
        )

    @property
    def is_held(self) -> NDArray[np.bool_]:
        """Which intervals hold the truth, ``(k,)``."""
        low = np.array([effect.low for effect in self.effects])
        high = np.array([effect.high for effect in self.effects])
        return np.asarray((low <= self.truths) & (self.truths <= high))

    @property
    def is_large(self) -> NDArray[np.bool_]:
        """Which true effects are large, ``(k,)``."""
        return np.asarray(np.abs(self.truths) >= LARGE_EFFECT)

    @property
    def is_found(self) -> NDArray[np.bool_]:
        """Which effects are said to hold, ``(k,)``."""
        return np.array([effect.holds for effect in self.effects], bool)


def measure_effects(
    count: int, spread: Spread = AS_MEASURED, num_kernels: int = NUM_KERNELS
) -> list[Measurement]:
    """Return the family-wise error, the coverage and the power of main effects.

    Args:
        count: worlds of each kind and number of trainings.
        spread: how far candidates and trainings lie apart.
        num_kernels: kernels that each fit draws.
    """
    figures = []
    for num_trainings in NUM_TRAININGS:
        for kind in KINDS:
            worlds = [
                judge_world(kind, spread, num_trainings, seed, num_kernels) for seed in range(count)
            ]
            figures += _summarize(f"{num_trainings} trainings, {kind}", worlds)
    return figures


def judge_world(
    kind: str, spread: Spread, num_trainings: int, seed: int, num_kernels: int = NUM_KERNELS
) -> Judged:
    """Return the main effects of a world after some trainings at random, beside the truth."""
    rng = np.random.default_rng(derive_seed("effects", kind, num_trainings, seed))
    truth = sum_level_terms(spread.networks / _unit_sd() * KINDS[kind](rng))
    world = World(kind, spread, derive_seed("effects", kind, seed), truth / POINTS)
    space = default_space()
    num_replicates = min(8, max(2, num_trainings // 12))
    codes = space.draw_codes(num_trainings, rng)
    codes[:num_replicates] = 0  # the controls
    replicates = np.arange(num_trainings) % num_replicates
    accuracies = [
        world.accuracy(row, replicate)
        for row, replicate in zip(_rows(space, codes), replicates.tolist(), strict=True)
    ]
    trainings = Trainings(
        codes, np.zeros(num_trainings, np.int64), replicates, np.array(accuracies)
    )
    model = FittedModel.fit(Factors(space.describe_levels()), trainings, [EPOCHS], num_kernels)
    keeping = _KeepingTruths(model, lambda codes: world.gains[_rows(space, codes)])
    records = [_record(space, codes[n], int(r), accuracies[n]) for n, r in enumerate(replicates)]
    found = compute_effects(keeping, space, records, OBJECTIVES, EPOCHS)
    known = tuple(effect for effect in found.main if effect.gain is not None)
    return Judged(known, POINTS * keeping.truths[0])


def _summarize(group: str, worlds: list[Judged]) -> list[Measurement]:
    count = len(worlds)
    numbers = np.repeat(np.arange(count), [len(world.effects) for world in worlds])
    held = np.concatenate([world.is_held for world in worlds]).astype(np.float64)
    large = np.concatenate([world.is_large for world in worlds])
    found = np.concatenate([world.is_found for world in worlds]).astype(np.float64)
    false = np.array([world.is_false for world in worlds])
    return [
        Measurement(group, "families with a false effect", *share_of(false), count, FALSE_EFFECTS),
        Measurement(
            group, "95 % intervals that hold the effect", *mean_by_search(held, numbers), count,
            COVERAGE,
        ),
        Measurement(
            group, f"effects of {LARGE_EFFECT:g} points or more that are found",
            *mean_by_search(found[large], numbers[large]), count,
        ),
    ]  # fmt: skip


@dataclass
class _KeepingTruths:
    """A fitted model that keeps the true values of what it is asked for, in shares.

    Attributes:
        model: that answers.
        gains: returns the true gains of candidates ``(m, num_slots)``, as ``(m,)``.
        truths: of each family of effects, in the order in which they were asked for.
    """

    model: FittedModel
    gains: Callable[[NDArray[np.int16]], Array]
    truths: list[Array] = field(default_factory=list)

    def draw_contrasts(self, codes: NDArray[np.int16], weights: Array) -> Array:
        self.truths.append(weights @ self.gains(codes))
        return self.model.draw_contrasts(codes, weights)

    def unshrunken(self) -> FittedModel:
        return self.model.unshrunken()


def _rows(space: BoundSpace, codes: NDArray[np.int16]) -> list[int]:
    """Return the numbers of candidates in the space, whose last slot goes fastest."""
    sizes = [len(levels) for levels in space.levels]
    return [int(row) for row in np.ravel_multi_index(tuple(codes.T.astype(np.int64)), sizes)]


def _unit_sd() -> float:
    """Return the standard deviation over candidates that standard normal level terms make."""
    shares = [1 / len(levels) for levels in default_space().levels]
    return float(np.sqrt(sum((1 - share) ** 2 for share in shares)))


def _record(
    space: BoundSpace, codes: NDArray[np.int16], replicate: int, accuracy: float
) -> TrialRecord:
    candidate = space.with_codes(codes)
    return TrialRecord(
        number=0,
        state="COMPLETE",
        candidate=str(candidate),
        key=candidate.key,
        placement=candidate.placement,
        seed=replicate,
        epochs=EPOCHS,
        accuracy=accuracy,
        loss=None,
        params=0,
        added_params=0,
        added_params_pct=0.0,
        macs=0,
        added_macs=0,
        seconds=0.0,
        reason=None,
    )
