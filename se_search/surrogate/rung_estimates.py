"""What the accuracy model has learnt of rungs: how far scores tell what candidates are worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from se_search.analysis.statistics import median_and_interval
from se_search.surrogate.kernel import Kernel
from se_search.surrogate.posterior_front import MedianInterval, RungEstimate
from se_search.surrogate.rung_terms import score_errors, score_noise
from se_search.surrogate.trainings import Array, Design

if TYPE_CHECKING:
    from collections.abc import Sequence

    from se_search.surrogate.fitted_model import FittedModel
    from se_search.surrogate.scores import RungScores

MOST_ROWS = 300  # scores of a rung, by which shares of its variance are told


def estimate_rungs(model: FittedModel, rungs: Sequence[RungScores]) -> tuple[RungEstimate, ...]:
    """Return what a model has learnt of rungs.

    Args:
        model: fitted to scores of the rungs, or to trainings alone if these were too many.
        rungs: in the order of the model's.
    """
    if not model.scores:
        return tuple(
            RungEstimate(rung.name, len(rung), rung.num_members, None, None) for rung in rungs
        )
    found = []
    for number, rung in enumerate(rungs):
        design = model.seen.design
        own = np.flatnonzero(design.list_rungs() == number)
        some = design.take(own[np.linspace(0, len(own) - 1, min(len(own), MOST_ROWS)).astype(int)])
        slopes = [kernel.exp("rung_slope_")[number] for kernel in model.kernels]
        raw = np.array(slopes) * rung.sd / model.scale.sd
        told = np.array([_correlate(kernel, some) for kernel in model.kernels])
        found.append(
            RungEstimate(rung.name, len(rung), rung.num_members, _describe(raw), _describe(told))
        )
    return tuple(found)


def _correlate(kernel: Kernel, design: Design) -> float:
    """Return the correlation of scores with what candidates are worth, over candidates."""
    worth = kernel.slopes(design)[0] ** 2 * _centred(kernel.between(design.rows, design.rows))
    errors = score_errors(kernel, design, design)
    errors[np.diag_indices(len(errors))] += score_noise(kernel, design)
    return float(np.sqrt(worth / (worth + _centred(errors))))


def _centred(covariance: Array) -> float:
    """Return the expected variance over candidates."""
    return float(np.diag(covariance).mean() - covariance.mean())


def _describe(values: Array) -> MedianInterval:
    return MedianInterval(*(float(one[0]) for one in median_and_interval(values[:, None])))
