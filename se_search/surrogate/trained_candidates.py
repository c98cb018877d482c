"""Trainings, gathered by their candidates and replicates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from se_search.surrogate.trainings import Array, Design


class TrainedCandidates:
    """The candidates and replicates of trainings.

    Args:
        design: the trainings.
        replicates: the names of all replicates, ascending, those without a training, too; None:
            those of the trainings.

    Attributes:
        rows: ``(c, num_levels)``: the candidates, one-hot, none twice, in the order of their bits.
        which: ``(n,)``: the position of each training's candidate in ``rows``.
        replicates: the names of all replicates, ascending.
        blocks: ``(n,)``: the position of each training's replicate in ``replicates``.
    """

    def __init__(self, design: Design, replicates: NDArray[np.int64] | None = None) -> None:
        assert design.is_training.all()  # a score would be taken for a training
        self.design = design
        self._keys, first, which = np.unique(
            pack_rows(design.rows), return_index=True, return_inverse=True
        )
        self.rows = design.rows[first]
        self.which = which.ravel()
        self.replicates = np.unique(design.replicates) if replicates is None else replicates
        self.blocks = self.find_blocks(design)

    def __len__(self) -> int:
        return len(self.rows)

    def find(self, rows: Array) -> NDArray[np.int64]:
        """Return the positions of candidates in ``rows``, ``(k,)``; -1: it has no training.

        Args:
            rows: ``(k, num_levels)`` one-hot.
        """
        wanted = pack_rows(rows)
        at = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        return np.where(self._keys[at] == wanted, at, -1)

    def find_blocks(self, design: Design) -> NDArray[np.int64]:
        """Return the positions of trainings' replicates, which must be there, ``(k,)``."""
        return np.searchsorted(self.replicates, design.replicates)


def pack_rows(rows: Array) -> NDArray[Any]:
    """Return one comparable value for each one-hot row, ``(n,)``."""
    bits = np.packbits(rows.astype(bool), axis=1)
    return np.ascontiguousarray(bits).view(f"S{bits.shape[1]}").ravel()
