"""Draws the front with its uncertainty: accuracy against each cost, each member named beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from se_search.record import TrialRecord
from se_search.report.figures.canvas import (
    FAINT,
    GREY,
    INK,
    Canvas,
    linear_scale,
    shorten,
    spread_out,
)
from se_search.surrogate.posterior_front import PosteriorCandidate, PosteriorFront, Step

PANEL_WIDTH, PANEL_HEIGHT = 760, 480
LABEL_WIDTH = 400
MARGIN_LEFT, MARGIN_TOP, MARGIN_BOTTOM = 72, 84, 60
ROW_HEIGHT = 17

TRIAL = (200, 206, 214)
CANDIDATE = (104, 138, 186)
FRONT = (196, 68, 32)
LEADER = (226, 178, 160)
BAND_OPACITY = 0.13
AXIS_NAMES = {"params": "parameters", "macs": "multiply-adds for one image"}


def draw_front(
    path: Path,
    records: Sequence[TrialRecord],
    credible: PosteriorFront,
    costs: Sequence[str],
    title: str,
) -> None:
    """Draw estimated accuracy against each cost, with the name of each front member beside it.

    Args:
        path: the PNG that is written.
        records: all trials; the complete ones are dots.
        credible: the candidates; the front is a staircase through its members, with an error bar
            at each, over the band in which the best accuracy at each cost lies.
        costs: ``params`` and/or ``macs``: one panel each.
        title: stands above.
    """
    front = credible.front
    height = max(PANEL_HEIGHT, MARGIN_TOP + MARGIN_BOTTOM + ROW_HEIGHT * (len(front) + 1))
    width = PANEL_WIDTH + LABEL_WIDTH
    canvas = Canvas(width, height * len(costs))
    for index, cost in enumerate(costs):
        panel = _Panel(canvas, top=index * height, height=height)
        _draw_panel(panel, records, credible, cost, title if index == 0 else "")
    canvas.save(path)


def describe_estimate(candidate: PosteriorCandidate) -> str:
    """Write an estimate in per cent, with half its 95 % interval where that is known."""
    text = f"{100 * candidate.estimate:.2f}"
    if candidate.low is None or candidate.high is None:
        return text
    return f"{text} ± {50 * (candidate.high - candidate.low):.2f}"


def tick_values(low: float, high: float, num_ticks: int = 6) -> list[float]:
    """Return about ``num_ticks`` round numbers (1, 2 or 5 times a power of ten) in a range."""
    step = 10 ** math.floor(math.log10((high - low) / num_ticks))
    step *= next(factor for factor in (1, 2, 5, 10) if (high - low) / (factor * step) <= num_ticks)
    first = math.ceil(low / step)
    return [index * step for index in range(first, math.floor(high / step) + 1)]


@dataclass(frozen=True, slots=True)
class _Panel:
    """One pair of axes on a canvas."""

    canvas: Canvas
    top: int
    height: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the plot."""
        bottom = self.top + self.height - MARGIN_BOTTOM
        return MARGIN_LEFT, self.top + MARGIN_TOP, PANEL_WIDTH, bottom


def _draw_panel(
    panel: _Panel,
    records: Sequence[TrialRecord],
    credible: PosteriorFront,
    cost: str,
    title: str,
) -> None:
    left, top, right, bottom = panel.box
    panel.canvas.text(left - 36, panel.top + 20, title, "lm", size=15)
    if not credible.candidates:
        panel.canvas.text(
            (left + right) / 2, (top + bottom) / 2, "no complete trial yet", "mm", size=14
        )
        return
    front = credible.front
    epochs = credible.candidates[0].summary.epochs
    dots = [
        (float(getattr(record, cost)), 100 * record.accuracy)
        for record in records
        if record.accuracy is not None and record.epochs == epochs
    ]
    low, high = _accuracy_range(credible.candidates, front, max(accuracy for _, accuracy in dots))
    costs = [float(getattr(candidate.summary, cost)) for candidate in credible.candidates]
    x_of = linear_scale(*_padded(min(costs), max(costs)), left, right)
    y_of = linear_scale(low, high, bottom, top)
    _draw_axes(panel, x_of, y_of, _padded(min(costs), max(costs)), (low, high), cost)
    _draw_band(panel, credible.attainment.get(cost, ()), x_of, y_of)
    for x, accuracy in dots:
        if accuracy >= low:
            panel.canvas.dot(x_of(x), y_of(accuracy), 2.2, TRIAL)
    for candidate, x in zip(credible.candidates, costs, strict=True):
        if 100 * candidate.estimate >= low:
            panel.canvas.dot(x_of(x), y_of(100 * candidate.estimate), 2.6, CANDIDATE)
    # With a second cost a member may lie below the staircase of this one.
    steps = sorted(front, key=lambda c: (getattr(c.summary, cost), -c.estimate))
    for member in steps:
        _draw_interval(panel, member, x_of(getattr(member.summary, cost)), y_of)
    points = [(getattr(c.summary, cost), 100 * c.estimate) for c in steps]
    _draw_staircase(panel, points, x_of, y_of)
    _draw_labels(panel, front, cost, x_of, y_of)
    num_below = sum(accuracy < low for _, accuracy in dots)
    note = f" · {num_below} below the picture" if num_below else ""
    what = "estimates" if credible.is_modelled else "means"
    band = " · shaded: best accuracy at a cost, 95 %" if credible.attainment else ""
    legend = (
        f"grey: {len(dots)} trials · blue: {what} of {len(costs)} candidates · "
        f"red: front, 95 % intervals{band}"
    )
    panel.canvas.text(left - 36, panel.top + 41, legend + note, "lm", size=11, color=GREY)


