"""Simulated worlds: the default space with accuracies that are made up, and so known exactly.

The accuracy of a training is the candidate's own, plus the level of its replicate (what the
replicate does to every network), plus how the replicate likes each level of each slot, plus noise.
Every training is a function of the world, the candidate and the replicate alone, so any replicate
of any candidate can be asked for, in any order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.models.catalogue import describe_backbone
from se_search.record import Assignment
from se_search.search.candidate_set import WholeSpace
from se_search.seeds import derive_seed
from se_search.space.bound import BoundSpace
from se_search.space.schema import read_space

Array = NDArray[np.float64]

POINTS = 100.0  # points in a share
PLAIN_ACCURACY = 0.82  # of the default network after the default recipe
LARGE_GAIN = 0.5  # points: a gain that a search of 200 trainings should not miss


@dataclass(frozen=True, slots=True)
class Spread:
    """How far candidates and trainings lie apart: standard deviations in points.

    Attributes:
        networks: over candidates, of the true accuracy.
        level: over replicates, of what a replicate does to all networks alike.
        interaction: over candidates, of how one replicate likes each of them.
        training: of what is left, independent for each training.
    """

    networks: float
    level: float
    interaction: float
    training: float

    def with_noise_times(self, factor: float) -> Spread:
        """Return a spread whose trainings, not candidates, lie apart by a multiple."""
        return Spread(
            self.networks,
            factor * self.level,
            factor * self.interaction,
            factor * self.training,
        )


# Fashion-MNIST, 2,000 images of 4 epochs, replicates that draw the images anew (issue 12).
AS_MEASURED = Spread(networks=0.2, level=0.36, interaction=0.15, training=0.45)
# What the simulation draws by which the number of replicates was chosen (docs/how_it_searches.md).
AS_DESIGNED = Spread(networks=0.36, level=0.36, interaction=0.27, training=0.45)


@dataclass(frozen=True)
class World:
    """A space whose candidates have known accuracies.

    Attributes:
        shape: how the accuracies were made; see ``SHAPES``.
        spread: how far candidates and trainings lie apart.
        seed: of all draws.
        gains: ``(size,)`` true accuracy of each candidate less the plain network's, in shares.
    """

    shape: str
    spread: Spread
    seed: int
    gains: Array

    epochs = 1  # of a full training; a simulated one takes none
    num_replicates = None  # any number

    @property
    def space(self) -> BoundSpace:
        """The candidates; ``gains`` has their order."""
        return default_space()

    @property
    def allowed(self) -> WholeSpace[Candidate]:
        """The candidates that may be trained: all."""
        return WholeSpace(self.space)

    @property
    def costs(self) -> NDArray[np.int64]:
        """``(size,)`` parameters of each candidate, exact."""
        return _count_params()

    @property
    def best_gain(self) -> float:
        """The largest true gain of any candidate, in points."""
        return float(POINTS * self.gains.max())

    @cached_property
    def best_gains(self) -> Array:
        """``(size,)`` largest gain of any candidate that costs no more, in shares."""
        order = np.argsort(self.costs, kind="stable")
        best = np.maximum.accumulate(self.gains[order])
        # Candidates of equal cost see each other.
        last = np.searchsorted(self.costs[order], self.costs, side="right") - 1
        return np.asarray(best[last])

    def row_of(self, key: str) -> int:
        """Return the number of a candidate, given by its key."""
        return _number_keys()[key]

    def look_up(self, assignment: Assignment[Candidate]) -> float:
        """Return the accuracy of a full training, a share."""
        assert assignment.epochs == self.epochs
        return self.accuracy(self.row_of(assignment.candidate.key), assignment.seed)

    def accuracy(self, row: int, replicate: int) -> float:
        """Return the accuracy of a candidate's training in a replicate, a share."""
        codes = _list_codes()[row]
        level, liking = self._replicate(replicate)
        shift = level + liking[np.arange(len(codes)), codes].sum()
        rng = np.random.default_rng(derive_seed("training", self.seed, row, replicate))
        noise = rng.normal(0, self.spread.training)
        return float(PLAIN_ACCURACY + self.gains[row] + (shift + noise) / POINTS)

    def _replicate(self, replicate: int) -> tuple[float, Array]:
        """Return a replicate's level, and how it likes each level of each slot, in points."""
        if replicate not in self._replicates:
            rng = np.random.default_rng(derive_seed("replicate", self.seed, replicate))
            level = float(rng.normal(0, self.spread.level))
            liking = draw_level_terms(rng) * self.spread.interaction / _terms_sd()
            self._replicates[replicate] = level, liking
        return self._replicates[replicate]

    @cached_property
    def _replicates(self) -> dict[int, tuple[float, Array]]:
        return {}


