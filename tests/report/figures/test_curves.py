"""The figure of samplers: their curves, bands and names."""

import numpy as np
import pytest
from support.figures import check_texts, points_of, words_of

from se_search.report.figures.curves import draw_curves, prepare_curves
from se_search.report.figures.style import ONE_COLUMN, TWO_COLUMNS


def curve(final, trials=40):
    mean = final * (1 - np.exp(-np.arange(1, trials + 1) / 8))
    return mean, mean - 0.05, mean + 0.02


def prepare(panels):
    return prepare_curves(panels, "a title", "a note")


def panels_of(num_panels, num_samplers):
    return {
        f"table {p}": {
            f"sampler {s}": curve(0.9 - 0.05 * s - 0.01 * p) for s in range(num_samplers)
        }
        for p in range(num_panels)
    }


@pytest.mark.parametrize(
    ("num_panels", "width"), [(1, ONE_COLUMN), (2, TWO_COLUMNS), (3, TWO_COLUMNS)]
)
def test_each_table_has_a_panel_with_all_curves(num_panels, width):
    panels = panels_of(num_panels, 4)
    figure = draw_curves(prepare(panels))
    check_texts(figure)
    assert figure.get_figwidth() == width
    assert [axes.get_title("left") for axes in figure.axes] == list(panels)
    for axes, curves in zip(figure.axes, panels.values(), strict=True):
        assert axes.get_xlabel() == "trials"
        for name, (mean, _, _) in curves.items():
            assert points_of(axes, name) == list(enumerate(mean.tolist(), start=1))
    assert figure.axes[0].get_ylabel() == "share of the hypervolume"


def test_bands_reach_from_end_to_end_of_the_interval():
    mean, low, high = curve(0.9)
    (axes,) = draw_curves(prepare({"t": {"random": (mean, low, high)}})).axes
    (band,) = axes.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(low.min())
    assert heights.max() == pytest.approx(high.max())


def test_one_sampler_has_one_look_in_all_panels_and_no_other_has_it():
    looks = {}
    for axes in draw_curves(prepare(panels_of(2, 6))).axes:
        for line in axes.get_lines():
            look = (line.get_color(), line.get_marker(), line.get_linestyle())
            looks.setdefault(line.get_label(), set()).add(look)
    assert all(len(own) == 1 for own in looks.values())
    markers = {marker for own in looks.values() for _, marker, _ in own}
    assert len(markers) == len(looks) == 6


def test_all_panels_have_one_scale_which_leaves_the_first_rise_out():
    prepared = prepare({"a": {"x": curve(0.9)}, "b": {"x": curve(0.5)}})
    first, second = draw_curves(prepared).axes
    assert first.get_ylim() == second.get_ylim() == prepared.y_range
    assert prepared.y_range[0] < curve(0.5)[1][4]
    assert prepared.y_range[1] > 0.9


def test_a_curve_that_is_level_can_be_drawn():
    level = np.ones(1)
    figure = draw_curves(prepare({"t": {"random": (level, level, level)}}))
    check_texts(figure)
    assert "random" in words_of(figure)


def test_long_names_do_not_lie_on_each_other():
    panels = {"a table " * 20: {f"sampler {n} 1x1,3x1,9x1": curve(0.9) for n in range(8)}}
    check_texts(draw_curves(prepare(panels | {"other": panels["a table " * 20]})))
