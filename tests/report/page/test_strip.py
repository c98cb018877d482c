"""The drawings of a candidate: a bar a block with SE, whose height is the squeeze width."""

import re

import pytest
from support.made_up_fronts import SPACE
from support.made_up_pages import EFFECTS
from support.networks import bind

from se_search.backbone import INTEGRATIONS
from se_search.report.page.strip import FORMS, WidthScale, draw_map, draw_strip, list_forms
from se_search.report.places import PlaceGain, list_places

TWO = bind([64, 64], [64], integration=["standard", "pre", "post"], width=[4, 16])
SCALE = WidthScale(4, 16)


def outlines(drawing):
    """Return the points of each bar, by the integration that it stands for."""
    found = {}
    for name, path in re.findall(r'<path class="se (\w+)" d="([^"]*)"', drawing):
        found[name] = [part for part in path.split("Z") if part]
    return found


def tall(outline):
    """Return how tall a bar is, in pixels; its path has absolute coordinates."""
    ys = [float(y) for y in re.findall(r"(?:V|[ML][\d.]+ )([\d.]+)", outline)]
    return max(ys) - min(ys)


def dashes(drawing):
    return sum(path.count("M") for path in re.findall(r'<path class="none" d="([^"]*)"', drawing))


@pytest.mark.parametrize(
    ("placement", "bars", "empty"),
    [("no SE", 0, 3), ("s2:4", 2, 1), ("s2.1:4 s3:16", 2, 1), ("s2:4 s3:pre16", 3, 0)],
)
def test_each_block_is_a_bar_or_a_dash(placement, bars, empty):
    drawing = draw_strip(TWO.parse(placement), SCALE)
    assert sum(map(len, outlines(drawing).values())) == bars
    assert dashes(drawing) == empty
    assert f'aria-label="{placement}"' in drawing


def test_a_wider_squeeze_is_a_taller_bar():
    narrow, wide = outlines(draw_strip(TWO.parse("s2.1:4 s3:16"), SCALE))["standard"]
    assert tall(wide) > 2 * tall(narrow) > 0


def test_widths_are_told_by_their_ratio():
    scale, heights = WidthScale(4, 64), []
    for width in (4, 16, 64):
        candidate = bind([256], width=[4, 16, 64]).parse(f"s2:{width}")
        heights.append(tall(outlines(draw_strip(candidate, scale))["standard"][0]))
    assert heights[1] - heights[0] == pytest.approx(heights[2] - heights[1], abs=0.2)


def test_every_position_has_a_form_of_its_own():
    assert set(FORMS) == set(INTEGRATIONS)
    assert len(set(FORMS.values())) == len(FORMS)


def test_only_forms_that_occur_are_explained():
    named = [name for name, _ in list_forms([TWO.parse("s2:pre4 s3:16"), TWO.parse("no SE")])]
    assert named == ["standard", "pre"]


def test_the_scale_holds_all_widths_of_the_candidates():
    assert WidthScale.of([TWO.parse("s2:4"), TWO.parse("s3:16")]) == SCALE
    assert WidthScale.of([TWO.parse("no SE")]) == WidthScale(0, 0)


def test_a_scale_of_one_width_draws_bars():
    scale = WidthScale.of([TWO.parse("s2:4")])
    assert tall(outlines(draw_strip(TWO.parse("s2:4"), scale))["standard"][0]) > 5


def test_the_map_names_stages_widths_and_what_se_gains_there():
    drawing = draw_map(SPACE.parse("s2:4 s4:16"), SCALE, list_places(EFFECTS.main))
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", drawing)
    assert {"stage 2", "stage 3", "stage 4", "4", "16"} <= set(texts)
    assert {"▲ +0.55", "▼ −0.40", "+0.05"} <= set(texts)


def test_a_map_without_se_shows_the_interval_of_each_gain_about_zero():
    drawing = draw_map(SPACE.parse("no SE"), SCALE, list_places(EFFECTS.main))
    zero = float(re.search(r'class="zero" d="M50 ([\d.]+)', drawing)[1])
    bars = re.findall(r'class="range (\w+)"><path d="M[\d.]+ ([\d.]+)V([\d.]+)', drawing)
    assert [kind for kind, _, _ in bars] == ["helps", "harms", "no"]
    above, below, about = [(float(high), float(low)) for _, low, high in bars]
    assert above[1] < zero < below[0]
    assert about[0] < zero < about[1]


def test_in_a_space_of_blocks_the_map_shows_the_gain_in_each_block():
    blocks = bind([64, 64], [64], granularity="block", width=[4])
    gains = [
        PlaceGain("stage 2, block 1", 0.5, 0.1, 0.9, 1.0, "helps"),
        PlaceGain("stage 2, block 2", -0.4, -0.7, -0.1, 1.0, "harms"),
        PlaceGain("stage 3, block 1", 0.1, -0.2, 0.4, 1.0, "no effect known"),
        PlaceGain("mean of slots", 0.1, -0.2, 0.4, 1.0, "no effect known"),
    ]
    drawing = draw_map(blocks.parse("no SE"), SCALE, gains)
    found = re.findall(r'class="range (\w+)"><path d="M([\d.]+)', drawing)
    assert [kind for kind, _ in found] == ["helps", "harms", "no"]
    xs = [float(x) for _, x in found]
    assert xs == sorted(set(xs))
    texts = re.findall(r'<text class="gain[^>]*>([^<]*)</text>', drawing)
    assert texts == ["▲ +0.50", "▼ −0.40", "+0.10"]


def test_gains_that_blocks_are_too_narrow_for_are_drawn_and_not_written():
    deep = bind(*[[64] * 10] * 5, granularity="block", width=[4])
    places = [f"stage {stage}, block {block}" for stage in range(2, 7) for block in range(1, 11)]
    gains = [PlaceGain(place, 0.5, 0.1, 0.9, 1.0, "no effect known") for place in places]
    drawing = draw_map(deep.parse("no SE"), SCALE, gains)
    assert drawing.count('class="range') == 50
    assert 'class="gain' not in drawing


def test_a_network_of_fifty_blocks_is_drawn_on_one_line():
    deep = bind(*[[64] * 10] * 5, width=[4])
    drawing = draw_strip(deep.parse("s2:4"), SCALE)
    assert dashes(drawing) == 40
    assert float(re.search(r'width="(\d+)"', drawing)[1]) < 240
