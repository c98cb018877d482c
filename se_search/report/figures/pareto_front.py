"""The figure of the front with its uncertainty: gain over the plain network against each cost."""

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
    GREY,
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
from se_search.report.front_table import describe_gain, find_decimals, find_taken, list_front
from se_search.surrogate.posterior_front import PosteriorCandidate, PosteriorFront

MAX_NAMED = 10
PLOT_HEIGHT = 2.35
GAP = 0.16
ABOVE, BELOW = 0.36, 0.40  # for the ticks and names of the two x axes
AXIS_NAMES = {"params": "parameters", "macs": "MACs for one image"}
ADDED_NAMES = {"params": "added parameters (%)", "macs": "added MACs (%)"}
UNITS = {1e9: "billions", 1e6: "millions", 1e3: "thousands"}
NUMBER_ROOM = 0.05  # of the gain axis, for the candidates' numbers at its top
ZERO_NAME = "plain network"
LOG_FROM = 10.0  # the ratio of greatest to least cost from which the axis is logarithmic


@dataclass(frozen=True, slots=True)
class Member:
    """A listed candidate; gains are in points.

    Attributes:
        number: its row in ``pareto.csv``, from 1.
        gain: over the plain network.
        low: lower end of the gain's 95 % interval; None: not known.
        high: upper end of the gain's 95 % interval; None: not known.
        text: the gain with its interval, as tables have it.
        probability: of being on the true front; None: not known.
        is_named: whether the key below the plot has its name.
        is_taken: whether it is the one to take.
    """

    number: int
    name: str
    gain: float
    low: float | None
    high: float | None
    text: str
    probability: float | None
    is_named: bool
    is_taken: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One cost: what lies where. Points are (cost / ``unit``, gain in points).

    Attributes:
        cost: ``params`` or ``macs``.
        unit: what costs are divided by: 1, a thousand, a million or a billion.
        plain: cost of the plain network / ``unit``; None: it has none.
        others: candidates that are neither listed nor credible.
        credible: not listed, and with a fair chance to be on the true front.
        members: the listed candidates, in the order of ``FrontFigure.members``.
        front: all candidates on the front of expected gains, cheapest first.
        band: (cost / ``unit``, lower end, upper end) of the best gain at a cost or less.
    """

    cost: str
    unit: float
    plain: float | None
    others: tuple[tuple[float, float], ...]
    credible: tuple[tuple[float, float], ...]
    members: tuple[tuple[float, float], ...]
    front: tuple[tuple[float, float], ...]
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
        members: the listed candidates, cheapest first.
        panels: a cost each; without a finished candidate there is nothing in ``members``.
        y_range: of gain, in points.
        num_below: candidates whose gain is below ``y_range``.
        is_modelled: whether gains are the model's, and not differences of plain means.
        unproven: why the figure proves nothing; None: it may.
    """

    title: str
    members: tuple[Member, ...]
    panels: tuple[Panel, ...]
    y_range: tuple[float, float]
    num_below: int
    is_modelled: bool
    unproven: str | None = None

    @property
    def note(self) -> str:
        """What a reader of the figure must know and the legend does not say."""
        parts = []
        if self.members:
            parts.append(
                "Bars are 95 % intervals for fresh replicates."
                if self.is_modelled
                else "Gains are differences of plain means."
            )
            named = sum(member.is_named for member in self.members)
            parts.append(
                f"Numbers are rows of pareto.csv; {named} of the {len(self.members)} listed "
                f"{'is' if named == 1 else 'are'} named below."
                if named < len(self.members)
                else "Numbers are rows of pareto.csv."
            )
        if self.num_below:
            verb = "candidate lies" if self.num_below == 1 else "candidates lie"
            parts.append(f"{self.num_below} {verb} below the axis.")
        if self.unproven is not None:
            parts.append(f"Nothing is proven: {self.unproven}.")
        return " ".join(parts)