def _draw_band(
    panel: _Panel,
    steps: Sequence[Step],
    x_of: Callable[[float], float],
    y_of: Callable[[float], float],
) -> None:
    """Shade between the lower and the upper ends of the best accuracy at each cost or less."""
    if not steps:
        return
    _, top, right, bottom = panel.box
    upper: list[tuple[float, float]] = []
    lower: list[tuple[float, float]] = []
    ends = [*(x_of(step.cost) for step in steps[1:]), right]
    for step, end in zip(steps, ends, strict=True):
        for side, accuracy in ((upper, step.high), (lower, step.low)):
            y = min(max(y_of(100 * accuracy), top), bottom)
            side += [(x_of(step.cost), y), (end, y)]
    panel.canvas.area([*upper, *reversed(lower)], FRONT, BAND_OPACITY)


def _draw_interval(
    panel: _Panel, member: PosteriorCandidate, x: float, y_of: Callable[[float], float]
) -> None:
    if member.low is None or member.high is None:
        return
    _, top, _, bottom = panel.box
    low, high = max(y_of(100 * member.high), top), min(y_of(100 * member.low), bottom)
    panel.canvas.line([(x, low), (x, high)], FRONT, width=1.2)
    for y in (low, high):
        panel.canvas.line([(x - 3.5, y), (x + 3.5, y)], FRONT, width=1.2)


def _draw_axes(
    panel: _Panel,
    x_of: Callable[[float], float],
    y_of: Callable[[float], float],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    cost: str,
) -> None:
    left, top, right, bottom = panel.box
    for value in tick_values(*x_range):
        panel.canvas.line([(x_of(value), top), (x_of(value), bottom)], FAINT)
        panel.canvas.text(x_of(value), bottom + 8, _short(value), "mt")
    for value in tick_values(*y_range):
        panel.canvas.line([(left, y_of(value)), (right, y_of(value))], FAINT)
        panel.canvas.text(left - 8, y_of(value), f"{value:.4g}", "rm")
    panel.canvas.line([(left, top), (left, bottom), (right, bottom)], INK)
    panel.canvas.text((left + right) / 2, bottom + 40, AXIS_NAMES[cost], "mm", size=13)
    panel.canvas.text(left - 36, top - 8, "validation accuracy, %", "lb", size=12)


def _draw_staircase(
    panel: _Panel,
    members: Sequence[tuple[float, float]],
    x_of: Callable[[float], float],
    y_of: Callable[[float], float],
) -> None:
    best = members[0][1]
    points = []
    for x, accuracy in members:
        points += [(x_of(x), y_of(best)), (x_of(x), y_of(max(best, accuracy)))]
        best = max(best, accuracy)
    points.append((panel.box[2], y_of(best)))
    panel.canvas.line(points, FRONT, width=1.6)
    for x, accuracy in members:
        panel.canvas.dot(x_of(x), y_of(accuracy), 4.2, FRONT)


def _draw_labels(
    panel: _Panel,
    front: Sequence[PosteriorCandidate],
    cost: str,
    x_of: Callable[[float], float],
    y_of: Callable[[float], float],
) -> None:
    """Write the members' names in a column at the right, a thin line from each to its point."""
    _, top, right, bottom = panel.box
    ranked = sorted(front, key=lambda c: -c.estimate)
    heading = "estimate %   P(front)   added   SE (stage:width)"
    panel.canvas.text(right + 46, top - 10, heading, "lb", size=11)
    heights = spread_out([y_of(100 * c.estimate) for c in ranked], top + 6, bottom, ROW_HEIGHT)
    for candidate, y in zip(ranked, heights, strict=True):
        point = (x_of(getattr(candidate.summary, cost)), y_of(100 * candidate.estimate))
        panel.canvas.line([point, (right + 24, y), (right + 42, y)], LEADER)
        probability = candidate.probability_on_front
        text = "   ".join(
            [
                describe_estimate(candidate),
                "-" if probability is None else f"{probability:.2f}",
                f"{candidate.summary.added_params_pct:+.2f}%",
                candidate.summary.placement,
            ]
        )
        panel.canvas.text(right + 46, y, shorten(text, 12, LABEL_WIDTH - 54), "lm", size=12)


def _accuracy_range(
    candidates: Sequence[PosteriorCandidate], front: Sequence[PosteriorCandidate], best: float
) -> tuple[float, float]:
    """Choose the range in per cent: the front's intervals, the best trial, and 19 of 20 others."""
    ranked = sorted(100 * candidate.estimate for candidate in candidates)
    lows = [100 * (c.estimate if c.low is None else c.low) for c in front]
    highs = [100 * (c.estimate if c.high is None else c.high) for c in front]
    return _padded(min(ranked[len(ranked) // 20], *lows), max(best, *highs))


def _padded(low: float, high: float) -> tuple[float, float]:
    pad = 0.04 * (high - low) or max(abs(high), 1.0) * 0.01
    return low - pad, high + pad


def _short(value: float) -> str:
    for size, suffix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.6g}{suffix}"
    return f"{value:g}"
