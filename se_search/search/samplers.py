"""Optuna samplers that propose whole candidates within the limits of a search.

Optuna's own samplers draw parameters and know nothing of candidates, of limits, or of parameters
that spell one candidate in several ways. Here each proposal is a candidate first; the trial gets
the parameters that spell it. A proposal is a function of the seed, the trial's number and the
earlier trials as they are seen, so a continued search goes on as an undisturbed one would have.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Generic

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from se_search.analysis.levels import subtract_levels
from se_search.errors import SpaceError
from se_search.record import CandidateT, Role
from se_search.search.candidate_set import CandidateSet, Codes
from se_search.search.candidate_space import CandidateSpace
from se_search.search.levelled_study import LevelledStudy, SubtractLevels
from se_search.search.promotion import Scorer
from se_search.seeds import derive_seed
from se_search.space.parameters import Parameter
from se_search.space.schema import Choice
from se_search.store.trial_attributes import attributes_of, is_assigned

MAX_DRAWS = 20


class CandidateSampler(BaseSampler, Generic[CandidateT]):
    """An Optuna sampler that proposes candidates of a space within its limits.

    Args:
        space: the candidates.
        allowed: those within the limits; others are never proposed.
        seed: all randomness derives from it.
        control: the plain network, which the loop trains and the sampler need not propose; None:
            there is none.
        first: candidates within the limits that are proposed before all others.
        most_replicates: returns how many replicates a candidate can have; None: any number.

    Attributes:
        see: returns an Optuna study as the sampler is to see it; the loop sets it.
        planned: what the next trial is to train instead of a proposal; the loop sets it. None: the
            sampler proposes.
        admit: is handed each proposal and returns what the trial is to train, which is the
            proposal or a control that must come before it; the loop sets it.
        chosen: what the last trial that was asked for is to train.
        role: why, if it was proposed.
    """

    fills_blocks: ClassVar[bool] = False
    """Whether every candidate is trained in one replicate before any is in the next."""

    def __init__(
        self,
        space: CandidateSpace[CandidateT],
        allowed: CandidateSet[CandidateT],
        seed: int,
        *,
        control: CandidateT | None = None,
        first: Sequence[CandidateT] = (),
        most_replicates: Callable[[CandidateT], int] | None = None,
    ) -> None:
        self.space = space
        self.allowed = allowed
        self.seed = seed
        self.control = control
        self.first = tuple(first)
        self.most_replicates = most_replicates
        self._codes: dict[str, Codes] = {}
        self._bytes: dict[str, bytes] = {}
        self.see: Callable[[Study], Study] = lambda study: study
        self.planned: CandidateT | None = None
        self.admit: Callable[[CandidateT], CandidateT] = lambda proposal: proposal
        self.chosen: CandidateT | None = None
        self.role: Role = "proposal"

    @abstractmethod
    def propose(self, study: Study, trial: FrozenTrial) -> CandidateT:
        """Return the candidate that the trial is to train."""

    def has_next(self, study: Study) -> bool:
        """Tell whether there is a candidate to propose.

        Where limits leave few candidates, none is proposed twice, so at some time none is left.
        """
        few = self.allowed.few
        if few is not None:
            tried = self.list_tried(study)
            return any(row.tobytes() not in tried for row in few)
        return next(self._list_open(study), None) is not None

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
        """Return the parameters that spell what the trial is to train.

        There are none for a control that is not in the space.
        """
        study = self.see(study)
        if self.planned is None:
            self.chosen = self.admit(self._propose(study, trial))
        else:
            self.pass_over(study, trial)
            self.chosen = self.planned
        return self.space.encode(self.chosen) if self.chosen in self.space else {}

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
        """Return a candidate drawn uniformly from those within the limits that may be proposed.

        Where these are few, it is one that no other trial has.
        """
        rng = self.rng(trial)
        few = self.allowed.few
        if few is not None:
            tried = self.list_tried(study)
            left = [row for row in few if row.tobytes() not in tried]
            return self.space.with_codes(left[rng.integers(len(left))])
        for _ in range(MAX_DRAWS):
            candidate = self.allowed.draw(rng)
            if self.may_propose(study, candidate):
                return candidate
        every = list(self._list_open(study))
        return every[rng.integers(len(every))]

    def may_propose(self, study: Study, candidate: CandidateT) -> bool:
        """Tell whether a candidate is within the limits and may be trained (again).

        The control may not. Where limits leave few candidates, it must be untried.
        """
        if candidate not in self.allowed or candidate == self.control:
            return False
        if self.allowed.few is not None:
            return self.space.codes_of(candidate).tobytes() not in self.list_tried(study)
        if self.most_replicates is None:
            return True
        return count_replicates(study)[str(candidate)] < self.most_replicates(candidate)

    def _list_open(self, study: Study) -> Iterator[CandidateT]:
        """Yield the candidates within the limits that may be proposed, where these are many."""
        replicates = Counter[str]() if self.most_replicates is None else count_replicates(study)
        for candidate in self.allowed:
            most = None if self.most_replicates is None else self.most_replicates(candidate)
            if candidate != self.control and (most is None or replicates[str(candidate)] < most):
                yield candidate

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

    def list_tried(self, study: Study) -> set[bytes]:
        """Return the codes, as bytes, of every candidate of the space that a trial has."""
        trials = study.get_trials(deepcopy=False)
        texts = {attributes_of(t)["candidate"] for t in trials if is_assigned(t)}
        return {self._bytes_of(text) for text in texts} - {b""}

    def _bytes_of(self, text: str) -> bytes:
        """Return the codes of a candidate's text form, as bytes; none if it is not in the space.

        The control may be outside of the space.
        """
        if text not in self._bytes:
            candidate = self.space.parse(text)
            inside = candidate in self.space
            self._bytes[text] = self.space.codes_of(candidate).tobytes() if inside else b""
        return self._bytes[text]

    def _propose(self, study: Study, trial: FrozenTrial) -> CandidateT:
        """Return the next of the first candidates, or else a proposal."""
        self.role = "start"
        if self.first:
            tried = self.list_tried(study)
            for candidate in self.first:
                if self.space.codes_of(candidate).tobytes() not in tried:
                    self.pass_over(study, trial)
                    return candidate
        self.role = "proposal"
        return self.propose(study, trial)


class RandomSampler(CandidateSampler[CandidateT]):
    """Draws candidates uniformly, not their spellings, of which some candidates have several."""

    def propose(self, study: Study, trial: FrozenTrial) -> CandidateT:
        """Return a candidate drawn uniformly."""
        return self.draw_uniformly(study, trial)


class GridSampler(CandidateSampler[CandidateT]):
    """Takes the candidates in the order of the space, block by block.

    A block is a replicate in which every candidate is trained once. With ``is_single`` the sampler
    ends with the first block.
    """

    fills_blocks = True

    def __init__(
        self,
        space: CandidateSpace[CandidateT],
        allowed: CandidateSet[CandidateT],
        seed: int,
        *,
        most_replicates: Callable[[CandidateT], int] | None = None,
        is_single: bool = False,
    ) -> None:
        super().__init__(space, allowed, seed, most_replicates=most_replicates)
        self.is_single = is_single
        self._seen: list[tuple[str, CandidateT]] = []
        self._rest: Iterator[CandidateT] = iter(allowed)

    def has_next(self, study: Study) -> bool:
        """Tell whether a candidate has not been trained, or another block may follow."""
        return self._find_next(study) is not None

    def propose(self, study: Study, trial: FrozenTrial) -> CandidateT:
        """Return the first candidate of the fewest replicates."""
        found = self._find_next(study)
        assert found is not None, "has_next tells whether there is a candidate"
        return found

    def _find_next(self, study: Study) -> CandidateT | None:
        replicates = count_replicates(study)
        fewest: tuple[int, CandidateT] | None = None
        for text, candidate in self._list():
            number = replicates[text]
            if number == 0:
                return candidate
            is_open = not self.is_single and (
                self.most_replicates is None or number < self.most_replicates(candidate)
            )
            if is_open and (fewest is None or number < fewest[0]):
                fewest = number, candidate
        return None if fewest is None else fewest[1]

    def _list(self) -> Iterator[tuple[str, CandidateT]]:
        """Yield the candidates within the limits, in the order of the space, with their texts."""
        yield from self._seen
        for candidate in self._rest:
            self._seen.append((str(candidate), candidate))
            yield self._seen[-1]


class OptunaSampler(CandidateSampler[CandidateT]):
    """Lets one of Optuna's samplers draw until the candidate is within the limits.

    That sampler sees the trials as ``LevelledStudy`` shows them.

    Args:
        space: the candidates.
        allowed: those within the limits.
        seed: all randomness derives from it.
        make_inner: makes Optuna's sampler for one trial, from a seed.
        subtract: takes levels of replicates off accuracies.
        rest: as for every sampler.
    """

    def __init__(
        self,
        space: CandidateSpace[CandidateT],
        allowed: CandidateSet[CandidateT],
        seed: int,
        make_inner: Callable[[int], BaseSampler],
        *,
        subtract: SubtractLevels = subtract_levels,
        **rest: Any,
    ) -> None:
        super().__init__(space, allowed, seed, **rest)
        self.make_inner = make_inner
        self.subtract = subtract

    def propose(self, study: Study, trial: FrozenTrial) -> CandidateT:
        """Return the inner sampler's candidate; after 20 that may not be, a uniform draw."""
        inner = self.make_inner(self.trial_seed(trial))
        seen: Any = LevelledStudy(study, self.subtract)
        inner_space = inner.infer_relative_search_space(seen, trial)
        for _ in range(MAX_DRAWS):
            relative = inner.sample_relative(seen, trial, inner_space)

            def draw(parameter: Parameter, relative: dict[str, Any] = relative) -> Choice:
                if parameter.name in relative:
                    value: Choice = relative[parameter.name]
                    return value
                distribution = _distribution(parameter)
                independent: Choice = inner.sample_independent(
                    seen, trial, parameter.name, distribution
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
        seen: Any = LevelledStudy(study, self.subtract)
        inner.sample_relative(seen, trial, inner.infer_relative_search_space(seen, trial))


def _distribution(parameter: Parameter) -> CategoricalDistribution:
    return CategoricalDistribution(parameter.choices)


def count_replicates(study: Study) -> Counter[str]:
    """Count the replicates that each candidate has had, by its text."""
    trials = study.get_trials(deepcopy=False)
    assigned = [attributes_of(trial) for trial in trials if is_assigned(trial)]
    return Counter(text for text, _ in {(one["candidate"], one["seed"]) for one in assigned})
