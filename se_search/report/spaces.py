"""Lays out search spaces: their sizes, their choices, and the parameters that SE adds."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from se_search.backbone import Backbone
from se_search.cost import count_cost, find_allowed
from se_search.errors import SpaceError
from se_search.report.console import print_text
from se_search.report.format import magnitude
from se_search.report.table import Column, ResultTable
from se_search.space.allowed import AllowedCandidates, Amount
from se_search.space.bound import BoundSpace
from se_search.space.schema import Limits, read_space, space_names


def list_sizes(backbone: Backbone) -> list[dict[str, Any]]:
    """Return the size of every shipped space on a backbone, and the range of added parameters.

    If a space has limits, ``allowed`` says how many candidates are within them.

    A space that does not fit the backbone has no sizes, and ``misfit`` says why.
    """
    return [_list_size(name, backbone) for name in space_names()]


def sizes_table(rows: list[dict[str, Any]], backbone: str) -> ResultTable:
    """Lay out the sizes of spaces, which ``list_sizes`` returns."""
    table = ResultTable(
        [
            Column("space", is_number=False, is_name=True),
            Column("raw points", rank=3),
            Column("candidates"),
            Column("added params", rank=1),
            Column("what it varies", is_number=False, rank=2, least=30),
        ],
        title=f"Search spaces on {backbone}",
    )
    for row in rows:
        if row["misfit"] is None:
            sizes = [
                magnitude(row["raw_size"]),
                row["allowed"] or magnitude(row["size"]),
                f"{row['least_added_params']:,} - {row['most_added_params']:,}",
            ]
        else:
            sizes = ["", "does not fit", ""]
        table.add_row(row["space"], *sizes, row["description"])
    return table


def show_space(console: Console, name: str, bound: BoundSpace) -> None:
    """Print the sizes, the sites with their channels, and the parameters that a sampler draws."""
    low, high = added_params_range(bound)
    what = f": {bound.space.description}" if bound.space.description else ""
    print_text(console, f"{name} on {bound.backbone.name}{what}")
    print_text(
        console,
        f"{magnitude(bound.size)} candidates ({magnitude(bound.raw_size)} raw points), "
        f"{low:,} to {high:,} added parameters",
    )
    if describe_limits(bound.space.limits):
        print_text(console, describe_allowed(find_allowed(bound)))
    listed = [(slot.name, site) for slot in bound.slots for site in slot.sites]
    integrations = dict.fromkeys(name for _, site in listed for name in site.feature_maps)
    sites = ResultTable(
        [
            Column("site", is_number=False, is_name=True),
            Column("drawn with", is_number=False, rank=2),
            *(Column(name, rank=1) for name in integrations),
        ],
        title="Channels",
    )
    for slot_name, site in listed:
        maps = site.feature_maps
        channels = [str(maps[name].channels) if name in maps else "-" for name in integrations]
        sites.add_row(site.name, slot_name, *channels)
    console.print(sites)
    parameters = ResultTable(
        [
            Column("parameter", is_number=False, is_name=True),
            Column("choices", is_number=False),
        ],
        title="Choices",
    )
    for parameter in bound.parameters:
        parameters.add_row(parameter.name, ", ".join(map(str, parameter.choices)))
    console.print(parameters)


def describe_limits(limits: Limits) -> str:
    """Return the limits that a space sets, as ``added_params 0.05, macs 1000000``; or nothing."""
    return ", ".join(f"{name} {value}" for name, value in limits if value is not None)


def describe_amount(amount: Amount) -> str:
    """Return a number of candidates, as ``1,234``, ``about 1,200,000`` or ``about 10^12.3``."""
    if amount.is_exact or amount.number >= 10**7:
        return magnitude(amount.number)
    return f"about {float(f'{amount.number:.2g}'):,.0f}"


def describe_size(allowed: AllowedCandidates) -> str:
    """Return how many candidates a space has, and how many of them are within its limits."""
    size = f"{magnitude(allowed.space.size)} candidates"
    if not describe_limits(allowed.space.space.limits):
        return size
    return f"{size} ({describe_amount(allowed.amount)} within the limits)"


def describe_allowed(allowed: AllowedCandidates) -> str:
    """Say how many candidates are within the limits of a space, and which is the cheapest."""
    limits = describe_limits(allowed.space.space.limits)
    cheapest = allowed.cheapest
    assert cheapest is not None  # else the space would have been refused
    cost = count_cost(cheapest)
    return (
        f"Only candidates within the limits ({limits}) are trained: "
        f"{describe_amount(allowed.amount)}. The cheapest is {cheapest.placement}, with "
        f"{cost.added_params:,} added parameters and {cost.added_macs:,} added MACs."
    )


def added_params_range(bound: BoundSpace) -> tuple[int, int]:
    """Return the fewest and the most parameters that a candidate of the space adds."""
    low, high = bound.price_extremes(lambda candidate: (count_cost(candidate).added_params,))
    return int(low[0]), int(high[0])


def _list_size(name: str, backbone: Backbone) -> dict[str, Any]:
    space = read_space(name)
    row: dict[str, Any] = {
        "space": name,
        "description": space.description,
        "raw_size": None,
        "size": None,
        "allowed": None,
        "least_added_params": None,
        "most_added_params": None,
        "misfit": None,
    }
    try:
        bound = BoundSpace(space, backbone)
        allowed = find_allowed(bound)
    except SpaceError as misfit:
        return row | {"misfit": str(misfit)}
    low, high = added_params_range(bound)
    return row | {
        "raw_size": bound.raw_size,
        "size": bound.size,
        "allowed": describe_amount(allowed.amount) if describe_limits(space.limits) else None,
        "least_added_params": low,
        "most_added_params": high,
    }
