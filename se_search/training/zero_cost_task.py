"""Scores without training as work for a child process: a value that imports PyTorch when called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.recipe import Recipe
from se_search.score import ZERO_COST, Score
from se_search.training.checkpointing import Until, never
from se_search.training.datasets import PreparedData


@dataclass(frozen=True, slots=True)
class ScoreUntrained:
    """Scores candidates by rungs that train nothing.

    Attributes:
        candidates: of one backbone.
        seed: of initial weights and images; see ``zero_cost_seed``.
        data: the data set.
        recipe: gives the split.
        device: where the networks are run.
        rungs: some of ``snip``, ``synflow`` and ``naswot``.
        weights: file with weights of the backbone; None: all are drawn.
    """

    candidates: tuple[Candidate, ...]
    seed: int
    data: PreparedData
    recipe: Recipe
    device: Device
    rungs: tuple[str, ...] = ZERO_COST
    weights: Path | None = None

    def __call__(self, until: Until = never) -> tuple[Score, ...]:
        """Return the scores; see ``score_untrained``. Who waits is let know that it goes on.

        Raises:
            RungError: a rung is unknown, can't score such a network, or gives no finite number.
        """
        from se_search.training.zero_cost import score_untrained

        scores = []
        for one in score_untrained(
            self.candidates,
            self.rungs,
            self.data,
            self.recipe,
            self.seed,
            self.device,
            self.weights,
        ):
            until()
            scores.append(one)
        return tuple(scores)
