"""Says in text where the SE blocks of a candidate sit, and what they add."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from se_search.backbone import Site
from se_search.candidate import SE, Candidate
from se_search.cost import count_cost
from se_search.report.table import Column, ResultTable


def describe_block(block: SE | None, site: Site) -> tuple[str, str, str]:
    """Return a block's integration, its layers as ``fc [16, 256]``, and its other settings.

    The two numbers are the output widths of the two fully connected layers, as in the paper's
    table 1.
    """
    if block is None:
        return "-", "", ""
    channels = site.feature_map(block.integration).channels
    inside = f"fc [{block.width}, {channels}]" if block.width else f"{channels} channels"
    variants = str(block).split(":", 1)[1].split("+")
    shown = [text for text in variants if text != str(block.width)]
    return block.integration, inside, " ".join(shown)


def headline(candidate: Candidate) -> str:
    """Say how many blocks carry SE, and what that adds."""
    cost = count_cost(candidate)
    num_se = sum(block is not None for block in candidate.blocks)
    return (
        f"{candidate.backbone.name}: SE at {num_se} of {len(candidate.blocks)} sites, "
        f"{cost.params:,} parameters ({cost.added_params:+,}, {cost.added_params_pct:.3f} %), "
        f"{cost.macs:,} MACs ({cost.added_macs:+,}, {cost.added_macs_pct:.3f} %)"
    )


def placement_table(candidate: Candidate) -> ResultTable:
    """Lay the sites out stage by stage, with what each carries."""
    table = ResultTable(
        [
            Column("stage"),
            Column("blocks", is_number=False),
            Column("SE", is_number=False),
            Column("added parameters"),
        ]
    )
    by_stage = count_cost(candidate).by_stage
    for stage, members in list_stages(candidate):
        runs = [
            (described, [site.block for _, site in run])
            for described, run in groupby(members, key=lambda pair: describe_block(*pair))
        ]
        for index, (described, blocks) in enumerate(runs):
            span = str(blocks[0]) if len(blocks) == 1 else f"{blocks[0]}-{blocks[-1]}"
            added = f"{by_stage[f'stage{stage}'].added_params:,}" if index == 0 else ""
            name = str(stage) if index == 0 else ""
            table.add_row(name, span, " ".join(filter(None, described)), added)
    return table


def list_stages(candidate: Candidate) -> Iterator[tuple[int, list[tuple[SE | None, Site]]]]:
    """Return the stages in their order, each with what its sites carry."""
    pairs = zip(candidate.blocks, candidate.backbone.sites, strict=True)
    for stage, members in groupby(pairs, key=lambda pair: pair[1].stage):
        yield stage, list(members)
