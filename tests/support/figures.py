"""What a figure shows, read from its artists."""

from itertools import combinations

from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from se_search.report.figures.style import figure_style

SLACK = 2.0  # pixels of 1/300 inch that the boxes of two texts may share


def shown_texts(figure):
    """Return every text that is drawn with its box in pixels: (text, left, bottom, right, top)."""
    with figure_style():
        figure.canvas.draw()
        renderer = figure.canvas.get_renderer()
        ticks, found = set(), []
        for axes in figure.findobj(Axes):
            for axis in (axes.xaxis, axes.yaxis):
                low, high = sorted(axis.get_view_interval())
                for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                    ticks |= {tick.label1, tick.label2}
                    if low <= tick.get_loc() <= high:
                        found += [label for label in (tick.label1, tick.label2) if label.get_text()]
        found += [text for text in figure.findobj(Text) if text not in ticks]
        boxes = []
        for text in found:
            if text.get_text().strip() and text.get_visible():
                box = text.get_window_extent(renderer)
                boxes.append((text.get_text(), box.x0, box.y0, box.x1, box.y1))
        return boxes


def words_of(figure):
    """Return the texts that are drawn."""
    return [text for text, *_ in shown_texts(figure)]


def check_texts(figure):
    """Check that each text lies inside the figure, and none on another."""
    boxes = shown_texts(figure)
    assert boxes
    for text, left, bottom, right, top in boxes:
        is_inside = left >= -SLACK and bottom >= -SLACK
        is_inside &= right <= figure.bbox.width + SLACK and top <= figure.bbox.height + SLACK
        assert is_inside, f"{text!r} is cut off"
    for one, other in combinations(boxes, 2):
        width = min(one[3], other[3]) - max(one[1], other[1])
        height = min(one[4], other[4]) - max(one[2], other[2])
        assert min(width, height) <= SLACK, f"{one[0]!r} lies on {other[0]!r}"


def lines_of(axes, label):
    """Return the points of each line with a label: a list of lists of (x, y)."""
    return [
        list(zip(*(map(float, values) for values in line.get_data()), strict=True))
        for line in axes.get_lines()
        if line.get_label() == label
    ]


def points_of(axes, label):
    """Return the points of the one line with a label; empty if there is none."""
    lines = lines_of(axes, label)
    assert len(lines) <= 1
    return lines[0] if lines else []


def greyness(color):
    """Return how light a colour is in grey, 0..1 (ITU-R BT.601)."""
    red, green, blue = to_rgb(color)
    return 0.299 * red + 0.587 * green + 0.114 * blue
