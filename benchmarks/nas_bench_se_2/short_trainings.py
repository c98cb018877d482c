"""Prints what shorter trainings of the table tell of its full ones.

``python -m benchmarks.nas_bench_se_2.short_trainings --epochs 1`` gives the figures about rungs in
docs/measured.md.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from benchmarks.nas_bench_se_2.decompose import Spread, measure_spread
from benchmarks.nas_bench_se_2.table import EPOCHS, Images, NASBenchSE2
from se_search.report.format import count


@dataclass(frozen=True, slots=True)
class ShortTrainings:
    """What trainings of fewer epochs tell of those of all epochs.

    Attributes:
        epochs: of the shorter ones.
        num_networks: networks that have been trained for both numbers of epochs.
        num_replicates: replicates of each.
        spread: of the shorter trainings' accuracies.
        tau: Kendall's correlation of the networks' means over the replicates, short and full.
    """

    epochs: int
    num_networks: int
    num_replicates: int
    spread: Spread
    tau: float

    def __str__(self) -> str:
        networks, rest = self.spread.networks, self.spread.rest
        return (
            f"After {count(self.epochs, 'epoch')} {self.num_networks} networks in "
            f"{self.num_replicates} replicates differ by a standard deviation of "
            f"{networks.value:.2f} points ({networks.low:.2f} to {networks.high:.2f}), a "
            f"training's noise is {rest.value:.2f} ({rest.low:.2f} to {rest.high:.2f}), and "
            f"Kendall's tau of their means with those after {EPOCHS} epochs is {self.tau:.2f}"
        )


def compare_short(table: NASBenchSE2, epochs: int, images: Images = "validation") -> ShortTrainings:
    """Return what a table's trainings of fewer epochs tell of its full ones.

    Raises:
        QueryError: there are no trainings of so many epochs.
    """
    from scipy.stats import kendalltau

    short, full = table.accuracies(images, epochs), table.accuracies(images)
    networks = short.index.intersection(full.index)
    replicates = short.columns.intersection(full.columns)
    short, full = (part.loc[networks, replicates] for part in (short, full))
    tau = kendalltau(short.mean(axis=1), full.mean(axis=1)).statistic
    spread = measure_spread(short.to_numpy())
    return ShortTrainings(epochs, len(networks), len(replicates), spread, float(tau))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What shorter trainings tell of full ones.")
    parser.add_argument("--epochs", type=int, default=1, help="of the shorter trainings")
    print(compare_short(NASBenchSE2.read(), parser.parse_args().epochs))
