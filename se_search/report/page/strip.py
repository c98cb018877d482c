"""Draws where a candidate's SE blocks sit as a strip of blocks: inline SVG, by stage.

A block with SE is a bar, as tall as its squeeze width (on a scale of logarithms), and its form says
how SE sits in the block. A block without SE is a dash.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup, escape

from se_search.backbone import INTEGRATIONS, Site
from se_search.candidate import SE, Candidate
from se_search.report.format import common_decimals
from se_search.report.placement import list_stages
from se_search.report.places import PlaceGain, name_slot

LEAST_HEIGHT = 0.34  # of the tallest bar: the height of the least squeeze width
GAP = 0.16  # of a block's width, between two blocks
CHARACTER = 7.0  # pixels of a map that a character takes
STAGE_GAP = 0.55  # of a block's width, between two stages
# Outlines of the bars for a block of width 1 and height 1, from the lower left.
FORMS: dict[str, str] = {
    "standard": "M0 0V1H1V0Z",
    "pre": "M0 0V.45L1 1V0Z",
    "post": "M0 0V1L1 .45V0Z",
    "identity": "M0 0V1H.36V.36H.64V1H1V0Z",
    "inner": "M0 0V.4H.28V1H.72V.4H1V0Z",
    "rectified": "M0 0V.55L.5 1L1 .55V0Z",
    "native": "M0 0V1L.5 .6L1 1V0Z",
}


@dataclass(frozen=True, slots=True)
class WidthScale:
    """The squeeze widths of a run's candidates: the least and the greatest; 0: there is none."""

    least: int
    greatest: int

    @classmethod
    def of(cls, candidates: Iterable[Candidate]) -> WidthScale:
        """Return the scale that holds all widths of some candidates."""
        widths = {
            block.width
            for candidate in candidates
            for block in set(candidate.blocks)
            if block is not None and block.width
        }
        return cls(min(widths, default=0), max(widths, default=0))

    def height(self, block: SE) -> float:
        """Return how tall a block's bar is, as a share; one without a width is half as tall."""
        if not block.width:
            return 0.5
        if self.least == self.greatest:
            return 0.8
        share = math.log(block.width / self.least) / math.log(self.greatest / self.least)
        return LEAST_HEIGHT + (1 - LEAST_HEIGHT) * share


def draw_strip(candidate: Candidate, scale: WidthScale, height: int = 24) -> Markup:
    """Draw a candidate as a strip for a row of a table, ``height`` pixels tall."""
    unit = max(4.0, min(13.0, 190 / len(candidate.blocks)))
    parts, width = _draw_bars(candidate, scale, unit, 1, height - 2)
    return Markup(
        '<svg class="strip" width="{w:.0f}" height="{h}" viewBox="0 0 {w:.0f} {h}" role="img" '
        'aria-label="{label}">{parts}</svg>'
    ).format(w=width, h=height, label=candidate.placement, parts=parts)


def draw_map(candidate: Candidate, scale: WidthScale, places: Sequence[PlaceGain] = ()) -> Markup:
    """Draw a candidate large, with its stages, its squeeze widths and what SE gains where.

    Where the candidate has no SE, there is room for the gains' 95 % intervals.

    Args:
        candidate: what is drawn.
        scale: of squeeze widths.
        places: gains; one that is neither of a whole stage nor of a block is left out.
    """
    unit = max(8.0, min(52.0, 420 / len(candidate.blocks)))
    top, floor = 24.0, 122.0
    parts, width = _draw_bars(candidate, scale, unit, 56.0, floor, floor - top)
    texts = []
    stages = list(_place_stages(candidate, unit, 56.0))
    spans = {f"stage {stage}": (x, x_end) for stage, x, x_end in stages}
    for site, _, x in _place_blocks(candidate, unit, 56.0):
        spans[name_slot(site.name)] = (x, x + unit * (1 - GAP))
    gains = {each.place: each for each in places if each.place in spans}
    decimals = common_decimals((each.low / 100, each.high / 100) for each in gains.values())
    is_plain = not any(candidate.blocks)
    if gains and is_plain:
        texts.append(_draw_gains(spans, gains, top - 14, floor - 16, width))
    has_words = min(x_end - x for _, x, x_end in stages) >= 40
    for stage, x, x_end in stages:
        middle = (x + x_end) / 2
        texts.append(_text(middle, floor + 20, f"stage {stage}" if has_words else stage, "name"))
    texts += _write_gains(spans, gains, decimals, floor + 39)
    for block, x, x_end in _place_runs(candidate, unit, 56.0):
        label = str(block.width or block.kind)
        if x_end - x >= CHARACTER * len(label):
            y = floor - (floor - top) * scale.height(block) - 6
            texts.append(_text((x + x_end) / 2, y, label, "width"))
    whole = width + 56
    ends = Markup(
        '<path class="end" d="M6 {a}H40L50 {f}H6ZM{r} {f}L{r2} {a}H{w}V{f}Z"/>'
        '<path class="wire" d="M6 {f}H{w}"/>'
    ).format(a=floor - 26, f=floor, r=width + 4, r2=width + 14, w=whole - 6)
    texts += [
        _text(28, floor + 20, "stem", "name"),
        _text(whole - 27, floor + 20, "head", "name"),
    ]
    return Markup(
        '<svg class="map" viewBox="0 0 {w:.0f} {h}" style="max-width:{m:.0f}px" role="img" '
        'aria-label="{label}">{ends}{parts}{texts}</svg>'
    ).format(
        w=whole,
        h=166 if gains else 148,
        m=1.25 * whole,
        label=f"{candidate.backbone.name} with {candidate.placement}",
        ends=ends,
        parts=parts,
        texts=Markup("").join(texts),
    )


