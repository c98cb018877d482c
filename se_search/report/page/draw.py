"""Draws the figures of a page, as the plain data that plotly's scripts read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import plotly.graph_objects as go

from se_search.report.figures.history_axis import has_times
from se_search.report.page.contents import Page
from se_search.report.page.figures.forest import draw_forest
from se_search.report.page.figures.front import draw_front
from se_search.report.page.figures.gates import draw_panel
from se_search.report.page.figures.history import draw_certainty, draw_found
from se_search.report.page.figures.places import draw_places


def draw_figures(page: Page) -> dict[str, dict[str, Any]]:
    """Return the figures of a page by the names under which the page has them.

    They are ``front-COST``, ``places``, ``effects``, ``found-AXIS``, ``certainty-AXIS`` (where AXIS
    is ``trainings`` or ``time``), ``confirmed``, ``drops`` and ``gates-NUMBER``; one of which there
    is nothing to show is left out.
    """
    figures: dict[str, go.Figure] = {}
    if page.places:
        figures["places"] = draw_places(page.places)
    for name, panel in zip(list_front_figures(page), page.front.panels, strict=False):
        # On a page each cost has a figure of its own: two would be too narrow on a phone.
        figures[name] = draw_front(replace(page.front, panels=(panel,)))
    if page.effects is not None:
        figures["effects"] = draw_forest(page.effects)
    if page.history is not None:
        figures["found-trainings"] = draw_found(page.history)
        figures["certainty-trainings"] = draw_certainty(page.history)
        if has_times(page.history):
            figures["found-time"] = draw_found(page.history, "time")
            figures["certainty-time"] = draw_certainty(page.history, "time")
    if page.confirmation is not None:
        figures["confirmed"] = draw_forest(page.confirmation.figure)
    if page.gates is not None:
        figures["drops"] = draw_forest(page.gates.drops)
        lines = page.gates.lines
        for (name, _, _), block in zip(page.gates.panels, lines.panels, strict=True):
            figures[name] = draw_panel(block, lines.y_range)
    return {name: json.loads(figure.to_json()) for name, figure in figures.items()}


def list_front_figures(page: Page) -> list[str]:
    """Return the names of the figures of the front; empty if no full training has ended."""
    return [f"front-{panel.cost}" for panel in page.front.panels] if page.front.members else []
