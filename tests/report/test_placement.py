"""Texts of where SE sits say what the candidate is."""

from rich.console import Console

from se_search.candidate import Candidate
from se_search.models.catalogue import describe_backbone
from se_search.report.placement import describe_block, headline, placement_table

RESNET50 = describe_backbone("resnet50", 3, 224, 1000)


def parse(text, backbone=RESNET50):
    return Candidate.parse(f"{backbone.name}/{text}", backbone)


def print_table(candidate):
    console = Console(width=120)
    with console.capture() as capture:
        console.print(placement_table(candidate))
    return capture.get()


def test_blocks_are_named_as_in_the_papers_table_1():
    """Table 1 of the paper: fc [16, 256], [32, 512], [64, 1024], [128, 2048]."""
    candidate = parse("all=standard:r16")
    named = {
        site.stage: describe_block(block, site)
        for block, site in zip(candidate.blocks, RESNET50.sites, strict=True)
    }
    assert named == {
        2: ("standard", "fc [16, 256]", ""),
        3: ("standard", "fc [32, 512]", ""),
        4: ("standard", "fc [64, 1024]", ""),
        5: ("standard", "fc [128, 2048]", ""),
    }


def test_variants_are_named_apart_from_the_widths():
    candidate = parse("stage2=pre:r16+max+bias")
    assert describe_block(candidate.blocks[1], RESNET50.sites[1]) == (
        "pre",
        "fc [16, 256]",
        "max bias",
    )
    assert "pre fc [16, 256] max bias" in print_table(candidate)


def test_the_headline_gives_the_papers_share_of_added_parameters():
    """Sec. 4: SE everywhere but in the last stage adds about 4 %."""
    text = headline(parse("all=standard:r16/stage5=none"))
    assert "SE at 13 of 16 sites" in text
    assert "+942,080, 3.686 %" in text


def test_neighbours_that_carry_the_same_share_a_row():
    text = print_table(parse("stage4.block1-2=standard:64/stage4.block5=standard:8"))
    rows = [[c.strip() for c in line.split("│")[1:4]] for line in text.splitlines() if "│" in line]
    assert [row[1:] for row in rows if row[0] == "4" or rows.index(row) in (3, 4, 5)] == [
        ["1-2", "standard fc [64, 1024]"],
        ["3-4", "-"],
        ["5", "standard fc [8, 1024]"],
        ["6", "-"],
    ]
