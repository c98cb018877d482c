"""The command line: parses, wires and prints; what takes long to load is loaded when it is used."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from se_search.errors import SESearchError

if TYPE_CHECKING:
    from rich.console import Console

    from se_search.candidate import Backbone
    from se_search.commands.confirm import ConfirmOptions
    from se_search.report.display import Display
    from se_search.space.bound import BoundSpace
    from se_search.store.run_folder import RunFolder

app = typer.Typer(
    name="se-search",
    help="Where squeeze-and-excitation blocks belong in a convolutional network, how narrow they "
    "can be, and what that costs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
spaces_app = typer.Typer(
    help="The search spaces that come with se-search.", invoke_without_command=True
)
app.add_typer(spaces_app, name="spaces")
benchmark_app = typer.Typer(help="Measure se-search itself.", no_args_is_help=True)
app.add_typer(benchmark_app, name="benchmark")

SpaceOption = Annotated[str, typer.Option(help="name of a shipped space, or path of a YAML file")]
BackboneOption = Annotated[
    str,
    typer.Option(help="as resnet50; one of torchvision, timm or the paper, or module:callable"),
]
SitesOption = Annotated[
    Path | None, typer.Option(help="YAML file that says where SE can go in the backbone")
]
AllowCodeOption = Annotated[
    bool,
    typer.Option("--allow-code", help="run code of your own: --backbone module:callable"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]
RunArgument = Annotated[Path, typer.Argument(help="folder of the run, or its name in runs/")]
MAX_ROWS = 1_000
EXIT_INTERRUPTED = 128 + signal.SIGINT


def main() -> None:
    """Run the command line; an error that a user can mend is one message and an exit code."""
    try:
        app()
    except SESearchError as error:
        print(f"se-search: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("se-search: interrupted", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader (head, less) has gone; Python would complain again on its way out.
        sys.stderr.close()
        sys.exit(1)


@app.command()
def run(
    space: SpaceOption = "stages_ratio",
    trials: Annotated[int, typer.Option(help="total of the study, earlier runs included")] = 200,
    backbone: BackboneOption = "resnet20_bottleneck",
    data: Annotated[
        str,
        typer.Option(help="fashion_mnist, cifar10, cifar100, digits, folder:PATH or imagenet:PATH"),
    ] = "fashion_mnist",
    data_dir: Annotated[Path | None, typer.Option(help="where the data set lies")] = None,
    recipe: Annotated[
        str, typer.Option(help="quick, cifar, imagenet, or path of a YAML file")
    ] = "quick",
    epochs: Annotated[
        int | None, typer.Option(help="instead of the recipe's; the schedule is fitted to it")
    ] = None,
    objectives: Annotated[
        str, typer.Option(help="accuracy with params and/or macs")
    ] = "accuracy,params",
    sampler: Annotated[str, typer.Option(help="pareto, tpe, nsga2, random or grid")] = "pareto",
    promotion: Annotated[
        str,
        typer.Option(
            help="rungs of epochs x seeds that the best climb, as 1x1,2x1,4x1; off, or auto"
        ),
    ] = "off",
    eta: Annotated[int, typer.Option(help="one in ETA is promoted to the next rung")] = 3,
    replicate: Annotated[
        bool,
        typer.Option(help="whether pareto spends trainings on further seeds of the undecided"),
    ] = True,
    stop_when_settled: Annotated[
        bool,
        typer.Option("--stop-when-settled", help="end when no training is expected to change much"),
    ] = False,
    tolerance: Annotated[
        float, typer.Option(help="of that: points of accuracy, averaged over the front's costs")
    ] = 0.01,
    seed: Annotated[int, typer.Option(help="of the sampler, and of the first trainings")] = 0,
    workers: Annotated[
        int | None, typer.Option(help="trainings at a time; default: GPUs, or CPU cores")
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads of each training")] = 1,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
    timeout: Annotated[
        float | None, typer.Option(help="seconds after which a training is killed")
    ] = None,
    max_failures: Annotated[
        int, typer.Option(help="stop after so many failed trials in a row")
    ] = 5,
    weights: Annotated[
        str | None,
        typer.Option(help="file to start the backbone from (.pth, .safetensors), or DEFAULT"),
    ] = None,
    freeze_backbone: Annotated[
        bool, typer.Option("--freeze-backbone", help="train only what is not in the weights")
    ] = False,
    sites: SitesOption = None,
    allow_code: AllowCodeOption = False,
    name: Annotated[str | None, typer.Option(help="of the run; default: the space's")] = None,
    runs_dir: Annotated[Path, typer.Option(help="folder of the runs")] = Path("runs"),
    confirm: Annotated[
        int | None,
        typer.Option(min=1, help="at the end, train the front again with so many fresh seeds"),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="print nothing but errors")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="print a JSON object a line: each trial, then the front")
    ] = False,
) -> None:
    """Search a space, or continue a search that was stopped, and write the Pareto front.

    Exit codes: 0 all trials are done; 2 something asked for is not to be had; 3 the run is busy;
    4 the run holds another study; 5 too many failures in a row; 130 Ctrl-C; 143 SIGTERM.
    """
    from se_search.commands.search import SearchOptions, launch

    options = SearchOptions(
        space=space,
        backbone=backbone,
        data=data,
        data_dir=data_dir,
        recipe=recipe,
        epochs=epochs,
        objectives=objectives,
        sampler=sampler,
        replicates=replicate,
        stop_when_settled=stop_when_settled,
        tolerance=tolerance,
        promotion=promotion,
        eta=eta,
        trials=trials,
        seed=seed,
        workers=workers,
        threads=threads,
        accelerator=accelerator,
        timeout=timeout,
        max_failures=max_failures,
        weights=weights,
        freeze_backbone=freeze_backbone,
        sites=sites,
        allow_code=allow_code,
        name=name,
        runs_dir=runs_dir,
    )
    outcome = launch(options, _make_display(quiet, as_json))
    _exit_if_stopped(outcome.signal)
    if confirm is not None:
        from se_search.commands.confirm import ConfirmOptions

        confirmation = ConfirmOptions(
            seeds=confirm,
            workers=workers,
            threads=threads,
            timeout=timeout,
            data_dir=data_dir,
            allow_code=allow_code,
        )
        _confirm(outcome.folder, confirmation, quiet, as_json)


@app.command()
def confirm(
    run: RunArgument,
    seeds: Annotated[int, typer.Option(help="trainings of each candidate, of no trial's seed")] = 5,
    candidates: Annotated[
        list[str] | None,
        typer.Option(
            help="front, all-credible, or one as resnet50/stage2=standard:r16; repeatable; "
            "default: front"
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="trainings at a time; default: GPUs, or CPU cores")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads of each training; default: the run's")
    ] = None,
    timeout: Annotated[
        float | None, typer.Option(help="seconds after which a training is killed")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="where the data set lies; default: the run's")
    ] = None,
    allow_code: AllowCodeOption = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="print nothing but errors")] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="print a JSON object a line: each training, then the result"),
    ] = False,
) -> None:
    """Train a run's front again with fresh seeds, and evaluate it on the test images, once.

    The plain backbone and SE everywhere (r = 16) are trained beside it. The same command continues
    what was stopped. Exit codes as for run.
    """
    from se_search.commands.confirm import ConfirmOptions
    from se_search.store.run_folder import RunFolder

    options = ConfirmOptions(
        seeds=seeds,
        candidates=tuple(candidates or ["front"]),
        workers=workers,
        threads=threads,
        timeout=timeout,
        data_dir=data_dir,
        allow_code=allow_code,
    )
    _confirm(RunFolder.existing(run), options, quiet, as_json)


@app.command()
def report(run: RunArgument) -> None:
    """Make trials.csv, pareto.csv and pareto.png of a run anew, and print the front."""
    from se_search.report.display import print_findings
    from se_search.report.run_report import write_report
    from se_search.store.run_folder import RunFolder

    folder = RunFolder.existing(run)
    print_findings(_console(), write_report(folder))


@app.command()
def effects(run: RunArgument, as_json: JsonOption = False) -> None:
    """Print what each stage or block, position and width contributes, with intervals and costs.

    Writes effects.csv and effects.png into the run's folder.
    """
    from se_search.report.effects import effects_event, print_effects, write_effects
    from se_search.store.run_folder import RunFolder

    written = write_effects(RunFolder.existing(run))
    if as_json:
        print(json.dumps(effects_event(written), indent=1))
    else:
        print_effects(_console(), written)


@app.command()
def reproduce(
    names: Annotated[
        list[str], typer.Argument(help="studies, by name or folder; all: every shipped one")
    ],
    scale: Annotated[
        str, typer.Option(help="desk (Fashion-MNIST, a CPU) or paper (ImageNet, GPUs)")
    ] = "desk",
    data: Annotated[
        str | None, typer.Option(help="instead of the scale's, as imagenet:PATH")
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="where the data set lies")] = None,
    seeds: Annotated[int | None, typer.Option(min=2, help="instead of the scale's")] = None,
    store: Annotated[
        Path, typer.Option(help="folder of trainings and results; studies: those that were landed")
    ] = Path("runs/studies"),
    train: Annotated[
        bool, typer.Option(help="whether missing trainings are made, or what there is is judged")
    ] = True,
    workers: Annotated[
        int | None, typer.Option(help="trainings at a time; default: GPUs, or CPU cores")
    ] = None,
    threads: Annotated[int, typer.Option(help="CPU threads of each training")] = 1,
    accelerator: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
    timeout: Annotated[
        float | None, typer.Option(help="seconds after which a training is killed")
    ] = None,
    mix_environments: Annotated[
        bool,
        typer.Option(
            "--mix-environments", help="go on with trainings of other hardware or versions"
        ),
    ] = False,
) -> None:
    """Carry out studies of the paper's findings: train what is missing, and judge the claims.

    Trainings that several studies need are made once. The same command continues what was stopped.
    """
    from se_search.reproduction.report import closing_lines, study_table
    from se_search.reproduction.reproduce import ReproduceOptions
    from se_search.reproduction.reproduce import reproduce as carry_out

    options = ReproduceOptions(
        names=tuple(names),
        scale=scale,
        data=data,
        data_dir=data_dir,
        seeds=seeds,
        store=store,
        train=train,
        workers=workers,
        threads=threads,
        accelerator=accelerator,
        timeout=timeout,
        mix_environments=mix_environments,
    )
    console = _console()
    reports, number = carry_out(options, lambda text: print(text, file=sys.stderr, flush=True))
    for report in reports:
        console.print(study_table(report))
        for line in closing_lines(report):
            console.print(line, highlight=False)
        console.print(f"Written: {report.folder}/results.md", highlight=False, soft_wrap=True)
    if number is not None:
        command = shlex.join(["se-search", *sys.argv[1:]])
        print(f"Stopped. To continue: {command}", file=sys.stderr)
        sys.exit(128 + number)


@app.command()
def cost(
    backbone: BackboneOption = "resnet20_bottleneck",
    space: SpaceOption = "stages",
    candidate: Annotated[
        str | None,
        typer.Option(help="price this one, as resnet50/all=standard:r16/stage5=none"),
    ] = None,
    image_size: Annotated[int | None, typer.Option(help="pixels; default: 28 or 224")] = None,
    classes: Annotated[int | None, typer.Option(help="default: 10 or 1000")] = None,
    sites: SitesOption = None,
    allow_code: AllowCodeOption = False,
    csv: Annotated[Path | None, typer.Option(help="file that takes the whole space")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print what the candidates of a space cost, without training anything."""
    from se_search.candidate import Candidate
    from se_search.report.costs import cost_rows, cost_table, write_cost_csv
    from se_search.report.figures.placement import placement_table

    described = _describe(backbone, image_size, classes, sites, allow_code)
    if candidate is not None:
        candidates = [Candidate.parse(candidate, described)]
    else:
        bound = _bind(space, described)
        if csv is not None:
            write_cost_csv(csv, bound)
            _console().print(f"Written: {csv}, {bound.size:,} candidates", highlight=False)
            return
        if bound.size > MAX_ROWS and not as_json:
            raise SESearchError(
                f"{bound.size:,} candidates are too many for a table, which has at most "
                f"{MAX_ROWS:,} rows; --csv FILE takes them all"
            )
        candidates = list(bound)
    if as_json:
        print(json.dumps(cost_rows(candidates), indent=1))
        return
    _console().print(cost_table(described, candidates))
    if candidate is not None:
        _console().print(placement_table(candidates[0]))


