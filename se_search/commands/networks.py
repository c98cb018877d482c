"""The commands about networks and spaces, ``cost``, ``show`` and ``spaces``: they train nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from se_search.completion import complete_backbone, complete_space
from se_search.errors import SESearchError
from se_search.execution.options import AllowCode, Sites
from se_search.report.console import make_console, print_files, print_line, print_text
from se_search.report.json_text import to_json
from se_search.terminal import one_line, say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from se_search.backbone import Backbone
    from se_search.space.allowed import AllowedCandidates
    from se_search.space.bound import BoundSpace

SPACE_HELP = "name of a shipped space, or path of a YAML file"
SpaceOption = Annotated[str, typer.Option(help=SPACE_HELP, autocompletion=complete_space)]
SpaceArgument = Annotated[str, typer.Argument(help=SPACE_HELP, autocompletion=complete_space)]
BackboneOption = Annotated[
    str,
    typer.Option(
        help="as resnet50; one of torchvision, timm or the paper, or module:callable",
        autocompletion=complete_backbone,
    ),
]
ImageSizeOption = Annotated[int | None, typer.Option(help="pixels; default: 28 or 224")]
ClassesOption = Annotated[int | None, typer.Option(help="default: 10 or 1000")]
JsonOption = Annotated[bool, typer.Option("--json", help="print JSON instead of text")]
MAX_ROWS = 1_000  # of a table that is printed
MAX_FILE_ROWS = 2_000_000  # 2 GB of memory


def add_network_commands(app: typer.Typer, group: type[TyperGroup]) -> None:
    """Add ``cost``, ``show`` and ``spaces`` to a command line, whose groups are of a class."""
    app.command("cost")(print_costs)
    app.command("show")(show_candidate)
    spaces = typer.Typer(
        cls=group,
        help="The search spaces that come with se-search.",
        invoke_without_command=True,
    )
    spaces.callback()(list_spaces)
    spaces.command("show")(print_space)
    spaces.command("schema")(print_schema)
    app.add_typer(spaces, name="spaces")


def print_costs(
    backbone: BackboneOption = "resnet20_bottleneck",
    space: SpaceOption = "stages",
    candidate: Annotated[
        str | None,
        typer.Option(help="price this one, as resnet50/all=standard:r16/stage5=none"),
    ] = None,
    image_size: ImageSizeOption = None,
    classes: ClassesOption = None,
    sites: Sites = None,
    allow_code: AllowCode = False,
    csv: Annotated[Path | None, typer.Option(help="file that takes the whole space")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print what the candidates of a space cost that are within its limits; nothing is trained."""
    from se_search.candidate import Candidate
    from se_search.cost import find_allowed
    from se_search.report.costs import cost_rows, cost_table, write_cost_csv
    from se_search.report.placement import placement_table
    from se_search.report.spaces import describe_allowed, describe_limits

    described = describe_network(backbone, image_size, classes, sites, allow_code)
    if candidate is not None:
        candidates = [Candidate.parse(candidate, described)]
    else:
        allowed = find_allowed(_bind(space, described))
        if describe_limits(allowed.space.space.limits):
            print(describe_allowed(allowed), file=sys.stderr)
        if csv is not None:
            codes = _list_codes(allowed, MAX_FILE_ROWS, "a file")
            write_cost_csv(csv, allowed.space, codes)
            if as_json:
                say(to_json({"written": str(csv), "candidates": len(codes)}))
                return
            text = f"Written: {one_line(str(csv))}, {len(codes):,} candidates"
            print_line(make_console(), text)
            return
        at_most = MAX_FILE_ROWS if as_json else MAX_ROWS
        place = "JSON" if as_json else "a table (--csv FILE takes more)"
        codes = _list_codes(allowed, at_most, place)
        candidates = [allowed.space.with_codes(row) for row in codes]
    if as_json:
        say(to_json(cost_rows(candidates), indent=1))
        return
    console = make_console()
    console.print(cost_table(described, candidates))
    if candidate is not None:
        console.print(placement_table(candidates[0]))


