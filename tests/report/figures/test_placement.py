"""Drawings of where SE sits say what the candidate is."""

from PIL import Image
from rich.console import Console
from support.networks import make_backbone

from se_search.candidate import Candidate
from se_search.models.catalogue import describe_backbone
from se_search.report.figures.canvas import Canvas, shorten
from se_search.report.figures.placement import (
    COLORS,
    PLAIN,
    describe_block,
    draw_placement,
    headline,
    placement_table,
)

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
        2: ("standard", "fc [16, 256]"),
        3: ("standard", "fc [32, 512]"),
        4: ("standard", "fc [64, 1024]"),
        5: ("standard", "fc [128, 2048]"),
    }


def test_variants_are_named_behind_the_widths():
    candidate = parse("stage2=pre:r16+max+bias")
    assert describe_block(candidate.blocks[1], RESNET50.sites[1]) == (
        "pre",
        "fc [16, 256] max bias",
    )


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


def test_a_block_is_coloured_if_and_only_if_it_carries_se(tmp_path):
    backbone = make_backbone([32, 32], [64])
    path = tmp_path / "candidate.png"
    draw_placement(path, parse("stage2.block2=post:4", backbone))
    with Image.open(path) as image:
        counts = {color: count for count, color in image.getcolors(maxcolors=image.size[0] ** 2)}
    assert counts[COLORS["post"]] > 2_000
    assert 1.6 < counts[PLAIN] / counts[COLORS["post"]] < 2.4
    assert not any(COLORS[name] in counts for name in COLORS if name != "post")


def test_long_stages_continue_in_another_row(tmp_path):
    deep = describe_backbone("resnet152", 3, 224, 1000)  # stage 4 has 36 blocks
    draw_placement(tmp_path / "deep.png", Candidate.plain(deep))
    with Image.open(tmp_path / "deep.png") as image:
        assert image.width < 1_400
        assert image.height > (1 + 1 + 5 + 1) * 54


def test_every_integration_has_a_colour_of_its_own():
    from se_search.candidate import INTEGRATIONS

    assert set(COLORS) == set(INTEGRATIONS)
    assert len({PLAIN, *COLORS.values()}) == len(INTEGRATIONS) + 1


def test_text_is_cut_to_the_width_it_may_take():
    from PIL import ImageFont

    text = "stage2=standard:16 " * 20
    cut = shorten(text, 12, 200)
    assert cut.endswith("...")
    assert ImageFont.load_default(12).getlength(cut) <= 200
    assert shorten("short", 12, 200) == "short"


def test_a_canvas_replaces_a_file_whole(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("something else")
    Canvas(30, 20).save(path)
    with Image.open(path) as image:
        assert image.size == (30, 20)
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