@app.command()
def show(
    candidate: Annotated[
        str, typer.Argument(help="as resnet50/all=standard:r16/stage5=none; quotes keep it whole")
    ],
    output: Annotated[Path, typer.Option(help="PNG that is written")] = Path("candidate.png"),
    image_size: Annotated[int | None, typer.Option(help="pixels; default: 28 or 224")] = None,
    classes: Annotated[int | None, typer.Option(help="default: 10 or 1000")] = None,
    sites: SitesOption = None,
    allow_code: AllowCodeOption = False,
) -> None:
    """Draw where the SE blocks of a candidate sit: in the terminal, and as a picture."""
    from se_search.candidate import Candidate
    from se_search.report.figures.placement import draw_placement, headline, placement_table

    name = candidate.split("/")[0]
    described = _describe(name, image_size, classes, sites, allow_code)
    parsed = Candidate.parse(candidate, described)
    console = _console()
    console.print(headline(parsed), highlight=False, soft_wrap=True)
    console.print(placement_table(parsed))
    draw_placement(output, parsed)
    console.print(f"Written: {output}", highlight=False, soft_wrap=True)


@spaces_app.callback()
def list_spaces(
    context: typer.Context,
    backbone: BackboneOption = "resnet20_bottleneck",
    sites: SitesOption = None,
    allow_code: AllowCodeOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the spaces with their sizes and the range of what their candidates cost."""
    if context.invoked_subcommand is not None:
        return
    from se_search.report.spaces import list_sizes, sizes_table

    rows = list_sizes(_describe(backbone, None, None, sites, allow_code))
    if as_json:
        print(json.dumps(rows, indent=1))
    else:
        _console().print(sizes_table(rows, backbone))


@spaces_app.command("show")
def show_space(
    name: Annotated[str, typer.Argument(help="name of a shipped space, or path of a YAML file")],
    backbone: BackboneOption = "resnet20_bottleneck",
    sites: SitesOption = None,
    allow_code: AllowCodeOption = False,
) -> None:
    """Print a space's sites and choices on a backbone."""
    from se_search.report.spaces import show_space

    described = _describe(backbone, None, None, sites, allow_code)
    show_space(_console(), name, _bind(name, described))


@spaces_app.command("schema")
def print_schema() -> None:
    """Print the JSON Schema of a space file, for editors."""
    from se_search.space.schema import space_schema

    print(space_schema(), end="")


@benchmark_app.command("samplers")
def benchmark_samplers(
    table: Annotated[
        list[Path],
        typer.Option(
            help="CSV of finished trainings: x_..., cost, accuracy_1, accuracy_2, ...; repeatable"
        ),
    ],
    samplers: Annotated[
        str | None, typer.Option(help="as tpe,random; default: all but grid")
    ] = None,
    trials: Annotated[
        int, typer.Option(help="full trainings of each run, or as many epochs in shorter ones")
    ] = 200,
    promotion: Annotated[
        list[str] | None,
        typer.Option(help="rungs as 2x1,6x1, auto or off, tried with each sampler; repeatable"),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="of the tables' full trainings; rungs need it")
    ] = None,
    eta: Annotated[int, typer.Option(help="one in ETA is promoted to the next rung")] = 3,
    runs: Annotated[int, typer.Option(help="of each sampler on each table")] = 10,
    replicate: Annotated[
        bool, typer.Option(help="whether pareto may train a row again, with another seed")
    ] = True,
    workers: Annotated[int, typer.Option(help="trainings at a time, as if so many ran")] = 1,
    seed: Annotated[int, typer.Option(help="the runs' seeds derive from it")] = 0,
    output: Annotated[
        Path, typer.Option(help="folder that takes samplers.csv, curves.csv and samplers.png")
    ] = Path("samplers"),
    jobs: Annotated[int, typer.Option(help="processes that make runs side by side")] = 1,
) -> None:
    """Replay samplers on tables of finished trainings, and compare what they find."""
    from se_search.benchmark.replay import DEFAULT_SAMPLERS, BenchmarkOptions, benchmark_samplers

    options = BenchmarkOptions(
        tables=tuple(table),
        samplers=DEFAULT_SAMPLERS if samplers is None else tuple(samplers.split(",")),
        trials=trials,
        runs=runs,
        workers=workers,
        seed=seed,
        output=output,
        jobs=jobs,
        promotions=tuple(promotion or ["off"]),
        epochs=epochs,
        eta=eta,
        replicates=replicate,
    )
    benchmark_samplers(options, _console())


