"""How well validation images can tell an accuracy, by which of them trainings have right."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from se_search.analysis.paired_noise import least_noise
from se_search.errors import RunError
from se_search.record import TrialRecord
from se_search.store.files import read_bits
from se_search.store.run_folder import RunFolder

MOST_PAIRS = 60  # of trainings: the median of their variances hardly moves by more


def measure_least_noise(
    folder: RunFolder, records: Sequence[TrialRecord], epochs: int, num_images: int
) -> float:
    """Return the least variance that a training's accuracy can have, a share squared.

    It is the median over pairs of trainings of one replicate, which have the same images; see
    ``analysis.paired_noise``.

    Args:
        folder: of the run.
        records: its trials.
        epochs: of a full training.
        num_images: number of validation images.

    Returns:
        0: no two full trainings of one replicate have bits of the same images.
    """
    full = sorted(
        (record for record in records if record.state == "COMPLETE" and record.epochs == epochs),
        key=lambda record: (record.seed, record.number),
    )
    pairs = [
        (a, b)
        for a, b in itertools.pairwise(full)
        if a.seed == b.seed and a.split_hash == b.split_hash
    ]
    chosen = np.unique(np.linspace(0, len(pairs) - 1, min(MOST_PAIRS, len(pairs))).astype(int))
    found = []
    for place in chosen.tolist():
        with suppress(RunError):  # the bits of a training are not there, or of another number
            a, b = (read_bits(folder.correct_file(n.number), num_images) for n in pairs[place])
            found.append(least_noise(a, b))
    return float(np.median(found)) if found else 0.0
