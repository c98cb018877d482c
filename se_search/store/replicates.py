"""The trainings of a log as statistics take them: by candidate, one a seed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np

from se_search.analysis.replicates import Replicates
from se_search.store.files import unpack_bits
from se_search.store.training_log import Training

Measure = Literal["accuracy", "test_accuracy", "test_top5"]
"""A column of a training's history: of the validation images, or top-1 or top-5 of the test's."""


def replicates_by_key(
    trainings: Iterable[Training], measure: Measure, num_images: int
) -> dict[str, Replicates]:
    """Return the trainings of each candidate by its key (see :func:`pack_replicates`)."""
    groups: dict[str, list[Training]] = {}
    for training in trainings:
        groups.setdefault(training.key, []).append(training)
    return {key: pack_replicates(group, measure, num_images) for key, group in groups.items()}


def pack_replicates(trainings: Iterable[Training], measure: Measure, num_images: int) -> Replicates:
    """Return the trainings of one candidate, seeds ascending.

    Args:
        trainings: finished trainings of one candidate with one number of epochs.
        measure: the accuracy that counts, as it was after the last epoch.
        num_images: number of images that the measure is about; further bits are padding.

    Returns:
        Its ``correct`` is None for ``test_top5``, of which no bits are kept, and for ``accuracy``
        if the trainings have different splits: a column of bits would be about another image in
        each row. Two candidates that share two replicates agree in this, as the recipe decides it.

    Raises:
        RunError: two trainings have one seed, or an accuracy does not agree with its bits.
    """
    ordered = sorted(trainings, key=lambda training: training.seed)
    correct = None
    have_one_split = len({training.split_hash for training in ordered}) == 1
    if measure == "test_accuracy" or (measure == "accuracy" and have_one_split):
        packed = [t.correct if measure == "accuracy" else t.test_correct for t in ordered]
        correct = np.array([unpack_bits(bits, num_images) for bits in packed])
    return Replicates(
        tuple(training.seed for training in ordered),
        np.array([training.history[-1][measure] for training in ordered]),
        correct,
    )