@app.command()
def dashboard(
    run: RunArgument,
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8080,
) -> None:
    """Open the Optuna dashboard of a run on 127.0.0.1; it has no passwords, so nowhere else."""
    from se_search.report.dashboard import serve_dashboard
    from se_search.store.run_folder import RunFolder

    serve_dashboard(RunFolder.existing(run), port, announce=print)


@app.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as read_version

    print(read_version("se-search"))


def _confirm(folder: RunFolder, options: ConfirmOptions, quiet: bool, as_json: bool) -> None:
    from se_search.commands.confirm import Ended, confirm
    from se_search.report.confirmation import confirmation_event, print_confirmation

    display = _make_display(quiet, as_json)

    def observe(ended: Ended) -> None:
        if as_json:
            print(json.dumps({"event": "training", **asdict(ended)}), flush=True)
        else:
            display.note(str(ended))

    outcome = confirm(folder, options, display.note, observe)
    if as_json:
        print(json.dumps(confirmation_event(folder, outcome.rounds)), flush=True)
    elif not quiet:
        print_confirmation(_console(), folder, outcome.rounds)
    _exit_if_stopped(outcome.signal)


def _exit_if_stopped(number: int | None) -> None:
    """Exit as a signal asked, with the command that continues."""
    if number is not None:
        command = shlex.join(["se-search", *sys.argv[1:]])
        print(f"Stopped. To continue: {command}", file=sys.stderr)
        sys.exit(128 + number)


