"""The options of ``se-search gates``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from se_search.execution.options import ACCELERATORS, AllowCode
from se_search.options import AtLeast, OneOf, check_options


@dataclass(frozen=True, slots=True)
class GatesOptions:
    """What is looked at: the options of ``se-search gates``.

    Raises:
        RunError: a number is below its limit, or a word is not allowed.
    """

    candidate: Annotated[
        str,
        typer.Option(
            help="recommended, best, a bound as 'params <= 3 %' (the best within it), or one as "
            "'s2:4 s3:8'"
        ),
    ] = "recommended"
    replicates: Annotated[
        int,
        typer.Option(help="networks to look at, of as many replicates of the run"),
        AtLeast(1),
    ] = 1
    images: Annotated[
        int,
        typer.Option(help="the most images that trained, and the most that validate"),
        AtLeast(2),
    ] = 10_000
    classes: Annotated[
        str | None,
        typer.Option(help="that have lines in the figure, as 0,3,7 or cat,dog; default: four"),
    ] = None
    to: Annotated[
        Path | None, typer.Option(help="folder that takes the files; default: the run's")
    ] = None
    threads: Annotated[
        int | None, typer.Option(help="CPU threads; default: the run's"), AtLeast(1)
    ] = None
    accelerator: Annotated[
        str | None,
        typer.Option(help="auto, cpu, cuda or mps; default: the run's"),
        OneOf(ACCELERATORS),
    ] = None
    data_dir: Annotated[
        Path | None, typer.Option(help="folder that holds the data set; default: the run's")
    ] = None
    allow_code: AllowCode = False

    def __post_init__(self) -> None:
        """Check each value."""
        check_options(self)
