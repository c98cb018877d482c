"""Expected hypervolume improvement where every objective but accuracy is known beforehand.

The region that the trained points dominate ends at a staircase: for each cost the best accuracy at
that cost or below. A candidate adds the area above the staircase from its own cost on. As its cost
is exact, the expectation over its accuracy is a sum of one-dimensional expected improvements, one
for each height of the staircase, weighted by the width (for two costs, by the area) at that height.
The sum is exact, and needs neither samples nor a box decomposition (compare Loka et al. 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]
CHUNK = 1 << 22  # candidates times cells in one array: 32 MB of floats


@dataclass(frozen=True)
class Staircase:
    """The best accuracy at each cost or below, on a grid of one or two costs.

    Attributes:
        edges: for each cost the beginnings of its cells, ascending, and the end of the last cell.
        heights: ``(len(edges[0]) - 1, ...)``: the best accuracy in each cell.
    """

    edges: tuple[Array, ...]
    heights: Array

    @classmethod
    def over(cls, costs: Array, accuracies: Array, floor: float, end: float) -> Staircase:
        """Build the staircase over points.

        Args:
            costs: ``(n, m)`` with m = 1 or 2, from 0 to below ``end``.
            accuracies: ``(n,)``; those below ``floor`` count as the floor.
            floor: the accuracy from which area is counted.
            end: the cost up to which area is counted.
        """
        edges = tuple(np.unique(np.append(column, [0.0, end])) for column in costs.T)
        heights = np.full([len(edge) - 1 for edge in edges], floor)
        cells = tuple(
            np.searchsorted(edge, column) for edge, column in zip(edges, costs.T, strict=True)
        )
        np.maximum.at(heights, cells, accuracies)
        for axis in range(heights.ndim):
            heights = np.maximum.accumulate(heights, axis=axis)
        # A cell that is as high as the one before it is merged with it.
        kept = []
        for axis, edge in enumerate(edges):
            rest = tuple(other for other in range(heights.ndim) if other != axis)
            rises = (np.diff(heights, axis=axis) > 0).any(axis=rest)
            begins = np.flatnonzero(np.append(True, rises))
            heights = np.take(heights, begins, axis=axis)
            kept.append(np.append(edge[begins], edge[-1]))
        return cls(tuple(kept), heights)

    def expected_hypervolume_improvement(self, costs: Array, mean: Array, sd: Array) -> Array:
        """Return the expected hypervolume improvement of candidates, ``(k,)``.

        Args:
            costs: ``(k, m)``, exact.
            mean: ``(k,)`` mean of the accuracy's normal posterior.
            sd: ``(k,)`` standard deviation of the accuracy's posterior; 0 where it is known.
        """
        levels, at = np.unique(self.heights, return_inverse=True)
        at = at.reshape(self.heights.shape)
        found = np.zeros(len(mean))
        step = max(1, CHUNK // self.heights.size)
        for begin in range(0, len(mean), step):
            part = slice(begin, begin + step)
            areas = self._areas(costs[part], at, len(levels))
            for column, level in enumerate(levels):
                rows = np.flatnonzero(areas[:, column])
                gain = expected_improvement(mean[part][rows], sd[part][rows], float(level))
                found[begin + rows] += areas[rows, column] * gain
        return found

    def _areas(self, costs: Array, at: NDArray[np.intp], num_levels: int) -> Array:
        """Return the area at each height beyond each candidate's costs, ``(k, num_levels)``."""
        widths = [
            np.maximum(edge[1:] - np.maximum(edge[:-1], cost[:, None]), 0.0)
            for edge, cost in zip(self.edges, costs.T, strict=True)
        ]
        if len(widths) == 1:
            areas = np.zeros((len(costs), num_levels))
            for cell, level in enumerate(at):
                areas[:, level] += widths[0][:, cell]
            return areas
        is_level = np.zeros((num_levels, *at.shape))
        np.put_along_axis(is_level, at[None], 1.0, axis=0)
        partly = np.einsum("ka,lab->klb", widths[0], is_level, optimize=True)
        return np.asarray(np.einsum("klb,kb->kl", partly, widths[1]))


def expected_improvement(mean: Array, sd: Array, height: float) -> Array:
    """Return ``E[max(0, N(mean, sd^2) - height)]`` (Jones et al. 1998, eq. 15)."""
    gap = mean - height
    safe = np.maximum(sd, 1e-12)
    ratio = gap / safe
    density = np.exp(-0.5 * ratio**2) / np.sqrt(2 * np.pi)
    return np.asarray(np.where(sd > 0, gap * ndtr(ratio) + safe * density, np.maximum(gap, 0.0)))
