"""The samplers by name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler

from se_search.cost import Cost
from se_search.record import CandidateT
from se_search.search.candidate_set import CandidateSet
from se_search.search.candidate_space import CandidateSpace
from se_search.search.pareto_sampler import ParetoSampler
from se_search.search.samplers import (
    CandidateSampler,
    GridSampler,
    OptunaSampler,
    RandomSampler,
)


@dataclass(frozen=True)
class Setup(Generic[CandidateT]):
    """Everything that a sampler is made from.

    Attributes:
        space: the candidates.
        allowed: those within the limits.
        seed: all randomness derives from it.
        count_cost: counts a candidate's costs exactly.
        objectives: of the search, accuracy first.
        epochs: length of a full training.
        repeat_candidates: whether ``pareto`` may propose a candidate again, for its next
            replicate, and whether ``grid`` goes on with another block.
        control: the plain network, which each replicate trains first; None: there is none.
        first: candidates within the limits that every sampler but ``grid`` proposes first.
        most_replicates: returns how many replicates a candidate can have; None: any number.
    """

    space: CandidateSpace[CandidateT]
    allowed: CandidateSet[CandidateT]
    seed: int
    count_cost: Callable[[CandidateT], Cost]
    objectives: tuple[str, ...]
    epochs: int
    repeat_candidates: bool = True
    control: CandidateT | None = None
    first: tuple[CandidateT, ...] = ()
    most_replicates: Callable[[CandidateT], int] | None = None

    @property
    def limits(self) -> dict[str, Any]:
        """What samplers that learn nothing themselves are told of the trials to come."""
        return {
            "control": self.control,
            "first": self.first,
            "most_replicates": self.most_replicates,
        }

    def price(self, candidate: CandidateT) -> Sequence[int]:
        """Return the costs that the search minimises, in the order of the objectives."""
        cost = self.count_cost(candidate)
        return [getattr(cost, name) for name in self.objectives[1:]]


def _make_pareto(setup: Setup[Any]) -> CandidateSampler[Any]:
    return ParetoSampler(
        setup.space,
        setup.allowed,
        setup.seed,
        setup.price,
        setup.epochs,
        control=setup.control,
        first=setup.first,
        repeats=setup.repeat_candidates,
        most_replicates=setup.most_replicates,
    )


def _make_random(setup: Setup[Any]) -> CandidateSampler[Any]:
    return RandomSampler(setup.space, setup.allowed, setup.seed, **setup.limits)


def _make_grid(setup: Setup[Any]) -> CandidateSampler[Any]:
    return GridSampler(
        setup.space,
        setup.allowed,
        setup.seed,
        most_replicates=setup.most_replicates,
        is_single=not setup.repeat_candidates,
    )


def _make_optuna(
    make_inner: Callable[[int], BaseSampler], setup: Setup[Any]
) -> CandidateSampler[Any]:
    return OptunaSampler(setup.space, setup.allowed, setup.seed, make_inner, **setup.limits)


def _make_tpe(seed: int) -> BaseSampler:
    # Unless told otherwise TPE samples each parameter on its own when there are several
    # objectives, and then repeats half of its proposals here; "group" allows conditional ones.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, group=True)


def _make_nsga2(seed: int) -> BaseSampler:
    # Optuna's default population of 50 leaves 200 trials three bred generations; 20 did better.
    return NSGAIISampler(seed=seed, population_size=20)


SAMPLERS: dict[str, Callable[[Setup[Any]], CandidateSampler[Any]]] = {
    "pareto": _make_pareto,
    "tpe": partial(_make_optuna, _make_tpe),
    "nsga2": partial(_make_optuna, _make_nsga2),
    "random": _make_random,
    "grid": _make_grid,
}
