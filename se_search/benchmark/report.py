"""Reports samplers that were replayed on tables: printed tables, CSV files and a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from se_search.benchmark.scores import (
    Curve,
    Replay,
    Score,
    Truth,
    curves_by_arm,
    mean_interval,
    score,
    trials_to_reach,
)
from se_search.report.console import print_text
from se_search.report.format import count
from se_search.report.table import Column, ResultTable
from se_search.store.files import write_table

ALL_TABLES = "mean of all tables"
LEVELS = (0.9, 0.95)
LEGEND = (
    "Hypervolume: of the rows with a full training, as a share of the whole table's; a row's "
    "accuracy is its mean over all seeds, cost is on a log scale, and the reference is the largest "
    "cost and the lower quartile of accuracy. In brackets: 95 % bootstrap intervals over runs.",
    "rows: number of different rows that a run trained. duplicates: trainings whose row and seed "
    "an earlier trial of the run had, summed over all runs. beyond seeds: trainings of a run for "
    "which the table has no further seed, so that an earlier accuracy was given again. ms a "
    "proposal: the sampler's own time, median / mean. trials to reach: median / mean over runs; - "
    "if half of the runs / any run never reach it.",
    "precision and recall: of the reported front (by mean observed accuracies) against the true "
    "front of the rows that the run trained, and of the whole table. optimism: reported minus true "
    "accuracy, in points.",
)
EPOCHS_LEGEND = (
    "A trial is {epochs} epochs, a full training's worth; with rungs they may be spent on several "
    "shorter trainings."
)
SCORE_FIELDS = tuple(field.name for field in fields(Score))


@dataclass(frozen=True)
class Benchmark:
    """Replays of samplers on tables, with their scores.

    Attributes:
        truths: the costs and mean accuracies of each table's rows, by the table's name.
        replays: of all samplers on all tables, with equal numbers of runs and trials.
        checkpoints: numbers of trials after which the replays are scored, ascending; with rungs,
            a trial is a full training's worth of epochs.
        epochs: length of a full training; None: not known.
    """

    truths: Mapping[str, Truth]
    replays: Sequence[Replay]
    checkpoints: Sequence[int]
    epochs: int | None = None

    @cached_property
    def scores(self) -> list[tuple[Replay, Score]]:
        """Each replay at each checkpoint."""
        return [
            (replay, score(replay, self.truths[replay.table], trials))
            for replay in self.replays
            for trials in self.checkpoints
        ]

    @cached_property
    def curves(self) -> dict[str, dict[str, NDArray[np.float64]]]:
        """Hypervolumes by arm (a sampler with its rungs) and table, ``(runs, trials)`` each."""
        return curves_by_arm(self.replays, self.truths)

    @property
    def arms(self) -> list[str]:
        """The samplers with their rungs, in the order of the replays."""
        return list(self.curves)

    @property
    def promoted(self) -> dict[str, str]:
        """The name of the sampler of each arm with rungs, which is also its arm without rungs."""
        return {r.arm: r.sampler for r in self.replays if r.promotion != "off"}

    @property
    def scopes(self) -> dict[str, list[str]]:
        """The tables that are reported together, by title: each one, and all if there are more."""
        tables = list(self.truths)
        single = {table: [table] for table in tables}
        return single if len(tables) == 1 else {**single, ALL_TABLES: tables}

    def select(self, arm: str, tables: Sequence[str]) -> list[Replay]:
        """Return an arm's replays on some tables."""
        return [r for r in self.replays if r.arm == arm and r.table in tables]

    def curve(self, arm: str, tables: Sequence[str]) -> Curve:
        """Return an arm's mean hypervolume over some tables, with its interval."""
        return Curve(*mean_interval([self.curves[arm][table] for table in tables]))

    def counts_to_final(self, arm: str, other: str, tables: Sequence[str]) -> list[float]:
        """Return after how many trials each run of an arm reaches the other arm's final mean."""
        return [
            # On each table the other arm's mean on that table is to be reached.
            trials_to_reach(curve, float(self.curves[other][name][:, -1].mean()))
            for name in tables
            for curve in self.curves[arm][name]
        ]


