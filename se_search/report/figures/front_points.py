"""What the figure of the front shows: gain over the plain network against each cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from se_search.report.figures.style import padded
from se_search.report.front_table import describe_gain, find_decimals, find_taken, list_front
from se_search.surrogate.posterior_front import PosteriorCandidate, PosteriorFront

MAX_NAMED = 10
AXIS_NAMES = {
    "params": "parameters",
    "macs": "MACs for one image",
    "latency": "latency (ms a batch)",
}
NS_PER_MS = 1e6
UNITS = {1e9: "billions", 1e6: "millions", 1e3: "thousands"}
NUMBER_ROOM = 0.05  # of the gain axis, for the candidates' numbers at its top
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
        cost: ``params``, ``macs`` or ``latency``.
        unit: what costs are divided by: 1, a thousand, a million or a billion; a million of
            nanoseconds is a millisecond.
        plain: cost of the plain network / ``unit``; None: it has none.
        others: candidates that are neither listed nor credible.
        credible: not listed, and with a fair chance to be on the true front.
        members: the listed candidates, in the order of ``FrontFigure.members``.
        front: all candidates on the front of expected gains, cheapest first.
        band: (cost / ``unit``, lower end, upper end) of the best gain at a cost or less.
        other_names: short texts of ``others``.
        credible_names: short texts of ``credible``.
    """

    cost: str
    unit: float
    plain: float | None
    others: tuple[tuple[float, float], ...]
    credible: tuple[tuple[float, float], ...]
    members: tuple[tuple[float, float], ...]
    front: tuple[tuple[float, float], ...]
    band: tuple[tuple[float, float, float], ...]
    other_names: tuple[str, ...] = ()
    credible_names: tuple[str, ...] = ()

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
        unit = None if self.cost == "latency" else UNITS.get(self.unit)
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
    if cost == "latency":
        unit = NS_PER_MS
    plain = {
        cost_of(candidate) - getattr(candidate.summary, f"added_{cost}")
        for candidate in credible.candidates
    }
    unlisted = [c for c in credible.credible_set if not c.is_listed]
    shown = {c.summary.key for c in (*unlisted, *credible.listed)}
    others = [c for c in credible.candidates if c.summary.key not in shown]
    return Panel(
        cost=cost,
        unit=unit,
        plain=plain.pop() / unit if len(plain) == 1 and min(plain) > 0 else None,
        others=points(others),
        credible=points(unlisted),
        members=points(credible.listed),
        front=points(credible.front),
        band=tuple(
            (step.cost / unit, 100 * step.low, 100 * step.high)
            for step in credible.attainment.get(cost, ())
        ),
        other_names=tuple(each.summary.placement for each in others),
        credible_names=tuple(each.summary.placement for each in unlisted),
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
