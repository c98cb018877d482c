"""Small tables of made-up trainings."""

import csv
from itertools import product

import numpy as np


def write_table(path, *lines):
    """Write lines of CSV."""
    path.write_text("\n".join([*lines, ""]))
    return path


def write_made_up_table(
    path, num_columns=4, num_replicates=3, keep=lambda values: True, shorter=(), noise=0.01
):
    """Write a table of 3**num_columns rows where each column adds cost, and accuracy or loss.

    Args:
        path: the CSV file.
        num_columns: ``x_…`` columns, each with the levels 0, 1 and 2.
        num_replicates: ``accuracy_…`` columns, which differ by a little noise.
        keep: which combinations the table has.
        shorter: epochs of trainings that the table has as well; they are worse and noisier.
        noise: standard deviation of the shorter trainings.
    """
    rng, other = np.random.default_rng(0), np.random.default_rng(1)
    gains = np.array([0.02, -0.03, 0.05, 0.01, 0.04, -0.02])[:num_columns]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        seeds = [f"accuracy_{seed + 1}" for seed in range(num_replicates)]
        short = [f"{seed}@{epochs}" for epochs in shorter for seed in seeds]
        writer.writerow([*(f"x_{i}" for i in range(num_columns)), "cost", *seeds, *short])
        for values in product(range(3), repeat=num_columns):
            if keep(values):
                mean = 0.5 + gains @ values
                noisy = mean + rng.normal(0, 0.005, num_replicates)
                worse = mean - 0.2 + other.normal(0, noise, len(short))
                accuracies = np.concatenate([noisy, worse]).round(6).tolist()
                writer.writerow([*values, 100 + 2 ** sum(values), *accuracies])
    return path
