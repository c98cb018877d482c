"""Supernets as work for child processes: small values, which import PyTorch when called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.recipe import Recipe
from se_search.record import EpochRow
from se_search.score import Score, SupernetResult, SupernetSettings
from se_search.space.subspace import Subspace
from se_search.training.checkpointing import Checkpointing, Until, never
from se_search.training.datasets import PreparedData


@dataclass(frozen=True, slots=True)
class TrainSupernet:
    """Trains a supernet and keeps its weights.

    Attributes:
        subspace: the candidates that it holds.
        seed: names the supernet; see ``SupernetResult``.
        data: the data set.
        recipe: how to train.
        settings: how many candidates a step trains, and by which labels.
        device: where to train.
        weights_file: takes the trained weights.
        weights: file with weights of the backbone to start from; None: all are drawn.
        freeze_backbone: train only the parameters that are not in that file.
        epochs: of the training; None: as many as the recipe has.
        checkpointing: keeps the states of a long training; None: none is kept.
        tell: handed a row after each epoch; None: nobody is told.
    """

    subspace: Subspace
    seed: int
    data: PreparedData
    recipe: Recipe
    settings: SupernetSettings
    device: Device
    weights_file: Path
    weights: Path | None = None
    freeze_backbone: bool = False
    epochs: int | None = None
    checkpointing: Checkpointing | None = None
    tell: Callable[[EpochRow], None] | None = None

    def telling(self, tell: Callable[[EpochRow], None]) -> TrainSupernet:
        """Return the task as it calls ``tell`` after each epoch."""
        return replace(self, tell=tell)

    def __call__(self, until: Until = never) -> SupernetResult:
        """Train the supernet, and write its weights whole or not at all; see ``train_supernet``.

        Raises:
            UnwritableError: the weights can't be written.
        """
        from se_search.models.trained import pack_weights
        from se_search.store.files import write_bytes
        from se_search.store.kept_weights import add_facts
        from se_search.training.supernet import describe_supernet, train_supernet

        supernet, result = train_supernet(
            self.subspace,
            self.seed,
            self.data,
            self.recipe,
            self.settings,
            self.device,
            self.weights,
            self.freeze_backbone,
            self.epochs,
            self.checkpointing,
            self.tell,
            until,
        )
        write_bytes(
            self.weights_file,
            add_facts(pack_weights(supernet), describe_supernet(supernet, result)),
        )
        return replace(result, weights_file=self.weights_file)


@dataclass(frozen=True, slots=True)
class ScoreCandidates:
    """Scores candidates by the weights of a trained supernet.

    Attributes:
        subspace: the candidates that the supernet holds.
        seed: names the supernet, whose images train and validate.
        data: the data set.
        recipe: of the training; gives the split.
        settings: of the supernet; gives the numbers of images.
        device: where the supernet is run.
        weights_file: holds the trained weights.
        candidates: are scored; some or all that the supernet holds.
    """

    subspace: Subspace
    seed: int
    data: PreparedData
    recipe: Recipe
    settings: SupernetSettings
    device: Device
    weights_file: Path
    candidates: tuple[Candidate, ...]

    def __call__(self, until: Until = never) -> tuple[Score, ...]:
        """Return the scores; see ``score``. Who waits is let know that it goes on.

        Raises:
            BackboneError: the weights are not those of such a supernet, or are damaged.
            CandidateError: the supernet lacks an SE block of a candidate.
        """
        from se_search.training.scoring import score
        from se_search.training.supernet import load_supernet

        supernet = load_supernet(self.subspace, self.weights_file)
        scores = []
        for one in score(
            supernet,
            self.candidates,
            self.data,
            self.recipe,
            self.seed,
            self.settings,
            self.device,
        ):
            until()
            scores.append(one)
        return tuple(scores)