def list_forms(candidates: Iterable[Candidate]) -> list[tuple[str, Markup]]:
    """Return the integrations that candidates have, each with a drawing of its form."""
    found = {
        block.integration
        for candidate in candidates
        for block in set(candidate.blocks)
        if block is not None
    }
    drawn = Markup(
        '<svg class="strip" width="14" height="16" viewBox="0 0 14 16" aria-hidden="true">'
        '<path class="se {name}" d="{path}"/></svg>'
    )
    return [
        (name, drawn.format(name=name, path=_move(FORMS[name], 1, 15, 12, 13)))
        for name in INTEGRATIONS
        if name in found
    ]


def _draw_bars(
    candidate: Candidate,
    scale: WidthScale,
    unit: float,
    left: float,
    floor: float,
    tallest: float | None = None,
) -> tuple[Markup, float]:
    """Return a path for the blocks of each form, and where the last block ends."""
    tallest = floor - 2 if tallest is None else tallest
    bars: dict[str, list[str]] = {}
    dashes = []
    end = left
    width = unit * (1 - GAP)
    for _, block, x in _place_blocks(candidate, unit, left):
        end = x + width
        if block is None:
            dashes.append(f"M{x:.1f} {floor:.1f}h{width:.1f}")
            continue
        form = _move(FORMS[block.integration], x, floor, width, tallest * scale.height(block))
        bars.setdefault(block.integration, []).append(form)
    drawn = [
        Markup('<path class="se {name}" d="{path}"/>').format(name=name, path="".join(paths))
        for name, paths in bars.items()
    ]
    if dashes:
        drawn.insert(0, Markup('<path class="none" d="{}"/>').format("".join(dashes)))
    return Markup("").join(drawn), end + 1


def _write_gains(
    spans: Mapping[str, tuple[float, float]],
    gains: Mapping[str, PlaceGain],
    decimals: int,
    y: float,
) -> list[Markup]:
    """Write the gain below each place, or below none if two of them would overlap."""
    texts, is_wide, taken = [], True, 0.0
    for name, place in gains.items():
        sign = {"helps": "▲ ", "harms": "▼ ", "depends": "◆ "}.get(place.verdict, "")
        text = f"{sign}{place.gain:+z.{decimals}f}".replace("-", "\N{MINUS SIGN}")
        middle, half = sum(spans[name]) / 2, CHARACTER * len(text) / 2
        is_wide &= middle - half >= taken
        taken = middle + half
        texts.append(_text(middle, y, text, f"gain {place.verdict.split()[0]}"))
    return texts if is_wide else []


def _draw_gains(
    spans: Mapping[str, tuple[float, float]],
    gains: Mapping[str, PlaceGain],
    top: float,
    floor: float,
    width: float,
) -> Markup:
    """Draw the gain in each place as a dot with its interval, about a line at zero."""
    low = min(0.0, *(each.low for each in gains.values()))
    high = max(0.0, *(each.high for each in gains.values()))

    def place(value: float) -> float:
        return floor - (floor - top) * (value - low) / (high - low or 1.0)

    parts = [
        Markup('<path class="zero" d="M50 {y:.1f}H{w:.1f}"/>').format(y=place(0.0), w=width),
        _text(42, place(0.0) + 4, "0", "name"),
    ]
    for name, own in gains.items():
        x, x_end = spans[name]
        parts.append(
            Markup(
                '<g class="range {kind}"><path d="M{x:.1f} {low:.1f}V{high:.1f}"/>'
                '<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}"/></g>'
            ).format(
                kind=own.verdict.split()[0],
                x=(x + x_end) / 2,
                low=place(own.low),
                high=place(own.high),
                y=place(own.gain),
                r=min(5.0, (x_end - x) / 2),
            )
        )
    return Markup("").join(parts)


def _place_blocks(
    candidate: Candidate, unit: float, left: float
) -> Iterable[tuple[Site, SE | None, float]]:
    x = left
    for _, members in list_stages(candidate):
        for block, site in members:
            yield site, block, x
            x += unit
        x += unit * STAGE_GAP


def _place_stages(
    candidate: Candidate, unit: float, left: float
) -> Iterable[tuple[int, float, float]]:
    """Yield each stage with the left and the right end of its blocks."""
    placed = list(_place_blocks(candidate, unit, left))
    for stage, members in groupby(placed, key=lambda each: each[0].stage):
        xs = [x for _, _, x in members]
        yield stage, xs[0], xs[-1] + unit * (1 - GAP)


def _place_runs(
    candidate: Candidate, unit: float, left: float
) -> Iterable[tuple[SE, float, float]]:
    """Yield each run of equal SE blocks within a stage, with its ends."""
    placed = list(_place_blocks(candidate, unit, left))
    for (_, block), members in groupby(placed, key=lambda each: (each[0].stage, each[1])):
        xs = [x for _, _, x in members]
        if block is not None:
            yield block, xs[0], xs[-1] + unit * (1 - GAP)


def _move(form: str, x: float, floor: float, width: float, height: float) -> str:
    """Return the outline of a form whose lower left corner is (``x``, ``floor``)."""
    out, numbers = "", form.replace("Z", " Z").replace("M", "M ")
    for step in numbers.replace("V", " V ").replace("H", " H ").replace("L", " L ").split():
        if step.isalpha():
            out += step
            is_x, command = step != "V", step
        else:
            value = float(step)
            out += f"{x + width * value:.1f}" if is_x else f"{floor - height * value:.1f}"
            if command in "ML" and is_x:
                out += " "
            is_x = not is_x if command in "ML" else is_x
    return out


def _text(x: float, y: float, text: object, kind: str) -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>').format(
        kind, x, y, escape(text)
    )
