"""The figure of effects: what SE in each place, position and width adds, with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from se_search.analysis.effects import Effect
from se_search.report.figures.forest import Bar, Forest, ForestRow, Section, Series, draw_forest
from se_search.report.figures.style import GREY, VERMILION, with_interval

SERIES = (
    Series("differs from 0, all effects of its family allowed for", "o", VERMILION),
    Series("may be 0", "o", GREY, is_filled=False),
)
COLUMNS = ("gain (95 %)", "added %", "trainings")


def prepare_effects(families: Mapping[str, Sequence[Effect]], title: str, note: str) -> Forest:
    """Return what the figure shows of effects; one that is not known has no mark.

    Args:
        families: the effects that are shown, by the heading of their family.
        title: stands above.
        note: what the effects rest on.
    """
    sections = []
    for heading, members in families.items():
        rows: list[ForestRow] = []
        last = None
        for effect in members:
            name, group = _name(effect)
            rows.append(_prepare_row(effect, name, group if group != last else ""))
            last = group
        if rows:
            sections.append(Section(heading, tuple(rows)))
    return Forest(
        title=title,
        note=note,
        axis="difference in accuracy (points)",
        zero="no SE",
        series=SERIES,
        sections=tuple(sections),
        columns=COLUMNS,
    )


def draw_effects(prepared: Forest) -> Figure:
    """Draw each effect as a mark with its interval: filled if it holds, hollow if it may be 0."""
    return draw_forest(prepared)


def _prepare_row(effect: Effect, name: str, group: str) -> ForestRow:
    estimate = None if effect.gain is None else Bar(effect.gain, effect.low, effect.high)
    return ForestRow(
        name,
        (estimate, None) if effect.holds else (None, estimate),
        (
            "not known"
            if effect.gain is None
            else with_interval(effect.gain, effect.low, effect.high),
            "–" if effect.cost_pct is None else f"{effect.cost_pct:.2f}",
            f"{effect.num_trainings:,}",
        ),
        group,
    )


def _name(effect: Effect) -> tuple[str, str]:
    """Return the names of a row and of its group."""
    if effect.kind == "interaction":
        return effect.slot.replace(" x ", " × "), ""
    if "at equal cost" in effect.kind:
        # Two places leave little room for words between them.
        level, reference = effect.level.removeprefix("SE in "), effect.reference.removeprefix("in ")
        return f"{level}, not {reference}", ""
    against = "" if effect.reference == "no SE" else f" (against {effect.reference})"
    return f"{effect.level}{against}", effect.slot
