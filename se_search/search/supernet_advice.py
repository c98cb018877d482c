"""What the accuracy model of a run says of its supernets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from se_search.candidate import Candidate
from se_search.score import Score
from se_search.search.choosing import choose_scored
from se_search.search.pareto_sampler import ParetoSampler
from se_search.search.pool import Codes
from se_search.search.registry import SAMPLERS, Setup
from se_search.search.rotation import Rotation
from se_search.search.segments import Gains, Offer
from se_search.search.weighing import weigh
from se_search.store.trials import TrialStore


@dataclass(slots=True)
class SupernetAdvice:
    """Asks the accuracy model what supernets should score, and what one more would bring.

    The model is fitted once for both questions.

    Attributes:
        setup: what samplers are made from.
        rotation: the replicates of the search.
        store: holds the trials.
    """

    setup: Setup[Candidate]
    rotation: Rotation[Candidate]
    store: TrialStore
    _asked: tuple[tuple[Score, ...], ParetoSampler[Candidate]] | None = field(default=None)

    def choose(
        self, scores: Sequence[Score], known: Sequence[Candidate], most: int
    ) -> list[Candidate]:
        """Return the candidates that are expected to raise the front most, best first.

        Args:
            scores: that are used; without any the model of trainings alone is asked.
            known: candidates that are scored anyway.
            most: how many are returned at most.
        """
        sampler = self._ask(scores)
        history = sampler.history_of(self.store.optuna_study)
        codes = choose_scored(sampler.proposer, history, _encode(sampler, known), most)
        return [sampler.space.with_codes(row) for row in codes]

    def weigh(self, scores: Sequence[Score], offer: Offer) -> Gains | None:
        """Return what a further supernet and trainings of its worth are expected to bring.

        Args:
            scores: that are used.
            offer: of the supernet.
        """
        sampler = self._ask(scores)
        history = sampler.history_of(self.store.optuna_study)
        number = max(1, round(offer.total()))
        joining = _encode(sampler, offer.joining)
        return weigh(sampler.proposer, history, number, self.rotation.seeds, joining)

    def _ask(self, scores: Sequence[Score]) -> ParetoSampler[Candidate]:
        if self._asked is None or self._asked[0] != tuple(scores):
            sampler = SAMPLERS["pareto"](self.setup)
            assert isinstance(sampler, ParetoSampler)
            sampler.take_scores(scores)
            self._asked = tuple(scores), sampler
        return self._asked[1]


def _encode(sampler: ParetoSampler[Candidate], candidates: Sequence[Candidate]) -> Codes:
    codes = [sampler.codes_of(str(candidate)) for candidate in candidates]
    return np.array(codes, np.int16).reshape(len(codes), sampler.proposer.factors.num_slots)
