"""Samplers: whole candidates within the limits, one at a time, on any Optuna study.

Optuna's own samplers draw parameters and know nothing of candidates, limits or spellings. Here
each proposal is a candidate first; the trial gets the parameters that spell it. A proposal is a
function of (seed, trial number, the study's trials) alone, so a continued study goes on as an
undisturbed one would have.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Generic

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from se_search.errors import SpaceError
from se_search.record import CandidateT
from se_search.search.candidates import CandidateSpace
from se_search.seeds import derive_seed
from se_search.space import Choice, Parameter

IsAllowed = Callable[[CandidateT], bool]
MAX_DRAWS = 20
MAX_UNIFORM_DRAWS = 10_000


class CandidateSampler(BaseSampler, Generic[CandidateT]):
    """An Optuna sampler that proposes candidates of a space within its limits.

    Args:
        space: what may be proposed.
        is_allowed: whether a candidate is within the limits; others are never proposed.
        seed: all randomness derives from it.
    """

    def __init__(
        self, space: CandidateSpace[CandidateT], is_allowed: IsAllowed[CandidateT], seed: int
    ) -> None:
        self.space = space
        self.is_allowed = is_allowed
        self.seed = seed

    @abstractmethod
    def propose(self, study: Study, trial: FrozenTrial) -> CandidateT:
        """Return the candidate that the trial shall train."""

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return every parameter of the space; a trial takes those that its candidate needs."""
        return {parameter.name: _distribution(parameter) for parameter in self.space.parameters}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the parameters that spell the proposed candidate."""
        return self.space.encode(self.propose(study, trial))

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Refuse: a parameter that is no part of the space was asked for."""
        raise SpaceError(f"parameter {param_name!r} is not one of the space")

    def draw_uniformly(self, rng: np.random.Generator) -> CandidateT:
        """Draw among all candidates within the limits, each as likely as any other.

        Raises:
            SpaceError: none of ten thousand draws is within the limits.
        """
        for _ in range(MAX_UNIFORM_DRAWS):
            candidate = self.space.candidate_at(_random_below(self.space.size, rng))
            if self.is_allowed(candidate):
                return candidate
        raise SpaceError(f"the limits leave none of {MAX_UNIFORM_DRAWS} random candidates")

    def rng(self, trial: FrozenTrial) -> np.random.Generator:
        """Return the random numbers of one trial."""
        return np.random.default_rng(self.trial_seed(trial))

    def trial_seed(self, trial: FrozenTrial) -> int:
        """Return a seed of 32 bits for one trial."""
        return derive_seed(self.seed, "sampler", trial.number) % 2**32


class RandomSampler(CandidateSampler[CandidateT]):
    """Draws uniformly from the candidates (not from the raw points, where some stand twice)."""

    def propose(self, study: Study, trial: FrozenTrial) -> CandidateT:
        """Return a candidate drawn uniformly."""
        return self.draw_uniformly(self.rng(trial))


class GridSampler(CandidateSampler[CandidateT]):
    """Takes the candidates in their order, and from the first one again when all have been."""

    def __init__(
        self, space: CandidateSpace[CandidateT], is_allowed: IsAllowed[CandidateT], seed: int
    ) -> None:
        super().__init__(space, is_allowed, seed)
        self._seen: list[CandidateT] = []
        self._rest: Iterator[CandidateT] = filter(is_allowed, iter(space))

    def propose(self, study: Study, trial: FrozenTrial) -> CandidateT:
        """Return the candidate whose turn it is."""
        while len(self._seen) <= trial.number:
            candidate = next(self._rest, None)
            if candidate is None:
                break
            self._seen.append(candidate)
        if not self._seen:
            raise SpaceError("the limits leave no candidate of the space")
        return self._seen[trial.number % len(self._seen)]


class OptunaSampler(CandidateSampler[CandidateT]):
    """Lets one of Optuna's samplers draw, until the candidate is within the limits.

    Args:
        space: what may be proposed.
        is_allowed: whether a candidate is within the limits.
        seed: all randomness derives from it.
        make_inner: makes Optuna's sampler for one trial from a seed.
    """

    def __init__(
        self,
        space: CandidateSpace[CandidateT],
        is_allowed: IsAllowed[CandidateT],
        seed: int,
        make_inner: Callable[[int], BaseSampler],
    ) -> None:
        super().__init__(space, is_allowed, seed)
        self.make_inner = make_inner

    def propose(self, study: Study, trial: FrozenTrial) -> CandidateT:
        """Return the inner sampler's candidate, or a uniform draw if it keeps breaking limits."""
        inner = self.make_inner(self.trial_seed(trial))
        inner_space = inner.infer_relative_search_space(study, trial)
        for _ in range(MAX_DRAWS):
            relative = inner.sample_relative(study, trial, inner_space)

            def draw(parameter: Parameter, relative: dict[str, Any] = relative) -> Choice:
                if parameter.name in relative:
                    value: Choice = relative[parameter.name]
                    return value
                distribution = _distribution(parameter)
                independent: Choice = inner.sample_independent(
                    study, trial, parameter.name, distribution
                )
                return independent

            candidate = self.space.choose(draw)
            if self.is_allowed(candidate):
                return candidate
        return self.draw_uniformly(self.rng(trial))


def _make_tpe(seed: int) -> BaseSampler:
    # With several objectives TPE samples each parameter on its own unless told otherwise, and
    # then repeats half of its proposals on such spaces; "group" lets parameters be conditional.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, group=True)


def _make_nsga2(seed: int) -> BaseSampler:
    # Optuna's population of 50 leaves three bred generations of 200 trials; 20 did better.
    return NSGAIISampler(seed=seed, population_size=20)


# By name: each makes a sampler for a space, limits and a seed.
SAMPLERS: dict[str, Callable[[CandidateSpace[Any], IsAllowed[Any], int], CandidateSampler[Any]]] = {
    "tpe": lambda space, is_allowed, seed: OptunaSampler(space, is_allowed, seed, _make_tpe),
    "nsga2": lambda space, is_allowed, seed: OptunaSampler(space, is_allowed, seed, _make_nsga2),
    "random": RandomSampler,
    "grid": GridSampler,
}


def _distribution(parameter: Parameter) -> CategoricalDistribution:
    return CategoricalDistribution(parameter.choices)


def _random_below(bound: int, rng: np.random.Generator) -> int:
    """Draw from 0..bound-1, also where bound has more than 64 bits."""
    if bound <= 2**63 - 1:
        return int(rng.integers(bound))
    num_bytes = (bound.bit_length() + 7) // 8 + 8
    return int.from_bytes(rng.bytes(num_bytes), "big") % bound
