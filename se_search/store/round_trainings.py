"""The trainings of a confirmation, as statistics take them."""

from __future__ import annotations

from collections.abc import Mapping

from se_search.analysis.confirming import Trained
from se_search.store.confirmations import Round, read_fresh
from se_search.store.replicates import Measure, replicates_by_key
from se_search.store.run_folder import RunFolder
from se_search.store.training_log import Training, TrainingId

Trainings = Mapping[TrainingId, Training]


def read_trainings(folder: RunFolder) -> dict[TrainingId, Training]:
    """Return all trainings in fresh replicates that a run has had; empty if there are none."""
    contents = read_fresh(folder)
    return {training.id: training for training in contents.trainings} if contents else {}


def list_own(each: Round, trainings: Trainings) -> list[Training]:
    """Return the trainings that a confirmation rests on, whichever confirmation made them."""
    keys, seeds = {c.key for c in each.chosen}, set(each.seeds)
    return [
        training
        for training in trainings.values()
        if training.key in keys and training.epochs == each.epochs and training.seed in seeds
    ]


def pack_round(each: Round, trainings: Trainings, measure: Measure) -> Trained:
    """Return a confirmation's trainings by the candidates' keys."""
    num_images = each.num_images[measure == "test_accuracy"]
    return replicates_by_key(list_own(each, trainings), measure, num_images)
