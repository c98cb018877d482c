"""The options of every command that trains, with their help and limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from se_search.options import AtLeast, OneOf, Positive

ACCELERATORS = ("auto", "cpu", "cuda", "mps")

DataDir = Annotated[Path | None, typer.Option(help="folder that holds the data set")]
Workers = Annotated[
    int | None, typer.Option(help="trainings at a time; default: GPUs, or CPU cores"), AtLeast(1)
]
Threads = Annotated[int, typer.Option(help="CPU threads of each training"), AtLeast(1)]
Accelerator = Annotated[str, typer.Option(help="auto, cpu, cuda or mps"), OneOf(ACCELERATORS)]
Timeout = Annotated[
    float | None,
    typer.Option(help="seconds that a training may take; three times the usual or more"),
    Positive(),
]
MixEnvironments = Annotated[
    bool,
    typer.Option(
        "--mix-environments",
        help="go on with trainings that were made on other hardware or with other versions",
    ),
]
AllowCode = Annotated[
    bool,
    typer.Option("--allow-code", help="run code of your own: --backbone module:callable"),
]
Sites = Annotated[
    Path | None, typer.Option(help="YAML file that says where SE can go in the backbone")
]
