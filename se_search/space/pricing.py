"""Prices of candidates as sums: the plain backbone's price, and what each slot's level adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class LevelPrices:
    """What the plain backbone costs, and what each level of each slot adds.

    Attributes:
        plain: ``(m,)``, one or several prices, such as parameters and multiply-adds.
        added: for each slot ``(num_levels, m)``.
    """

    plain: NDArray[np.int64]
    added: Sequence[NDArray[np.int64]]

    def price(self, codes: NDArray[np.int16]) -> NDArray[np.int64]:
        """Return the prices ``(n, m)`` of candidates with these codes ``(n, num_slots)``."""
        prices = np.tile(self.plain, (len(codes), 1))
        for slot, own in enumerate(self.added):
            prices += own[codes[:, slot]]
        return prices

    def bound(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return bounds ``(m,)`` on the prices: each slot's least and greatest, added up.

        Where choices are shared, no candidate may have these prices.
        """
        low = self.plain + np.sum([own.min(axis=0) for own in self.added], axis=0)
        return low, self.plain + np.sum([own.max(axis=0) for own in self.added], axis=0)

    def find_extremes(
        self, allowances: Sequence[NDArray[np.bool_]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the least and the greatest price ``(m,)`` of any candidate.

        Args:
            allowances: for each slot ``(num_levels, num_shared)``: whether a level is possible
                with a combination of shared choices.
        """
        limits = np.iinfo(np.int64)
        low, high = [], []  # of each slot, (num_shared, m)
        for allowed, own in zip(allowances, self.added, strict=True):
            low.append(np.where(allowed[..., None], own[:, None], limits.max).min(axis=0))
            high.append(np.where(allowed[..., None], own[:, None], limits.min).max(axis=0))
        return (
            self.plain + np.sum(low, axis=0).min(axis=0),
            self.plain + np.sum(high, axis=0).max(axis=0),
        )