def show_candidate(
    candidate: Annotated[
        str, typer.Argument(help="as resnet50/all=standard:r16/stage5=none; quotes keep it whole")
    ],
    output: Annotated[Path, typer.Option(help="PNG that is written, and a PDF beside it")] = Path(
        "candidate.png"
    ),
    backbone: Annotated[
        str | None, typer.Option(help="default: the name that the candidate begins with")
    ] = None,
    image_size: ImageSizeOption = None,
    classes: ClassesOption = None,
    sites: Sites = None,
    allow_code: AllowCode = False,
) -> None:
    """Draw where the SE blocks of a candidate sit: in the terminal, and as a picture."""
    from se_search.candidate import Candidate, name_backbone
    from se_search.report.figures.placement import draw_placement, prepare_placement
    from se_search.report.figures.style import name_files, save
    from se_search.report.placement import headline, placement_table

    name_files(output)  # another kind of picture is refused before a network is described
    described = describe_network(
        backbone or name_backbone(candidate), image_size, classes, sites, allow_code
    )
    parsed = Candidate.parse(candidate, described)
    console = make_console()
    print_text(console, headline(parsed))
    console.print(placement_table(parsed))
    files = save(draw_placement(prepare_placement(parsed)), output)
    print_files(console, files)


def list_spaces(
    context: typer.Context,
    backbone: BackboneOption = "resnet20_bottleneck",
    sites: Sites = None,
    allow_code: AllowCode = False,
    as_json: JsonOption = False,
) -> None:
    """List the spaces with their sizes and the range of what their candidates cost."""
    if context.invoked_subcommand is not None:
        return
    from se_search.report.spaces import list_sizes, sizes_table

    rows = list_sizes(describe_network(backbone, None, None, sites, allow_code))
    if as_json:
        say(to_json(rows, indent=1))
    else:
        make_console().print(sizes_table(rows, backbone))


def print_space(
    name: SpaceArgument,
    backbone: BackboneOption = "resnet20_bottleneck",
    sites: Sites = None,
    allow_code: AllowCode = False,
) -> None:
    """Print a space's sites and choices on a backbone."""
    from se_search.report.spaces import show_space

    described = describe_network(backbone, None, None, sites, allow_code)
    show_space(make_console(), name, _bind(name, described))


def print_schema() -> None:
    """Print the JSON Schema of a space file, for editors."""
    from se_search.space.schema import space_schema

    say(space_schema().rstrip("\n"))


def describe_network(
    name: str,
    image_size: int | None,
    num_classes: int | None,
    sites: Path | None,
    allow_code: bool,
) -> Backbone:
    """Return the network that a command's options name; None stands for its own default.

    Raises:
        SESearchError: there is no such network, or its sites are not found.
    """
    from se_search.models.catalogue import backbone_in_channels, default_shape, describe_backbone

    channels, default_size, default_classes = default_shape(name)
    size = default_size if image_size is None else image_size
    return describe_backbone(
        name,
        backbone_in_channels(name, channels, size, allow_code=allow_code),
        size,
        default_classes if num_classes is None else num_classes,
        allow_code=allow_code,
        sites=sites,
    )


def _list_codes(allowed: AllowedCandidates, at_most: int, place: str) -> NDArray[np.int16]:
    from se_search.report.spaces import describe_amount

    codes = allowed.list_codes(at_most)
    if codes is None:
        amount = describe_amount(allowed.amount)
        raise SESearchError(
            f"{amount} candidates are too many for {place}, which takes at most {at_most:,}"
        )
    return codes


def _bind(space: str, backbone: Backbone) -> BoundSpace:
    from se_search.space.bound import bind
    from se_search.space.schema import read_space

    return bind(read_space(space), backbone, f"space {space}")
