"""Lays out how samplers fare on tables of finished trainings: tables, CSV files and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from se_search.benchmark.scores import (
    Replay,
    Score,
    Truth,
    curves_by_arm,
    mean_interval,
    score,
    trials_to_reach,
)
from se_search.report.figures.curves import Curve, draw_curves
from se_search.store.files import write_table

ALL_TABLES = "mean of all tables"
LEVELS = (0.9, 0.95)
LEGEND = """\
Hypervolume is that of the rows with a full training over that of the whole table, each row by its
mean accuracy over all seeds; cost is on a log scale, the reference is the largest cost and the
lower quartile of accuracy. In brackets: 95 % bootstrap intervals over runs.
rows: different ones that a run trained. duplicates: trainings of one row and seed, in all runs.
beyond seeds: trainings of a run that the table has no further seed for: an old one was given again.
ms a proposal: the sampler's own time, median / mean. trials to reach: median / mean over runs, - if
half of the runs / not all runs get there.
precision and recall: of the reported front (by mean observed accuracies) against the true front of
what the run trained, and of the whole table. optimism: reported minus true accuracy, in points."""
EPOCHS_LEGEND = """\
A trial is a full training's worth of epochs ({epochs}): with rungs, so many epochs in trainings of
any length."""
SCORE_FIELDS = tuple(field.name for field in fields(Score))


@dataclass(frozen=True)
class Contest:
    """Replays of samplers on tables.

    Attributes:
        truths: what each table knows, by its name.
        replays: of all samplers on all tables, each with the same runs and trials.
        checkpoints: after how many trials they are scored, ascending; with rungs, a trial is a
            full training's worth of epochs.
        epochs: of a full training; None: not known.
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
        """Hypervolumes by arm (a sampler with its rungs) and table: ``(runs, trials)``."""
        return curves_by_arm(self.replays, self.truths)

    @property
    def arms(self) -> list[str]:
        """The samplers with their rungs, in the order of the replays."""
        return list(self.curves)

    @property
    def promoted(self) -> dict[str, str]:
        """The arms with rungs, and for each its sampler, which is its arm without."""
        return {r.arm: r.sampler for r in self.replays if r.promotion != "off"}

    @property
    def scopes(self) -> dict[str, list[str]]:
        """What is looked at together, by its title: each table, and all where there are more."""
        tables = list(self.truths)
        single = {table: [table] for table in tables}
        return single if len(tables) == 1 else {**single, ALL_TABLES: tables}

    def select(self, arm: str, tables: Sequence[str]) -> list[Replay]:
        """Return an arm's replays on some tables."""
        return [r for r in self.replays if r.arm == arm and r.table in tables]

    def curve(self, arm: str, tables: Sequence[str]) -> Curve:
        """Return an arm's mean curve over some tables, with its interval."""
        return Curve(*mean_interval([self.curves[arm][table] for table in tables]))

    def counts_to_final(self, arm: str, other: str, tables: Sequence[str]) -> list[float]:
        """Return after how many trials each run of an arm is where the other one ends."""
        return [
            # On each table the other one's mean on that table is to be reached.
            trials_to_reach(curve, float(self.curves[other][name][:, -1].mean()))
            for name in tables
            for curve in self.curves[arm][name]
        ]


def print_contest(console: Console, contest: Contest) -> None:
    """Print three tables for each table, and for all of them together."""
    for title, tables in contest.scopes.items():
        console.print(hypervolume_table(contest, title, tables))
        if len(contest.arms) > 1:
            console.print(reach_table(contest, title, tables))
        if contest.promoted:
            console.print(promotion_table(contest, title, tables))
        console.print(report_table(contest, title, tables))
    legend = [LEGEND]
    if contest.epochs is not None:
        legend.append(EPOCHS_LEGEND.format(epochs=contest.epochs))
    console.print("\n".join(legend), highlight=False, markup=False, soft_wrap=True)


