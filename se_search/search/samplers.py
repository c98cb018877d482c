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
from se_search.search.candidate_set import CandidateSet, Codes
from se_search.search.candidate_space import CandidateSpace
from se_search.search.promotion import Scorer
from se_search.seeds import derive_seed
from se_search.space.parameters import Parameter
from se_search.space.schema import Choice

MAX_DRAWS = 20


class CandidateSampler(BaseSampler, Generic[CandidateT]):
    """An Optuna sampler that proposes candidates of a space within its limits.

    Args:
        space: the candidates.
        allowed: those within the limits; others are never proposed.
        seed: all randomness derives from it.

    Attributes:
        planned: a promoted candidate that the next trial is to train instead of a proposal; the
            loop sets it. None: the sampler proposes.
    """

    def __init__(
        self, space: CandidateSpace[CandidateT], allowed: CandidateSet[CandidateT], seed: int
    ) -> None:
        self.space = space
        self.allowed = allowed
        self.seed = seed
        self._codes: dict[str, Codes] = {}
        self.planned: CandidateT | None = None

    @abstractmethod
    def propose(self, study: Study, trial: FrozenTrial) -> CandidateT:
        """Return the candidate that the trial is to train."""

    def has_next(self, study: Study) -> bool:
        """Tell whether there is a candidate to propose.

        Where limits leave few candidates, none is proposed twice, so at some time none is left.
        """
        few = self.allowed.few
        return few is None or len(self._list_tried(study)) < len(few)

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

    def draw_uniformly(self, study: Study, trial: FrozenTrial) -> CandidateT:
        """Return a candidate drawn uniformly from those within the limits.

        Where these are few, it is one that no other trial has.
        """
        rng = self.rng(trial)
        few = self.allowed.few
        if few is None:
            return self.allowed.draw(rng)
        tried = self._list_tried(study)
        left = [row for row in few if row.tobytes() not in tried]
        return self.space.with_codes(left[rng.integers(len(left))])

    def may_propose(self, study: Study, candidate: CandidateT) -> bool:
        """Tell whether a candidate is within the limits and, where these leave few, untried."""
        if candidate not in self.allowed:
            return False
        return self.allowed.few is None or self.space.codes_of(
            candidate
        ).tobytes() not in self._list_tried(study)

    def rng(self, trial: FrozenTrial) -> np.random.Generator:
        """Return the random generator of one trial."""
        return np.random.default_rng(self.trial_seed(trial))

    def trial_seed(self, trial: FrozenTrial) -> int:
        """Return a seed of 32 bits for one trial."""
        return derive_seed(self.seed, "sampler", trial.number) % 2**32

    def codes_of(self, text: str) -> Codes:
        """Return the codes of a candidate's text form, ``(num_slots,)``."""
        if text not in self._codes:
            self._codes[text] = self.space.codes_of(self.space.parse(text))
        return self._codes[text]

    def _list_tried(self, study: Study) -> set[bytes]:
        """Return the codes, as bytes, of every candidate that a trial has."""
        trials = study.get_trials(deepcopy=False)
        texts = {t.user_attrs["candidate"] for t in trials if "candidate" in t.user_attrs}
        return {self.codes_of(text).tobytes() for text in texts}


class RandomSampler(CandidateSampler[CandidateT]):
    """Draws candidates uniformly, not their spellings, of which some candidates have several."""

    def propose(self, study: Study, trial: FrozenTrial) -> CandidateT:
        """Return a candidate drawn uniformly."""
        return self.draw_uniformly(study, trial)


class GridSampler(CandidateSampler[CandidateT]):
    """Takes the candidates in the order of the space, and starts again after the last.

    Where limits leave few candidates, it ends with the last.
    """

    def __init__(
        self, space: CandidateSpace[CandidateT], allowed: CandidateSet[CandidateT], seed: int
    ) -> None:
        super().__init__(space, allowed, seed)
        self._seen: list[CandidateT] = []
        self._rest: Iterator[CandidateT] = iter(allowed)

    def propose(self, study: Study, trial: FrozenTrial) -> CandidateT:
        """Return the candidate whose turn it is."""
        turn = _num_proposals(study, before=trial.number)
        while len(self._seen) <= turn:
            candidate = next(self._rest, None)
            if candidate is None:
                break
            self._seen.append(candidate)
        return self._seen[turn % len(self._seen)]


class OptunaSampler(CandidateSampler[CandidateT]):
    """Lets one of Optuna's samplers draw until the candidate is within the limits.

    Args:
        space: the candidates.
        allowed: those within the limits.
        seed: all randomness derives from it.
        make_inner: makes Optuna's sampler for one trial, from a seed.
    """

    def __init__(
        self,
        space: CandidateSpace[CandidateT],
        allowed: CandidateSet[CandidateT],
        seed: int,
        make_inner: Callable[[int], BaseSampler],
    ) -> None:
        super().__init__(space, allowed, seed)
        self.make_inner = make_inner

    def propose(self, study: Study, trial: FrozenTrial) -> CandidateT:
        """Return the inner sampler's candidate; after 20 that may not be, a uniform draw."""
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
            if self.may_propose(study, candidate):
                return candidate
        return self.draw_uniformly(study, trial)

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
