"""The default sampler: accuracy from a model of all trainings, costs exact, the space scored whole.

Optuna's samplers model costs that are known, propose candidates that have been trained, and learn
nothing from a second training. This sampler scores each candidate by its expected hypervolume
improvement (``acquisition``) under the posterior of a Gaussian process over the slots of the space
(``surrogate.posterior``) given all trainings, short and repeated ones included. It trains a
candidate of the front in another replicate where that is worth more than a new candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from optuna.study import Study
from optuna.trial import FrozenTrial

from se_search.record import ENDED_WELL, CandidateT, TrialRecord
from se_search.score import Score
from se_search.search.candidate_set import CandidateSet, Codes
from se_search.search.candidate_space import CandidateSpace
from se_search.search.history import History, PastTrial, Status
from se_search.search.pool import PoolSource
from se_search.search.promotion import Estimate, Scorer
from se_search.search.proposer import Proposer
from se_search.search.samplers import CandidateSampler
from se_search.search.valuation import Decision
from se_search.store.trial_attributes import attributes_of
from se_search.surrogate.coded_trainings import code_scores
from se_search.surrogate.features import Factors

UNDER_WAY = ("RUNNING", "WAITING")


class ParetoSampler(CandidateSampler[CandidateT]):
    """Proposes the training that is expected to raise the front most.

    Args:
        space: the candidates.
        allowed: those within the limits.
        seed: of the start design and of draws from the model.
        price: the costs that the search minimises, each positive.
        epochs: length of a full training.
        control: the network without SE, which each replicate trains first; None: there is none.
            It need not be in the space.
        first: candidates that are proposed before all others.
        repeats: whether undecided candidates may be proposed again, for their next replicate.
        most_replicates: returns how many replicates a candidate can have; None: any number.
    """

    def __init__(
        self,
        space: CandidateSpace[CandidateT],
        allowed: CandidateSet[CandidateT],
        seed: int,
        price: Callable[[CandidateT], Sequence[int]],
        epochs: int,
        *,
        control: CandidateT | None = None,
        first: Sequence[CandidateT] = (),
        repeats: bool = True,
        most_replicates: Callable[[CandidateT], int] | None = None,
    ) -> None:
        super().__init__(space, allowed, seed, control=control, most_replicates=most_replicates)
        self.epochs = epochs
        self._factors = Factors(space.describe_levels())
        if control is not None:
            self._factors = self._factors.with_empty_levels()
            assert self._factors.plain is not None  # each slot has an empty level now
            self._codes[str(control)] = self._factors.plain
        self.proposer = Proposer(
            self._factors,
            PoolSource(space, price, seed, allowed),
            lambda codes: True,  # the pools have none that is not
            seed,
            repeats=repeats,
            first=[space.codes_of(candidate) for candidate in first],
            plain=None if control is None else self._factors.plain,
            most_replicates=None if most_replicates is None else self._count_most,
        )

    def take_scores(self, scores: Iterable[Score]) -> None:
        """Let decisions rest on scores of cheap rungs, too, in place of those taken before.

        Args:
            scores: by all members so far of each rung that is trusted.

        Raises:
            RungError: a score is not finite.
        """
        self.proposer.take_scores(
            code_scores(
                scores,
                self._factors,
                lambda texts: np.array([self.codes_of(text) for text in texts], np.int16),
            )
        )

    def propose(self, study: Study, trial: FrozenTrial) -> CandidateT:
        """Return the candidate whose training is expected to raise the front most."""
        decision = self.decide(study)
        if decision.kind == "start":
            self.role = "start"
        return self.space.with_codes(decision.codes)

    def decide(self, study: Study) -> Decision:
        """Return what to train next given the trials of an Optuna study, and its expected gain.

        Raises:
            SpaceError: no candidate is left; see ``has_next``.
        """
        return self.proposer.decide(self.history_of(study))

    def has_next(self, study: Study) -> bool:
        """Tell whether there is a candidate to propose, a further replicate of one included."""
        return self.proposer.has_next(self.history_of(study))

    def history_of(self, study: Study) -> History:
        """Return the trials of an Optuna study that have been assigned a candidate."""
        return self._history(
            (
                trial.state.name,
                known["candidate"],
                known["epochs"],
                known["seed"],
                known.get("accuracy"),
            )
            for trial in study.get_trials(deepcopy=False)
            if "candidate" in (known := attributes_of(trial))
        )

    def expected_gain(self, study: Study) -> float | None:
        """Return the expected rise of the front if the most valuable candidate became known."""
        if not self.has_next(study):
            return None
        return self.decide(study).gain

    @property
    def score(self) -> Scorer:
        """The function that estimates accuracies for promotion: ``estimate``."""
        return self.estimate

    def estimate(self, records: Sequence[TrialRecord]) -> Mapping[str, Estimate]:
        """Estimate the full-budget accuracy of every candidate that has been trained, by its key.

        All trainings are pooled; the model corrects short ones for what they favour.
        """
        history = self._history(
            (r.state, r.candidate, r.epochs, r.seed, r.accuracy) for r in records
        )
        if not len(history.trainings):
            return {}
        mean, sd = self.proposer.estimate(history)
        found: dict[str, Estimate] = {}
        finished = [r for r in records if _status(r.state, r.accuracy) == "finished"]
        for record, accuracy, spread in zip(finished, mean, sd, strict=True):
            found[record.key] = Estimate(float(accuracy), float(spread))
        return found

    def _count_most(self, codes: Codes) -> int:
        assert self.most_replicates is not None
        return self.most_replicates(self.space.with_codes(codes))

    def _history(self, trials: Iterable[tuple[str, str, int, int, float | None]]) -> History:
        """Return the history of trials: state, candidate, epochs, seed and accuracy of each."""
        return History.of(
            (
                PastTrial(
                    self.codes_of(candidate), _status(state, accuracy), epochs, seed, accuracy
                )
                for state, candidate, epochs, seed, accuracy in trials
            ),
            self.epochs,
            self._factors.num_slots,
        )


def _status(state: str, accuracy: float | None) -> Status:
    if state in ENDED_WELL and accuracy is not None:
        return "finished"
    return "running" if state in UNDER_WAY else "failed"