def write_contest(folder: Path, contest: Contest) -> list[Path]:
    """Write samplers.csv, curves.csv and samplers.png; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    scores = [
        [
            *(replay.table, replay.sampler, replay.promotion, replay.run, replay.seed),
            contest.epochs and contest.epochs * found.trials,
            *(getattr(found, name) for name in SCORE_FIELDS),
            *(replay.num_duplicates, replay.num_repeats),
            *(float(np.median(replay.seconds)), float(np.mean(replay.seconds))),
        ]
        for replay, found in contest.scores
    ]
    names = ["table", "sampler", "promotion", "run", "seed", "epochs", *SCORE_FIELDS]
    names += ["num_duplicates", "num_repeats", "median_seconds", "mean_seconds"]
    panels = {
        title: {arm: contest.curve(arm, tables) for arm in contest.arms}
        for title, tables in contest.scopes.items()
    }
    curves = [
        [
            *(title, *_split_arm(arm), trial, contest.epochs and contest.epochs * trial),
            *(mean, low, high),
        ]
        for title, by_arm in panels.items()
        for arm, curve in by_arm.items()
        for trial, (mean, low, high) in enumerate(
            zip(curve.mean, curve.low, curve.high, strict=True), start=1
        )
    ]
    paths = [folder / name for name in ("samplers.csv", "curves.csv", "samplers.png")]
    write_table(paths[0], names, map(_round, scores))
    heading = ["table", "sampler", "promotion", "trials", "epochs", "mean", "low", "high"]
    write_table(paths[1], heading, map(_round, curves))
    num_runs = _num_runs(contest)
    note = (
        f"Mean of {num_runs} runs; the bands are 95 % bootstrap intervals of the mean. "
        "Rows count by their mean accuracy over all seeds."
    )
    if contest.epochs is not None:
        note += f" A trial is worth {contest.epochs} epochs."
    draw_curves(paths[2], panels, "Samplers replayed on tables of finished trainings", note)
    return paths


def hypervolume_table(contest: Contest, title: str, tables: Sequence[str]) -> Table:
    """Lay out hypervolumes at the checkpoints, and what the samplers proposed."""
    num_rows = sum(len(contest.truths[table].costs) for table in tables)
    table = Table(
        title=f"{title}: hypervolume, mean of {_num_runs(contest)} runs; {num_rows:,} rows"
    )
    table.add_column("sampler")
    for trials in contest.checkpoints:
        table.add_column(f"at {trials} trials", justify="right")
    for heading in ("rows", "duplicates", "beyond seeds", "ms a proposal"):
        table.add_column(heading, justify="right")
    for arm in contest.arms:
        curve = contest.curve(arm, tables)
        replays = contest.select(arm, tables)
        seconds = np.concatenate([replay.seconds for replay in replays])
        table.add_row(
            arm,
            *(_interval(curve, trials) for trials in contest.checkpoints),
            f"{np.mean([len(np.unique(replay.rows)) for replay in replays]):.1f}",
            str(sum(replay.num_duplicates for replay in replays)),
            f"{np.mean([replay.num_repeats for replay in replays]):.1f}",
            f"{1e3 * np.median(seconds):.1f} / {1e3 * np.mean(seconds):.1f}",
        )
    return table


def reach_table(contest: Contest, title: str, tables: Sequence[str]) -> Table:
    """Lay out how much each arm needs to get where each other one ends: trials, or epochs."""
    unit = "trials" if contest.epochs is None else "epochs"
    table = Table(title=f"{title}: {unit} to reach the final hypervolume of")
    table.add_column("sampler")
    for arm in contest.arms:
        table.add_column(arm, justify="right")
    for arm in contest.arms:
        cells = [
            ""
            if other == arm
            else _describe_counts(contest.counts_to_final(arm, other, tables), contest.epochs)
            for other in contest.arms
        ]
        table.add_row(arm, *cells)
    return table


def promotion_table(contest: Contest, title: str, tables: Sequence[str]) -> Table:
    """Lay out what rungs save each sampler."""
    epochs = contest.epochs or 1
    spent = contest.checkpoints[-1] * epochs
    table = Table(title=f"{title}: epochs, of {spent:,}, to reach a hypervolume")
    table.add_column("sampler")
    for level in LEVELS:
        table.add_column(f"of {level:g}", justify="right")
    for heading in ("that it ends with without rungs", "share of the epochs"):
        table.add_column(heading, justify="right")
    for arm in contest.arms:
        row = [
            _describe_counts(
                [trials_to_reach(c, level) for name in tables for c in contest.curves[arm][name]],
                epochs,
            )
            for level in LEVELS
        ]
        plain = contest.promoted.get(arm)
        if plain in contest.curves:
            counts = contest.counts_to_final(arm, plain, tables)
            share = float(np.median(counts)) * epochs / spent
            row += [_describe_counts(counts, epochs), f"{share:.2f}" if share < np.inf else "-"]
        table.add_row(arm, *row)
    return table


def report_table(contest: Contest, title: str, tables: Sequence[str]) -> Table:
    """Lay out how true the front is that a run would report after all its trials."""
    table = Table(title=f"{title}: the front that a run reports after its last trial")
    table.add_column("sampler")
    headings = {
        "hypervolume": "reported_hypervolume",
        "precision": "precision",
        "recall": "recall",
        "of the table: precision": "table_precision",
        "recall ": "table_recall",
    }
    for heading in (*headings, "optimism"):
        table.add_column(heading.strip(), justify="right")
    for arm in contest.arms:
        last = [
            found
            for replay, found in contest.scores
            if replay.arm == arm
            and replay.table in tables
            and found.trials == contest.checkpoints[-1]
        ]
        means = [np.mean([getattr(s, name) for s in last]) for name in headings.values()]
        optimism = 100 * np.mean([s.optimism for s in last])
        table.add_row(arm, *(f"{mean:.3f}" for mean in means), f"{optimism:+.2f}")
    return table


def _describe_counts(counts: Sequence[float], epochs: int | None = None) -> str:
    """Return median and mean, in epochs if it is said how many a count is worth."""
    median, mean = (np.array([np.median(counts), np.mean(counts)]) * (epochs or 1)).tolist()
    return " / ".join(f"{value:.0f}" if np.isfinite(value) else "-" for value in (median, mean))


def _interval(curve: Curve, trials: int) -> str:
    at = trials - 1
    return f"{curve.mean[at]:.3f} ({curve.low[at]:.3f}-{curve.high[at]:.3f})"


def _split_arm(arm: str) -> tuple[str, str]:
    sampler, _, promotion = arm.partition(" ")
    return sampler, promotion or "off"


def _num_runs(contest: Contest) -> int:
    return len({replay.run for replay in contest.replays})


def _round(row: Sequence[object]) -> list[object]:
    return [round(value, 6) if isinstance(value, float) else value for value in row]
