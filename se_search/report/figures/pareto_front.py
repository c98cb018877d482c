"""The figure of the front with its uncertainty: estimated accuracy against each cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

from se_search.report.figures.front_key import Key, KeyRow
from se_search.report.figures.point_numbers import number_points
from se_search.report.figures.style import (
    BLUE,
    INK,
    MARGIN,
    PALE,
    TWO_COLUMNS,
    VERMILION,
    Header,
    add_axes,
    figure_style,
    new_figure,
    padded,
    text_width,
    write_axis_name,
)
from se_search.report.figures.ticks import choose_ticks, log_ticks, round_ticks
from se_search.surrogate.posterior_front import PosteriorCandidate, PosteriorFront

MAX_NAMED = 10
PLOT_HEIGHT = 2.35
GAP = 0.16
ABOVE, BELOW = 0.36, 0.40  # for the ticks and names of the two x axes
AXIS_NAMES = {"params": "parameters", "macs": "MACs for one image"}
ADDED_NAMES = {"params": "added parameters (%)", "macs": "added MACs (%)"}
UNITS = {1e9: "billions", 1e6: "millions", 1e3: "thousands"}
NUMBER_ROOM = 0.05  # of the accuracy axis, for the members' numbers at its top
LOG_FROM = 10.0  # the ratio of greatest to least cost from which the axis is logarithmic


@dataclass(frozen=True, slots=True)
class Member:
    """One member of the front; accuracies are in per cent.

    Attributes:
        number: its row in ``pareto.csv``, from 1.
        low: lower end of the 95 % interval; None: not known.
        high: upper end of the 95 % interval; None: not known.
        probability: of being on the true front; None: not known.
        is_named: whether the key below the plot has its name.
    """

    number: int
    name: str
    estimate: float
    low: float | None
    high: float | None
    probability: float | None
    is_named: bool


@dataclass(frozen=True, slots=True)
class Panel:
    """One cost: what lies where. Points are (cost / ``unit``, accuracy in per cent).

    Attributes:
        cost: ``params`` or ``macs``.
        unit: what costs are divided by: 1, a thousand, a million or a billion.
        plain: cost of the plain network / ``unit``; None: it has none.
        others: candidates that are neither on the front nor credible.
        credible: not on the front, and with a fair chance to be on the true one.
        members: of the front, in the order of ``FrontFigure.members``.
        band: (cost / ``unit``, lower end, upper end) of the best accuracy at a cost or less.
    """

    cost: str
    unit: float
    plain: float | None
    others: tuple[tuple[float, float], ...]
    credible: tuple[tuple[float, float], ...]
    members: tuple[tuple[float, float], ...]
    band: tuple[tuple[float, float, float], ...]

    @property
    def x_range(self) -> tuple[float, float]:
        """The range of the cost axis."""
        costs = [x for x, _ in (*self.others, *self.credible, *self.members)]
        if self.is_logarithmic:
            low, high = padded(*np.log([min(costs), max(costs)]).tolist())
            return float(np.exp(low)), float(np.exp(high))
        return padded(min(costs), max(costs))

    @property
    def is_logarithmic(self) -> bool:
        """Whether costs differ so much that their axis is logarithmic."""
        return _vary([x for x, _ in (*self.others, *self.credible, *self.members)])

    @property
    def label(self) -> str:
        """The name of the cost axis, with its unit."""
        unit = UNITS.get(self.unit)
        return f"{AXIS_NAMES[self.cost]} ({unit})" if unit else AXIS_NAMES[self.cost]


@dataclass(frozen=True, slots=True)
class FrontFigure:
    """What the figure of the front shows.

    Attributes:
        members: the front, cheapest first.
        panels: a cost each; without a finished candidate there is nothing in ``members``.
        y_range: of accuracy, in per cent.
        num_below: candidates that are less accurate than ``y_range``.
        is_modelled: whether accuracies are the model's estimates, and not plain means.
    """

    title: str
    members: tuple[Member, ...]
    panels: tuple[Panel, ...]
    y_range: tuple[float, float]
    num_below: int
    is_modelled: bool

    @property
    def note(self) -> str:
        """What a reader of the figure must know and the legend does not say."""
        parts = []
        if self.members:
            what = "the model's estimates" if self.is_modelled else "means over seeds"
            has_bars = any(member.low is not None for member in self.members)
            parts.append(f"Accuracies are {what}{'; bars are 95 % intervals' * has_bars}.")
            named = sum(member.is_named for member in self.members)
            parts.append(
                f"Numbers are rows of pareto.csv; {named} of the {len(self.members)} members "
                f"{'is' if named == 1 else 'are'} named below."
                if named < len(self.members)
                else "Numbers are rows of pareto.csv."
            )
        if self.num_below:
            verb = "candidate lies" if self.num_below == 1 else "candidates lie"
            parts.append(f"{self.num_below} {verb} below the axis.")
        return " ".join(parts)


def prepare_front(credible: PosteriorFront, costs: Sequence[str], title: str) -> FrontFigure:
    """Return what the figure shows of a front.

    Args:
        credible: all candidates with a full training, and the front.
        costs: ``params`` and/or ``macs``: a panel each.
        title: stands above.
    """
    front = credible.front
    if not front:
        panels = tuple(Panel(cost, 1.0, None, (), (), (), ()) for cost in costs)
        return FrontFigure(title, (), panels, (0.0, 100.0), 0, credible.is_modelled)
    named = _choose_named(front)
    members = tuple(
        Member(
            number,
            candidate.summary.placement,
            100 * candidate.gain,
            None if candidate.low is None else 100 * candidate.low,
            None if candidate.high is None else 100 * candidate.high,
            candidate.probability_on_front,
            number in named,
        )
        for number, candidate in enumerate(front, start=1)
    )
    low, high = _accuracy_range(credible, costs)
    return FrontFigure(
        title,
        members,
        tuple(_prepare_panel(credible, cost) for cost in costs),
        (low, high),
        sum(100 * candidate.gain < low for candidate in credible.candidates),
        credible.is_modelled,
    )


def _prepare_panel(credible: PosteriorFront, cost: str) -> Panel:
    def cost_of(candidate: PosteriorCandidate) -> float:
        return float(getattr(candidate.summary, cost))

    def points(candidates: Iterable[PosteriorCandidate]) -> tuple[tuple[float, float], ...]:
        return tuple((cost_of(c) / unit, 100 * c.gain) for c in candidates)

    costs = [cost_of(candidate) for candidate in credible.candidates]
    # The labels of a logarithmic axis say their units themselves.
    unit = 1.0 if _vary(costs) else next((unit for unit in UNITS if max(costs) >= unit), 1.0)
    plain = {
        cost_of(candidate) - getattr(candidate.summary, f"added_{cost}")
        for candidate in credible.candidates
    }
    unlisted = {c.summary.key for c in credible.credible_set if not c.on_front}
    return Panel(
        cost=cost,
        unit=unit,
        plain=plain.pop() / unit if len(plain) == 1 and min(plain) > 0 else None,
        others=points(
            c for c in credible.candidates if not c.on_front and c.summary.key not in unlisted
        ),
        credible=points(c for c in credible.credible_set if not c.on_front),
        members=points(credible.front),
        band=tuple(
            (step.cost / unit, 100 * step.low, 100 * step.high)
            for step in credible.attainment.get(cost, ())
        ),
    )


def _vary(costs: Sequence[float]) -> bool:
    """Return whether costs differ so much that only a logarithmic axis shows them all."""
    return min(costs) > 0 and max(costs) >= LOG_FROM * min(costs)


def _choose_named(front: Sequence[PosteriorCandidate]) -> set[int]:
    """Return the numbers of the members that are named: the likeliest, or some of each cost."""
    numbers = range(1, len(front) + 1)
    if len(front) <= MAX_NAMED:
        return set(numbers)
    if any(candidate.probability_on_front is None for candidate in front):
        return set(np.linspace(1, len(front), MAX_NAMED).round().astype(int).tolist())
    likeliest = sorted(numbers, key=lambda n: -(front[n - 1].probability_on_front or 0.0))
    return set(likeliest[:MAX_NAMED])


def _accuracy_range(credible: PosteriorFront, costs: Sequence[str]) -> tuple[float, float]:
    """Return a range in per cent: the front, its intervals, the band, 19 of 20 candidates."""
    ranked = sorted(100 * candidate.gain for candidate in credible.candidates)
    front = credible.front
    lows = [100 * (c.gain if c.low is None else c.low) for c in front]
    highs = [100 * (c.gain if c.high is None else c.high) for c in front]
    highs += [100 * step.high for cost in costs for step in credible.attainment.get(cost, ())]
    low, high = padded(min(ranked[len(ranked) // 20], *lows), max(highs))
    return low, high + NUMBER_ROOM * (high - low)


def draw_front(prepared: FrontFigure) -> Figure:
    """Draw estimated accuracy against each cost, and below a key to the members' numbers."""
    with figure_style():
        header = Header(TWO_COLUMNS, prepared.title, prepared.note, _legend(prepared))
        key = Key([_key_row(member) for member in prepared.members if member.is_named])
        top = header.height + ABOVE
        figure = new_figure(TWO_COLUMNS, top + PLOT_HEIGHT + BELOW + key.height + MARGIN)
        header.draw(figure)
        y_ticks, y_labels = next(round_ticks(*prepared.y_range))
        left = max(map(text_width, y_labels)) + 0.3
        room = TWO_COLUMNS - left - 0.12 - GAP * (len(prepared.panels) - 1)
        width = room / len(prepared.panels)
        for number, panel in enumerate(prepared.panels):
            axes = add_axes(figure, left + number * (width + GAP), top, width, PLOT_HEIGHT)
            axes.set_ylim(prepared.y_range)
            axes.set_yticks(y_ticks, y_labels)
            _draw_panel(axes, panel, prepared.members)
            if number:
                axes.tick_params(labelleft=False)
            else:
                write_axis_name(axes, "validation accuracy (%)", left - 0.1)
        key.draw(figure, top + PLOT_HEIGHT + BELOW)
        return figure