def print_benchmark(console: Console, benchmark: Benchmark) -> None:
    """Print the scores on each table of trainings, and on all together, with a legend."""
    for title, tables in benchmark.scopes.items():
        console.print(hypervolume_table(benchmark, title, tables))
        if len(benchmark.arms) > 1:
            console.print(reach_table(benchmark, title, tables))
        if benchmark.promoted:
            console.print(promotion_table(benchmark, title, tables))
        console.print(report_table(benchmark, title, tables))
    legend = [*LEGEND]
    if benchmark.epochs is not None:
        legend.append(EPOCHS_LEGEND.format(epochs=benchmark.epochs))
    print_text(console, "\n".join(legend))


def write_benchmark(folder: Path, benchmark: Benchmark) -> list[Path]:
    """Write samplers.csv, curves.csv, samplers.png and samplers.pdf; return their paths."""
    # matplotlib takes a third of a second to import.
    from se_search.report.figures.curves import draw_curves, prepare_curves
    from se_search.report.figures.style import save

    scores = [
        [
            *(replay.table, replay.sampler, replay.promotion, replay.run, replay.seed),
            benchmark.epochs and benchmark.epochs * found.trials,
            *(getattr(found, name) for name in SCORE_FIELDS),
            replay.num_duplicates,
            *(float(np.median(replay.seconds)), float(np.mean(replay.seconds))),
        ]
        for replay, found in benchmark.scores
    ]
    names = ["table", "sampler", "promotion", "run", "seed", "epochs", *SCORE_FIELDS]
    names += ["num_duplicates", "median_seconds", "mean_seconds"]
    panels = {
        title: {arm: benchmark.curve(arm, tables) for arm in benchmark.arms}
        for title, tables in benchmark.scopes.items()
    }
    curves = [
        [
            *(title, *_split_arm(arm), trial, benchmark.epochs and benchmark.epochs * trial),
            *(mean, low, high),
        ]
        for title, by_arm in panels.items()
        for arm, curve in by_arm.items()
        for trial, (mean, low, high) in enumerate(
            zip(curve.mean, curve.low, curve.high, strict=True), start=1
        )
    ]
    paths = [folder / name for name in ("samplers.csv", "curves.csv")]
    write_table(paths[0], names, map(_round, scores))
    heading = ["table", "sampler", "promotion", "trials", "epochs", "mean", "low", "high"]
    write_table(paths[1], heading, map(_round, curves))
    num_runs = _num_runs(benchmark)
    note = (
        f"Mean of {count(num_runs, 'run')}; the bands are 95 % bootstrap intervals of the mean. "
        "Rows count by their mean accuracy over all seeds."
    )
    if benchmark.epochs is not None:
        note += f" A trial is worth {benchmark.epochs} epochs."
    title = "Samplers replayed on tables of finished trainings"
    figure = draw_curves(prepare_curves(panels, title, note))
    return paths + save(figure, folder / "samplers.png")


def hypervolume_table(benchmark: Benchmark, title: str, tables: Sequence[str]) -> ResultTable:
    """Return a table of the hypervolumes at the checkpoints, and of what was proposed."""
    num_rows = sum(len(benchmark.truths[table].costs) for table in tables)
    *earlier, last = benchmark.checkpoints
    table = ResultTable(
        [
            Column("sampler", is_number=False, is_name=True),
            *(Column(f"at {trials} trials", rank=1) for trials in earlier),
            Column(f"at {last} trials"),
            Column("rows", rank=3),
            Column("duplicates", rank=4),
            Column("ms a proposal", rank=2),
        ],
        title=f"{title}: hypervolume, mean of {count(_num_runs(benchmark), 'run')}; "
        f"{count(num_rows, 'row')}",
    )
    for arm in benchmark.arms:
        curve = benchmark.curve(arm, tables)
        replays = benchmark.select(arm, tables)
        seconds = np.concatenate([replay.seconds for replay in replays])
        table.add_row(
            arm,
            *(_interval(curve, trials) for trials in benchmark.checkpoints),
            f"{np.mean([len(np.unique(replay.rows)) for replay in replays]):.1f}",
            str(sum(replay.num_duplicates for replay in replays)),
            f"{1e3 * np.median(seconds):.1f} / {1e3 * np.mean(seconds):.1f}",
        )
    return table


