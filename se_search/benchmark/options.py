"""The options of ``se-search benchmark samplers``, with their help and limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from se_search.completion import complete_samplers
from se_search.errors import RunError, suggest_nearest
from se_search.options import AtLeast, check_options
from se_search.record import Rung

CHECKPOINTS = (25, 50, 100, 200)  # trials


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkOptions:
    """The options of ``se-search benchmark samplers``.

    Raises:
        RunError: a number is below its limit, or names and rungs can't be read or stand twice.
    """

    tables: Annotated[
        tuple[Path, ...],
        typer.Option(
            "--table",
            help="CSV of finished trainings: x_..., cost, accuracy_1, accuracy_2, ...; repeatable",
        ),
    ]
    samplers: Annotated[
        str,
        typer.Option(
            help="names of samplers, with commas between them", autocompletion=complete_samplers
        ),
    ] = "pareto,tpe,nsga2,random"
    trials: Annotated[
        int,
        typer.Option(
            help="full trainings of each run; shorter ones are paid by their share of the epochs"
        ),
        AtLeast(1),
    ] = 200
    promotions: Annotated[
        tuple[str, ...],
        typer.Option(
            "--promotion",
            help="rungs as 2x1,6x1, auto or off, tried with each sampler; repeatable",
        ),
    ] = ("off",)
    epochs: Annotated[
        int | None,
        typer.Option(help="epochs of the tables' full trainings; rungs need it"),
        AtLeast(1),
    ] = None
    eta: Annotated[
        int, typer.Option(help="one row in ETA is promoted to the next rung"), AtLeast(2)
    ] = 3
    runs: Annotated[int, typer.Option(help="of each sampler on each table"), AtLeast(1)] = 10
    replicates: Annotated[
        int | None,
        typer.Option(
            help="columns of a table among which trainings take turns; default: one for each 12 "
            "trials, but 2 to 8, and at most all"
        ),
        AtLeast(1),
    ] = None
    repeat_candidates: Annotated[
        bool, typer.Option(help="whether pareto may train a row again, in another replicate")
    ] = True
    workers: Annotated[
        int, typer.Option(help="trainings at a time, as if that many ran"), AtLeast(1)
    ] = 1
    seed: Annotated[int, typer.Option(help="the runs' seeds derive from it"), AtLeast(0)] = 0
    output: Annotated[
        Path, typer.Option(help="folder that takes samplers.csv, curves.csv and samplers.png, .pdf")
    ] = Path("samplers")
    jobs: Annotated[int, typer.Option(help="processes that make runs side by side"), AtLeast(1)] = 1

    def __post_init__(self) -> None:
        """Check each number, each sampler's name and the rungs."""
        from se_search.search.registry import SAMPLERS  # imports Optuna

        check_options(self)
        names = self.sampler_names
        for name in names:
            if name not in SAMPLERS:
                hint = suggest_nearest(name, SAMPLERS)
                raise RunError(f"sampler {name!r}{hint} is not one of {', '.join(SAMPLERS)}")
        if len(set(names)) < len(names):
            raise RunError(f"samplers {self.samplers!r}: at least one, and none twice")
        rungs = self.rungs
        if len(set(rungs.values())) < len(self.promotions) or not rungs:
            raise RunError(f"promotions {' '.join(self.promotions)!r}: each must be another one")

    @property
    def sampler_names(self) -> tuple[str, ...]:
        """The samplers' names."""
        return tuple(self.samplers.split(","))

    @property
    def rungs(self) -> dict[str, tuple[Rung, ...]]:
        """The rungs by their text, in which ``auto`` is spelled out."""
        from se_search.search.promotion import parse_rungs  # imports numpy

        found = {}
        for text in self.promotions:
            if text != "off" and self.epochs is None:
                raise RunError(
                    f"promotion {text!r} needs --epochs: how many the tables' full trainings have"
                )
            rungs = parse_rungs(text, self.epochs or 1)
            found["off" if text == "off" else ",".join(map(str, rungs))] = rungs
        return found

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """The numbers of trials after which the runs are scored."""
        return tuple(sorted({*(c for c in CHECKPOINTS if c < self.trials), self.trials}))