def prepare_front(credible: PosteriorFront, costs: Sequence[str], title: str) -> FrontFigure:
    """Return what the figure shows of a front.

    Args:
        credible: all candidates with a full training, and the front.
        costs: ``params`` and/or ``macs``: a panel each.
        title: stands above.
    """
    if not credible.candidates:
        panels = tuple(Panel(cost, 1.0, None, (), (), (), (), ()) for cost in costs)
        return FrontFigure(title, (), panels, (-1.0, 1.0), 0, credible.is_modelled)
    numbers = {each.summary.key: row for row, each in enumerate(list_front(credible), start=1)}
    taken, decimals = find_taken(credible), find_decimals(credible)
    named = _choose_named(credible.listed)
    members = tuple(
        Member(
            numbers[candidate.summary.key],
            candidate.summary.placement,
            100 * candidate.gain,
            None if candidate.low is None else 100 * candidate.low,
            None if candidate.high is None else 100 * candidate.high,
            describe_gain(candidate, decimals),
            candidate.probability_on_front,
            candidate.summary.key in named,
            candidate is taken,
        )
        for candidate in credible.listed
    )
    low, high = _gain_range(credible, costs)
    return FrontFigure(
        title,
        members,
        tuple(_prepare_panel(credible, cost) for cost in costs),
        (low, high),
        sum(100 * candidate.gain < low for candidate in credible.candidates),
        credible.is_modelled,
        credible.unproven,
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
    unlisted = [c for c in credible.credible_set if not c.is_listed]
    shown = {c.summary.key for c in (*unlisted, *credible.listed)}
    return Panel(
        cost=cost,
        unit=unit,
        plain=plain.pop() / unit if len(plain) == 1 and min(plain) > 0 else None,
        others=points(c for c in credible.candidates if c.summary.key not in shown),
        credible=points(unlisted),
        members=points(credible.listed),
        front=points(credible.front),
        band=tuple(
            (step.cost / unit, 100 * step.low, 100 * step.high)
            for step in credible.attainment.get(cost, ())
        ),
    )


def _vary(costs: Sequence[float]) -> bool:
    """Return whether costs differ so much that only a logarithmic axis shows them all."""
    return min(costs) > 0 and max(costs) >= LOG_FROM * min(costs)


def _choose_named(listed: Sequence[PosteriorCandidate]) -> set[str]:
    """Return the keys of the candidates that are named: the likeliest, or some of each cost."""
    keys = [candidate.summary.key for candidate in listed]
    if len(listed) <= MAX_NAMED:
        return set(keys)
    if any(candidate.probability_on_front is None for candidate in listed):
        places = np.linspace(0, len(listed) - 1, MAX_NAMED).round().astype(int)
        return {keys[place] for place in places}
    likeliest = sorted(listed, key=lambda candidate: -(candidate.probability_on_front or 0.0))
    return {candidate.summary.key for candidate in likeliest[:MAX_NAMED]}


def _gain_range(credible: PosteriorFront, costs: Sequence[str]) -> tuple[float, float]:
    """Return a range in points: 0, what is listed, intervals, band, 19 of 20 candidates."""
    ranked = sorted(100 * candidate.gain for candidate in credible.candidates)
    shown = {c.summary.key: c for c in (*credible.listed, *credible.front)}.values()
    lows = [100 * (c.gain if c.low is None else c.low) for c in shown]
    highs = [100 * (c.gain if c.high is None else c.high) for c in shown]
    highs += [100 * step.high for cost in costs for step in credible.attainment.get(cost, ())]
    low, high = padded(min(0.0, ranked[len(ranked) // 20], *lows), max(0.0, *highs))
    return low, high + NUMBER_ROOM * (high - low)


def draw_front(prepared: FrontFigure) -> Figure:
    """Draw gain against each cost, and below a key to the numbers of the listed candidates."""
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
                write_axis_name(axes, "gain over the plain network (points)", left - 0.1)
        key.draw(figure, top + PLOT_HEIGHT + BELOW)
        return figure


def _key_row(member: Member) -> KeyRow:
    chance = "–" if member.probability is None else f"{member.probability:.2f}"
    return KeyRow(str(member.number), member.name, member.text, chance)


def _legend(prepared: FrontFigure) -> list[Artist]:
    if not prepared.members:
        return []
    handles: list[Artist] = [
        Line2D([], [], lw=1.2, **_FRONT, label="front, listed"),
        Line2D([], [], **_ZERO, label=ZERO_NAME),
    ]
    if any(member.is_taken for member in prepared.members):
        handles.insert(1, Line2D([], [], **_TAKEN, label="recommended"))
    if any(panel.band for panel in prepared.panels):
        handles.append(Patch(color=VERMILION, alpha=0.15, lw=0, label="best gain at a cost, 95 %"))
    if any(panel.credible for panel in prepared.panels):
        handles.append(Line2D([], [], **_CREDIBLE, label="may be on it (P ≥ 0.05)"))
    if any(panel.others for panel in prepared.panels):
        handles.append(Line2D([], [], **_OTHER, label="other candidates"))
    return handles


_FRONT: dict[str, Any] = {"color": VERMILION, "marker": "o", "ms": 5.0, "mec": "white", "mew": 0.6}
_TAKEN: dict[str, Any] = {
    "ls": "",
    "marker": "*",
    "ms": 10.0,
    "mfc": VERMILION,
    "mec": "white",
    "mew": 0.6,
}
_CREDIBLE: dict[str, Any] = {
    "ls": "",
    "marker": "D",
    "ms": 3.4,
    "mfc": "white",
    "mec": BLUE,
    "mew": 0.8,
}
_ZERO: dict[str, Any] = {"color": GREY, "lw": 0.9, "ls": (0, (4, 2))}
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
    axes.axhline(0.0, **_ZERO, zorder=1.5, label="zero")
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
        [str(member.number) for member in members],
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
    steps = sorted(panel.front or panel.members, key=lambda point: (point[0], -point[1]))
    best = np.maximum.accumulate([gain for _, gain in steps])
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
    for (x, y), member in zip(panel.members, members, strict=True):
        if member.is_taken:
            axes.plot([x], [y], **_TAKEN, zorder=4.2, label="taken")