def _describe(
    name: str,
    image_size: int | None,
    num_classes: int | None,
    sites: Path | None,
    allow_code: bool,
) -> Backbone:
    from se_search.models.catalogue import (
        backbone_in_channels,
        default_shape,
        describe_backbone,
    )

    channels, default_size, default_classes = default_shape(name)
    return describe_backbone(
        name,
        backbone_in_channels(name, channels, allow_code=allow_code),
        image_size or default_size,
        num_classes or default_classes,
        allow_code=allow_code,
        sites=sites,
    )


def _bind(space: str, backbone: Backbone) -> BoundSpace:
    from se_search.space.bound import BoundSpace
    from se_search.space.schema import read_space

    return BoundSpace(read_space(space), backbone)


def _make_display(quiet: bool, as_json: bool) -> Display:
    from se_search.report.display import JsonDisplay, LiveDisplay, PlainDisplay, QuietDisplay

    if quiet and not as_json:
        return QuietDisplay()
    if as_json:
        return JsonDisplay()
    console = _console()
    return LiveDisplay(console) if console.is_terminal else PlainDisplay(console)


def _console(**options: Any) -> Console:
    from rich.console import Console

    console = Console(**options)
    if not console.is_terminal and "width" not in options:
        # A pipe or a file has no width; 80 columns would break every table.
        console = Console(width=160)
    return console


if __name__ == "__main__":
    main()