def reach_table(benchmark: Benchmark, title: str, tables: Sequence[str]) -> ResultTable:
    """Return a table of the trials or epochs that an arm takes to another's final hypervolume."""
    unit = "trials" if benchmark.epochs is None else "epochs"
    table = ResultTable(
        [
            Column("sampler", is_number=False, is_name=True),
            *(Column(arm, rank=1) for arm in benchmark.arms),
        ],
        title=f"{title}: {unit} to reach the final hypervolume of",
    )
    for arm in benchmark.arms:
        cells = [
            ""
            if other == arm
            else _describe_counts(benchmark.counts_to_final(arm, other, tables), benchmark.epochs)
            for other in benchmark.arms
        ]
        table.add_row(arm, *cells)
    return table


def promotion_table(benchmark: Benchmark, title: str, tables: Sequence[str]) -> ResultTable:
    """Return a table of the epochs that each arm takes, with rungs and without."""
    epochs = benchmark.epochs or 1
    spent = benchmark.checkpoints[-1] * epochs
    table = ResultTable(
        [
            Column("sampler", is_number=False, is_name=True),
            *(Column(f"of {level:g}") for level in LEVELS),
            Column("that it ends with without rungs", rank=2),
            Column("share of the epochs", rank=1),
        ],
        title=f"{title}: epochs, of {spent:,}, to reach a hypervolume",
    )
    for arm in benchmark.arms:
        row = [
            _describe_counts(
                [trials_to_reach(c, level) for name in tables for c in benchmark.curves[arm][name]],
                epochs,
            )
            for level in LEVELS
        ]
        plain = benchmark.promoted.get(arm)
        if plain in benchmark.curves:
            counts = benchmark.counts_to_final(arm, plain, tables)
            share = float(np.median(counts)) * epochs / spent
            row += [_describe_counts(counts, epochs), f"{share:.2f}" if share < np.inf else "-"]
        table.add_row(arm, *row)
    return table


def report_table(benchmark: Benchmark, title: str, tables: Sequence[str]) -> ResultTable:
    """Return a table of how near the front that a run reports is to the true front."""
    headings = {
        "hypervolume": "reported_hypervolume",
        "precision": "precision",
        "recall": "recall",
        "of the table: precision": "table_precision",
        "recall ": "table_recall",
    }
    ranks = (0, 2, 1, 4, 3, 0)
    table = ResultTable(
        [
            Column("sampler", is_number=False, is_name=True),
            *(
                Column(heading.strip(), rank=rank)
                for heading, rank in zip((*headings, "optimism"), ranks, strict=True)
            ),
        ],
        title=f"{title}: the front that a run reports after its last trial",
    )
    for arm in benchmark.arms:
        last = [
            found
            for replay, found in benchmark.scores
            if replay.arm == arm
            and replay.table in tables
            and found.trials == benchmark.checkpoints[-1]
        ]
        means = [np.mean([getattr(s, name) for s in last]) for name in headings.values()]
        optimism = 100 * np.mean([s.optimism for s in last])
        table.add_row(arm, *(f"{mean:.3f}" for mean in means), f"{optimism:+.2f}")
    return table


def _describe_counts(counts: Sequence[float], epochs: int | None = None) -> str:
    """Return median and mean as text; in epochs if ``epochs`` says how many a count is worth."""
    median, mean = (np.array([np.median(counts), np.mean(counts)]) * (epochs or 1)).tolist()
    return " / ".join(f"{value:.0f}" if np.isfinite(value) else "-" for value in (median, mean))


def _interval(curve: Curve, trials: int) -> str:
    at = trials - 1
    return f"{curve.mean[at]:.3f} ({curve.low[at]:.3f}-{curve.high[at]:.3f})"


def _split_arm(arm: str) -> tuple[str, str]:
    sampler, _, promotion = arm.partition(" ")
    return sampler, promotion or "off"


def _num_runs(benchmark: Benchmark) -> int:
    return len({replay.run for replay in benchmark.replays})


def _round(row: Sequence[object]) -> list[object]:
    return [round(value, 6) if isinstance(value, float) else value for value in row]