def _key_row(member: Member) -> KeyRow:
    estimate = f"{member.estimate:.2f}"
    if member.low is not None and member.high is not None:
        estimate += f" ± {(member.high - member.low) / 2:.2f}"
    chance = "–" if member.probability is None else f"{member.probability:.2f}"
    return KeyRow(str(member.number), member.name, estimate, chance)


def _legend(prepared: FrontFigure) -> list[Artist]:
    if not prepared.members:
        return []
    handles: list[Artist] = [Line2D([], [], lw=1.2, **_FRONT, label="front")]
    if any(panel.band for panel in prepared.panels):
        handles.append(Patch(color=VERMILION, alpha=0.15, lw=0, label="best at a cost, 95 %"))
    if any(panel.credible for panel in prepared.panels):
        handles.append(Line2D([], [], **_CREDIBLE, label="may be on it (P ≥ 0.05)"))
    if any(panel.others for panel in prepared.panels):
        handles.append(Line2D([], [], **_OTHER, label="other candidates"))
    return handles


_FRONT: dict[str, Any] = {"color": VERMILION, "marker": "o", "ms": 5.0, "mec": "white", "mew": 0.6}
_CREDIBLE: dict[str, Any] = {
    "ls": "",
    "marker": "D",
    "ms": 3.4,
    "mfc": "white",
    "mec": BLUE,
    "mew": 0.8,
}
_OTHER: dict[str, Any] = {
    "ls": "",
    "marker": "o",
    "ms": 2.2,
    "mfc": "none",
    "mec": PALE,
    "mew": 0.5,
}


