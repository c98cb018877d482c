"""Training a supernet and scoring candidates by it, as work for an executor of trainings.

To an executor a supernet is an assignment as any other: it is tried again after a fault of the
machine, goes on from its last state, and ends when it is asked to.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from se_search.candidate import Candidate
from se_search.device import Device
from se_search.errors import RunError
from se_search.record import Assignment, Configuration, RanOn
from se_search.score import Score, SupernetResult, SupernetSettings
from se_search.space.subspace import Subspace
from se_search.store.files import read_json, write_text
from se_search.store.kept_weights import read_with_facts
from se_search.training.checkpointing import Until, never
from se_search.training.supernet_evaluation import SupernetEvaluation
from se_search.training.supernet_task import ScoreCandidates, TrainSupernet
from se_search.training.task import TrainingTask


@dataclass(frozen=True, slots=True)
class SupernetTask(TrainingTask):
    """Trains the supernet of an assignment's seed, and scores candidates by it.

    A supernet whose trained weights are there is not trained again.

    Attributes:
        subspace: the candidates that a supernet holds.
        settings: how supernets are trained and score.
        scored: by seed of the supernet, the candidates that it is to score.
        worth: what it costs at most, in full trainings; a limit on time is as many times longer.
    """

    subspace: Subspace | None = None
    settings: SupernetSettings = field(default_factory=SupernetSettings)
    scored: Mapping[int, tuple[Candidate, ...]] = field(default_factory=dict)
    worth: float = 1.0

    @property
    def num_trainings(self) -> float:
        """How many trainings' time it may take."""
        return self.worth

    def __call__(
        self, assignment: Assignment[Configuration], device: Device, until: Until = never
    ) -> SupernetEvaluation:
        """Train the supernet, unless it is, and score candidates.

        Raises:
            BrokenOffError: the training has saved its state and ended, as it was asked to.
            DivergedError: the loss is not finite.
            UnwritableError: the weights can't be written.
        """
        file = assignment.weights_file
        assert file is not None
        assert self.subspace is not None
        result = read_result(file)
        if result is None:
            train = TrainSupernet(
                self.subspace,
                assignment.seed,
                self.data,
                self.recipe,
                self.settings,
                device,
                file,
                self.weights,
                self.freeze_backbone,
                assignment.epochs,
                self.checkpointing,
                self.tell,
            )
            result = train(until)
            write_text(_beside(file), json.dumps(asdict(result), default=str) + "\n")
        score = ScoreCandidates(
            self.subspace,
            assignment.seed,
            self.data,
            self.recipe,
            self.settings,
            device,
            file,
            self.scored[assignment.seed],
        )
        return _evaluate(result, score(until))

    def forget(self, assignment: Assignment[Configuration]) -> None:
        """Do nothing: a supernet that failed leaves what it has written."""


def read_result(weights_file: Path) -> SupernetResult | None:
    """Return what a supernet's training was; None: its weights are not there, or damaged."""
    with suppress(RunError, KeyError, TypeError, AttributeError):
        read_with_facts(weights_file)
        plain = read_json(_beside(weights_file))
        known = {"weights_file": weights_file, "ran_on": RanOn(**plain["ran_on"])}
        return SupernetResult(**plain | {"history": tuple(plain["history"])} | known)
    return None


def _beside(weights_file: Path) -> Path:
    return weights_file.with_suffix(".json")


def _evaluate(result: SupernetResult, scores: tuple[Score, ...]) -> SupernetEvaluation:
    seconds = result.train_seconds + sum(score.seconds for score in scores)
    accuracies = [score.accuracy for score in scores if score.accuracy is not None]
    # One candidate whose loss is infinite does not take the scores of all others with it.
    losses = [one.loss for one in scores if one.loss is not None and math.isfinite(one.loss)]
    return SupernetEvaluation(
        accuracy=sum(accuracies) / len(accuracies),
        loss=sum(losses) / max(1, len(losses)),
        history=result.history,
        correct=b"",
        seconds=seconds,
        split_hash=result.split_hash,
        ran_on=result.ran_on,
        scores=scores,
        train_seconds=result.train_seconds,
    )
