"""Made-up crossed tables of NAS-Bench-SE 2's networks, whose true gains are known."""

from dataclasses import dataclass

import numpy as np

from benchmarks.calibration.crossed_world import CrossedTable
from benchmarks.calibration.worlds import Spread, draw_level_terms
from benchmarks.nas_bench_se_2.definition import SPACE, count_first, list_candidates

EPOCHS = 3
AS_LOGGED = Spread(networks=0.2, level=0.36, interaction=0.15, training=0.45)


@dataclass(frozen=True)
class MadeUp:
    """A crossed table, and the true gain of each of its networks over the plain one, in points."""

    table: CrossedTable
    gains: np.ndarray


def list_networks():
    """Return the 126 networks that NAS-Bench-SE 2 has first."""
    return tuple(list_candidates()[: count_first(1)])


def make_crossed_table(seed, spread=AS_LOGGED, num_replicates=6, num_networks=126):
    """Return a table whose accuracies are sums over the stages, and its true gains.

    Test images see what validation images see, with noise of their own.
    """
    rng = np.random.default_rng(seed)
    networks = list_networks()[:num_networks]
    codes = np.array([SPACE.codes_of(network) for network in networks])
    slots = np.arange(codes.shape[1])

    def draw(sd):
        terms = draw_level_terms(rng)[slots, codes].sum(axis=1)
        return sd * terms / 1.6  # the standard deviation that such terms make over the space

    gains = draw(spread.networks)
    replicates = [
        rng.normal(0, spread.level) + draw(spread.interaction) for _ in range(num_replicates)
    ]
    common = gains[:, None] + np.column_stack(replicates)
    accuracies = {
        images: {EPOCHS: 0.82 + (common + rng.normal(0, spread.training, common.shape)) / 100}
        for images in ("validation", "test")
    }
    table = CrossedTable(SPACE, networks, tuple(range(num_replicates)), EPOCHS, accuracies)
    return MadeUp(table, gains - gains[0])