def _draw_panel(axes: Axes, panel: Panel, members: Sequence[Member]) -> None:
    axes.set_xlabel(panel.label)
    axes.grid(True)
    if not members:
        axes.set_xlim(0, 1)
        axes.set_xticks([])
        axes.text(0.5, 0.5, "no complete trial yet", ha="center", transform=axes.transAxes)
        return
    axes.set_xlim(panel.x_range)
    _set_ticks(axes, panel)
    right = axes.get_xlim()[1]
    if panel.band:
        costs, lows, highs = zip(*panel.band, strict=True)
        axes.fill_between(
            [*costs, right],
            [*lows, lows[-1]],
            [*highs, highs[-1]],
            step="post",
            color=VERMILION,
            alpha=0.15,
            lw=0,
            label="band",
        )
    for points, look, label in (
        (panel.others, _OTHER, "others"),
        (panel.credible, _CREDIBLE, "credible"),
    ):
        if points:
            axes.plot(*zip(*points, strict=True), **look, label=label)
    _draw_front(axes, panel, members, right)
    placed = list(zip(panel.members, members, strict=True))
    number_points(
        axes,
        panel.members,
        feet=[(x, y if m.low is None else m.low) for (x, y), m in placed],
        ends=[(x, y if m.high is None else m.high) for (x, y), m in placed],
    )


def _set_ticks(axes: Axes, panel: Panel) -> None:
    if panel.is_logarithmic:
        axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    choices = log_ticks(*panel.x_range) if panel.is_logarithmic else round_ticks(*panel.x_range)
    ticks, labels = choose_ticks(axes, choices, GAP / 3)
    axes.set_xticks(ticks, labels)
    if panel.plain is None or panel.is_logarithmic:
        return
    # A second scale above: not how large a network is, but what SE adds.
    plain = panel.plain
    above = axes.secondary_xaxis("top")
    low, high = (100 * (x / plain - 1) for x in panel.x_range)
    choices = (
        ([plain * (1 + share / 100) for share in shares], labels)
        for shares, labels in round_ticks(low, high)
    )
    ticks, labels = choose_ticks(axes, choices, GAP / 3)
    above.set_xticks(ticks, labels)
    above.xaxis.set_minor_locator(NullLocator())
    above.set_xlabel(ADDED_NAMES[panel.cost])
    above.spines["top"].set_visible(True)


def _draw_front(axes: Axes, panel: Panel, members: Sequence[Member], right: float) -> None:
    # With a second cost a member may lie below the staircase of this one.
    steps = sorted(panel.members, key=lambda point: (point[0], -point[1]))
    best = np.maximum.accumulate([accuracy for _, accuracy in steps])
    costs = [x for x, _ in steps]
    axes.step(
        [*costs, right],
        [*best, best[-1]],
        where="post",
        color=VERMILION,
        lw=1.2,
        label="staircase",
    )
    bars = [
        (x, y, max(0.0, y - member.low), max(0.0, member.high - y))
        for (x, y), member in zip(panel.members, members, strict=True)
        if member.low is not None and member.high is not None
    ]
    if bars:
        xs, ys, *reach = zip(*bars, strict=True)
        axes.errorbar(xs, ys, reach, fmt="none", ecolor=INK, elinewidth=0.6, capsize=1.6)
    xs, ys = zip(*panel.members, strict=True)
    axes.plot(xs, ys, ls="", **_FRONT, zorder=4, label="front")
