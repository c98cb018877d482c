"""The command ``se-search latency``: what SE takes in time on this device; nothing is trained."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from se_search.commands.latency_options import LatencyOptions
from se_search.commands.networks import (
    BackboneOption,
    ClassesOption,
    ImageSizeOption,
    JsonOption,
    SpaceOption,
    describe_network,
)
from se_search.execution.options import AllowCode, Sites
from se_search.options import takes_options
from se_search.report.console import make_console, print_files, print_text
from se_search.report.json_text import to_json
from se_search.terminal import say


def add_latency_command(app: typer.Typer) -> None:
    """Add ``latency`` to a command line."""
    app.command("latency")(print_latency)


@takes_options(LatencyOptions)
def print_latency(
    options: LatencyOptions,
    backbone: BackboneOption = "resnet20_bottleneck",
    space: SpaceOption = "stages_ratio",
    candidate: Annotated[
        list[str] | None,
        typer.Option(help="measure this one whole, too, as resnet50/all=standard:r16; repeatable"),
    ] = None,
    image_size: ImageSizeOption = None,
    classes: ClassesOption = None,
    sites: Sites = None,
    allow_code: AllowCode = False,
    csv: Annotated[Path | None, typer.Option(help="file that takes the table")] = None,
    figure: Annotated[
        Path | None, typer.Option(help="PNG that is written, and a PDF beside it")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure what SE adds to the time of a batch on this device, by place and width.

    Networks are not trained. What was measured before on the device is not measured again.
    """
    from se_search.candidate import Candidate
    from se_search.cost import find_allowed
    from se_search.execution.latency import LatencyRequest, measure_table, measure_whole
    from se_search.report.figures.style import name_files, save
    from se_search.report.latency import (
        describe_latency,
        latency_table,
        latency_to_json,
        whole_table,
        write_latency_csv,
    )
    from se_search.space.bound import BoundSpace
    from se_search.space.schema import read_space
    from se_search.store.files import refuse_unwritable
    from se_search.training.array_cache import default_cache_dir

    # What can't be written is refused before anything is measured.
    for file in [*([] if csv is None else [csv]), *([] if figure is None else name_files(figure))]:
        refuse_unwritable(file)
    described = describe_network(backbone, image_size, classes, sites, allow_code)
    wanted = [Candidate.parse(text, described) for text in candidate or []]
    allowed = find_allowed(BoundSpace(read_space(space), described))
    log = default_cache_dir() / "latency.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    settings = options.choose_here(log)
    request = LatencyRequest(allowed, settings, log, options.seconds, options.remeasure)

    def note(line: str) -> None:
        print(line, file=sys.stderr)

    table = measure_table(request, note)
    if wanted:
        table = table.with_front(measure_whole(request, table, wanted, note))
    if csv is not None:
        write_latency_csv(csv, table)
    if as_json:
        say(to_json(latency_to_json(table), indent=1))
    else:
        console = make_console()
        console.print(latency_table(table))
        for line in describe_latency(table):
            print_text(console, line)
        if table.front:
            console.print(whole_table(table, table.front))
        if csv is not None:
            print_files(console, [csv])
    if figure is not None:
        from se_search.report.figures.latency import draw_latency, prepare_latency

        files = save(draw_latency(prepare_latency(table)), figure)
        if not as_json:
            print_files(make_console(), files)