def simulate(shape: str, spread: Spread, seed: int) -> World:
    """Return a made-up world.

    Args:
        shape: one of ``SHAPES``.
        spread: how far candidates and trainings lie apart.
        seed: of all draws.
    """
    rng = np.random.default_rng(derive_seed("world", shape, seed))
    truth = spread.networks * SHAPES[shape](rng, spread.networks)
    return World(shape, spread, seed, (truth - truth[0]) / POINTS)


@lru_cache(maxsize=1)
def default_space() -> BoundSpace:
    """Return the space of the default job: four stages, each without SE or one of four ratios."""
    return BoundSpace(
        read_space("stages_ratio"), describe_backbone("resnet20_bottleneck", 1, 28, 10)
    )


def draw_level_terms(rng: np.random.Generator) -> Array:
    """Return standard normal terms of each level of each slot, 0 for no SE: ``(slots, levels)``."""
    space = default_space()
    terms = rng.normal(size=(len(space.levels), len(space.levels[0])))
    terms[:, 0] = 0.0
    return terms


def sum_level_terms(terms: Array) -> Array:
    """Return the sum of each candidate's terms, ``(size,)``."""
    codes = _list_codes()
    return np.asarray(terms[np.arange(codes.shape[1]), codes].sum(axis=1))


def _additive(rng: np.random.Generator, sd: float) -> Array:
    return _standardise(sum_level_terms(draw_level_terms(rng)))


def _with_pairs(rng: np.random.Generator, sd: float) -> Array:
    """Two fifths of the variance are of pairs of slots."""
    return _mix(rng, 0.6, 0.4, 0.0)


def _rough(rng: np.random.Generator, sd: float) -> Array:
    """Three tenths of the variance are of pairs of slots, a fifth of each network by itself."""
    return _mix(rng, 0.5, 0.3, 0.2)


def _null(rng: np.random.Generator, sd: float) -> Array:
    return np.zeros(default_space().size)


def _gain(rng: np.random.Generator, sd: float) -> Array:
    """Additive, drawn until the best candidate gains enough."""
    while True:
        truth = _additive(rng, sd)
        if sd * (truth - truth[0]).max() >= LARGE_GAIN:
            return truth


def _harm(rng: np.random.Generator, sd: float) -> Array:
    return _standardise(sum_level_terms(-np.abs(draw_level_terms(rng))))


# How true accuracies are made, with a standard deviation of 1 and up to a constant; they are then
# multiplied by their standard deviation in points, the second argument.
SHAPES: dict[str, Callable[[np.random.Generator, float], Array]] = {
    "additive": _additive,
    "pairs": _with_pairs,
    "rough": _rough,
    "gain": _gain,
    "harm": _harm,
    "null": _null,
}


def _mix(rng: np.random.Generator, additive: float, pairs: float, own: float) -> Array:
    """Return standardised accuracies with these shares of variance."""
    codes = _list_codes()
    levels = len(default_space().levels[0])
    parts = [
        sum_level_terms(draw_level_terms(rng)),
        np.sum(
            [
                rng.normal(size=(levels, levels))[codes[:, one], codes[:, two]]
                for one, two in combinations(range(codes.shape[1]), 2)
            ],
            axis=0,
        ),
        rng.normal(size=len(codes)),
    ]
    whole = np.sqrt([additive, pairs, own]) @ np.array([_standardise(part) for part in parts])
    return _standardise(whole)  # the parts of one world are a little correlated


def _standardise(values: Array) -> Array:
    return np.asarray((values - values.mean()) / values.std())


@lru_cache(maxsize=1)
def _list_codes() -> NDArray[np.int16]:
    return default_space().codes()


@lru_cache(maxsize=1)
def _number_keys() -> dict[str, int]:
    return {candidate.key: row for row, candidate in enumerate(default_space())}


@lru_cache(maxsize=1)
def _count_params() -> NDArray[np.int64]:
    return np.array([count_cost(candidate).params for candidate in default_space()], np.int64)


@lru_cache(maxsize=1)
def _terms_sd() -> float:
    """Return the standard deviation over candidates that standard normal level terms make.

    Of a slot with L levels, one of them none, the L - 1 others make a variance of
    (L - 1) / L - (L - 1) / L².
    """
    shares = [1 / len(levels) for levels in default_space().levels]
    return float(np.sqrt(sum((1 - share) ** 2 for share in shares)))
