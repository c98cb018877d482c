"""Optuna samplers that propose whole candidates within the limits of a search.

Optuna's own samplers draw parameters and know nothing of candidates, of limits, or of parameters
that spell one candidate in several ways. Here each proposal is a candidate first; the trial gets
the parameters that spell it. A proposal is a function of the seed, the trial's number and the
earlier trials alone, so a continued search goes on as an undisturbed one would have.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Generic

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from se_search.errors import SpaceError
from se_search.record import CandidateT
from se_search.search.candidate_space import CandidateSpace
from se_search.search.promotion import Scorer
from se_search.seeds import derive_seed
from se_search.space.parameters import Parameter
from se_search.space.schema import Choice

IsAllowed = Callable[[CandidateT], bool]
MAX_DRAWS = 20
MAX_UNIFORM_DRAWS = 10_000


class CandidateSampler(BaseSampler, Generic[CandidateT]):
    """An Optuna sampler that proposes candidates of a space within its limits.

    Args:
        space: the candidates.
        is_allowed: whether a candidate is within the limits; others are never proposed.
        seed: all randomness derives from it.

    Attributes:
        planned: a promoted candidate that the next trial is to train instead of a proposal; the
            loop sets it. None: the sampler proposes.
    """

    def __init__(
        self, space: CandidateSpace[CandidateT], is_allowed: IsAllowed[CandidateT], seed: int
    ) -> None:
        self.space = space
        self.is_allowed = is_allowed
        self.seed = seed
        self.planned: CandidateT | None = None

    @abstractmethod
    def propose(self, study: Study, trial: FrozenTrial) -> CandidateT:
        """Return the candidate that the trial is to train."""

    def expected_gain(self, study: Study) -> float | None:
        """Return by how much the front is expected to rise if one more candidate became known.

        Returns:
            Accuracy (0..1), averaged over the logarithm of the cost; None: the sampler has no
            model, or the model has too few trainings.
        """
        return None

    @property
    def score(self) -> Scorer | None:
        """The function that estimates accuracies for promotion; None: the sampler has none."""
        return None

    def pass_over(self, study: Study, trial: FrozenTrial) -> None:
        """Take note that the trial trains the planned candidate instead of a proposal."""

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Return every parameter of the space; a trial gets those that spell its candidate."""
        return {parameter.name: _distribution(parameter) for parameter in self.space.parameters}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the parameters that spell the planned or the proposed candidate."""
        if self.planned is None:
            return self.space.encode(self.propose(study, trial))
        self.pass_over(study, trial)
        return self.space.encode(self.planned)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Refuse a parameter that is no part of the space.

        Raises:
            SpaceError: always.
        """
        raise SpaceError(f"parameter {param_name!r} is not one of the space")

    def draw_uniformly(self, rng: np.random.Generator) -> CandidateT:
        """Return a candidate drawn uniformly from those within the limits.

        Raises:
            SpaceError: none of ten thousand draws is within the limits.
        """
        for _ in range(MAX_UNIFORM_DRAWS):
            candidate = self.space.candidate_at(_random_below(self.space.size, rng))
            if self.is_allowed(candidate):
                return candidate
        raise SpaceError(f"the limits leave none of {MAX_UNIFORM_DRAWS} random candidates")

    def rng(self, trial: FrozenTrial) -> np.random.Generator:
        """Return the random generator of one trial."""
        return np.random.default_rng(self.trial_seed(trial))

    def trial_seed(self, trial: FrozenTrial) -> int:
        """Return a seed of 32 bits for one trial."""
        return derive_seed(self.seed, "sampler", trial.number) % 2**32


class RandomSampler(CandidateSampler[CandidateT]):
    """Draws candidates uniformly, not their spellings, of which some candidates have several."""

    def propose(self, study: Study, trial: FrozenTrial) -> CandidateT:
        """Return a candidate drawn uniformly."""
        return self.draw_uniformly(self.rng(trial))


class GridSampler(CandidateSampler[CandidateT]):
    """Takes the candidates in the order of the space, and starts again after the last."""

    def __init__(
        self, space: CandidateSpace[CandidateT], is_allowed: IsAllowed[CandidateT], seed: int
    ) -> None:
        super().__init__(space, is_allowed, seed)
        self._seen: list[CandidateT] = []
        self._rest: Iterator[CandidateT] = filter(is_allowed, iter(space))

    def propose(self, study: Study, trial: FrozenTrial) -> CandidateT:
        """Return the candidate whose turn it is."""
        turn = _num_proposals(study, before=trial.number)
        while len(self._seen) <= turn:
            candidate = next(self._rest, None)
            if candidate is None:
                break
            self._seen.append(candidate)
        if not self._seen:
            raise SpaceError("the limits leave no candidate of the space")
        return self._seen[turn % len(self._seen)]


class OptunaSampler(CandidateSampler[CandidateT]):
    """Lets one of Optuna's samplers draw until the candidate is within the limits.

    Args:
        space: the candidates.
        is_allowed: whether a candidate is within the limits.
        seed: all randomness derives from it.
        make_inner: makes Optuna's sampler for one trial, from a seed.
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
        """Return the inner sampler's candidate; after 20 beyond the limits, a uniform draw."""
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

    def pass_over(self, study: Study, trial: FrozenTrial) -> None:
        """Let the inner sampler draw, and drop the draw.

        NSGA-II notes a trial's generation when it draws, and breeds only from trials with a note.
        """
        inner = self.make_inner(self.trial_seed(trial))
        inner.sample_relative(study, trial, inner.infer_relative_search_space(study, trial))


def _distribution(parameter: Parameter) -> CategoricalDistribution:
    return CategoricalDistribution(parameter.choices)


def _num_proposals(study: Study, before: int) -> int:
    """Count the earlier trials that were not promotions."""
    trials = study.get_trials(deepcopy=False)
    return sum(t.number < before and not t.user_attrs.get("promoted") for t in trials)


def _random_below(bound: int, rng: np.random.Generator) -> int:
    """Return a number drawn uniformly from 0..bound-1; bound may have more than 64 bits."""
    if bound <= 2**63 - 1:
        return int(rng.integers(bound))
    num_bytes = (bound.bit_length() + 7) // 8 + 8
    return int.from_bytes(rng.bytes(num_bytes), "big") % bound
