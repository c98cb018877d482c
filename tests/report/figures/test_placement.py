"""The figure of a candidate shows where its SE blocks sit."""

from matplotlib.colors import to_hex
from matplotlib.patches import FancyBboxPatch
from support.figures import check_texts, greyness, words_of
from support.networks import make_backbone

from se_search.backbone import INTEGRATIONS
from se_search.candidate import Candidate
from se_search.models.catalogue import describe_backbone
from se_search.report.figures.placement import (
    COLORS,
    PLAIN,
    Cell,
    draw_placement,
    prepare_placement,
)
from se_search.report.figures.style import INK, TWO_COLUMNS

RESNET50 = describe_backbone("resnet50", 3, 224, 1000)


def parse(text, backbone=RESNET50):
    return Candidate.parse(f"{backbone.name}/{text}", backbone)


def boxes_of(figure):
    """Return the name of what each box carries, with its colour and the style of its edge."""
    return [
        (box.get_label(), to_hex(box.get_facecolor()), box.get_linestyle())
        for box in figure.findobj(FancyBboxPatch)
        if box.get_label() in ("no SE", *COLORS)
    ]


def test_each_block_of_each_stage_has_a_cell():
    prepared = prepare_placement(parse("stage2.block2=pre:16+max+bias/stage3=standard:32"))
    assert [(stage, len(cells)) for stage, cells in prepared.stages] == [
        *[(2, 3), (3, 4), (4, 6), (5, 3)]
    ]
    assert prepared.stages[0][1] == (
        Cell(1, None, "", ""),
        Cell(2, "pre", "fc [16, 256]", "max bias"),
        Cell(3, None, "", ""),
    )
    assert prepared.title == "s2.2:pre16+max+bias s3:32"


def test_a_block_is_coloured_and_framed_if_and_only_if_it_carries_se():
    backbone = make_backbone([32, 32], [64])
    figure = draw_placement(prepare_placement(parse("stage2.block2=post:4", backbone)))
    check_texts(figure)
    plain, se, other = boxes_of(figure)
    assert plain == other == ("no SE", PLAIN, (0, (3, 2)))  # dashed
    assert se == ("post", COLORS["post"], "-")


def test_every_box_says_in_words_what_it_carries():
    words = words_of(draw_placement(prepare_placement(parse("stage2.block2=pre:16+max+bias"))))
    assert words.count("no SE") == 15
    assert [words.count(word) for word in ("pre", "fc [16, 256]", "max bias")] == [1, 1, 1]


def test_long_stages_continue_in_another_row_of_a_figure_of_two_columns():
    deep = describe_backbone("resnet152", 3, 224, 1000)  # stage 4 has 36 blocks
    figure = draw_placement(prepare_placement(Candidate.plain(deep)))
    check_texts(figure)
    assert figure.get_figwidth() == TWO_COLUMNS
    assert len(boxes_of(figure)) == 3 + 8 + 36 + 3
    assert [words_of(figure).count(f"stage {number}") for number in (2, 3, 4, 5)] == [1, 1, 1, 1]


def test_long_texts_are_cut():
    everything = "all=identity:r16+max+hard_sigmoid+bias"
    figure = draw_placement(prepare_placement(parse(everything)))
    check_texts(figure)


def test_every_integration_has_a_colour_of_its_own_under_dark_text():
    assert set(COLORS) == set(INTEGRATIONS)
    assert len({PLAIN, *COLORS.values()}) == len(INTEGRATIONS) + 1
    assert all(greyness(color) - greyness(INK) > 0.5 for color in COLORS.values())
