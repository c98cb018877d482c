"""Renders the page of a run: one HTML file that needs nothing else, and its text as Markdown."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from se_search.report.answer import COST_NAMES
from se_search.report.figures.history_axis import has_times
from se_search.report.json_text import to_json
from se_search.report.page import palette
from se_search.report.page.candidates import describe_left_out
from se_search.report.page.contents import Page
from se_search.report.page.draw import draw_figures, list_front_figures
from se_search.report.page.markdown_code import render_code
from se_search.report.page.strip import draw_map, list_forms
from se_search.surrogate.history import MAX_TRACED
from se_search.terminal import escape as escape_surrogates

SECTIONS = {
    "places": "Places",
    "front": "Front",
    "effects": "Effects",
    "latency": "Time",
    "history": "History",
    "ladder": "Supernets",
    "confirmation": "Confirmation",
    "gates": "Gates",
    "candidates": "Candidates",
    "weights": "Networks",
    "failures": "Failures",
    "checklist": "Checklist",
    "commands": "Go on",
}


def render_html(page: Page) -> str:
    """Return the page as HTML, with its scripts and figures in it.

    Names are escaped wherever they stand. A policy in the page allows its own scripts, by their
    digests, and nothing that would have to be loaded.
    """
    plotly, script = (_read_static(name) for name in ("plotly-basic.min.js", "page.js"))
    figures = {name: _embed(data) for name, data in draw_figures(page).items()}
    forms = list_forms(page.parsed.values())
    absent = [name for name in ("ladder", "gates") if getattr(page, name) is None]
    html = (
        _environment()
        .get_template("page.html")
        .render(
            page=page,
            version=version("se-search"),
            policy=_make_policy(plotly, script),
            style=Markup(_make_colors() + _read_static("page.css")),
            plotly=Markup(plotly),
            script=Markup(script),
            dark=_embed(palette.DARK),
            figures=figures,
            sections=[each for each in SECTIONS.items() if each[0] not in absent],
            front_figures=list_front_figures(page),
            map=draw_map(page.network, page.scale, page.places),
            forms=forms,
            has_gains=any(re.fullmatch(r"stage \d+", place.place) for place in page.places),
            numbers=[member.number for member in page.front.members],
            has_times=page.history is not None and has_times(page.history),
            cost_name="" if page.history is None else COST_NAMES[page.history.cost],
            without_history=page.without_places
            or f"it takes at most {MAX_TRACED:,} trainings, of candidates of different costs",
            left_out=describe_left_out(page.candidates),
        )
    )
    return escape_surrogates(html)


def render_markdown(page: Page) -> str:
    """Return what the page says as Markdown: the answer, tables, failures, commands."""
    text = (
        _environment()
        .get_template("page.md")
        .render(
            page=page,
            version=version("se-search"),
            left_out=describe_left_out(page.candidates),
            numbers=[member.number for member in page.front.members],
        )
    )
    return escape_surrogates(re.sub("\n{3,}", "\n\n", text).strip() + "\n")


def render_note(name: str, trials: str, link: str, page: Page | None, problem: str = "") -> str:
    """Return the note of a dashboard as Markdown: the answer, and how to read what is shown.

    Args:
        name: the run's.
        trials: a sentence that says how many there are.
        link: where the page is.
        page: None: it is not there yet.
        problem: why newer trials can't be read; empty: they can.
    """
    text = (
        _environment()
        .get_template("note.md")
        .render(name=name, trials=trials, link=link, page=page, problem=problem)
    )
    return escape_surrogates(re.sub("\n{3,}", "\n\n", text).strip() + "\n")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("se_search.report.page"),
        autoescape=lambda name: name is not None and name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["code"] = render_code
    environment.filters["plain"] = escape_markdown
    environment.filters["fenced"] = _fence
    return environment


def escape_markdown(text: object) -> str:
    """Return a text as Markdown shows it: nothing in it is read as a mark-up, or as HTML."""
    line = " ".join(str(text).split())
    return re.sub(r"([\\`*_\[\]<>|#~$&])", r"\\\1", line)


def _fence(text: str) -> str:
    """Return a block of code, whose fence is longer than any in it."""
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}sh\n{text}\n{fence}"


@cache
def _read_static(name: str) -> str:
    return (files("se_search.report.page") / "static" / name).read_text(encoding="utf-8")


def _embed(data: Mapping[str, Any]) -> Markup:
    """Return data as JSON that can stand in a script element: no mark-up can begin in it."""
    text = to_json(data)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def _make_policy(*scripts: str) -> str:
    """Return the content security policy of a page with these scripts (W3C, CSP level 3)."""
    digests = (base64.b64encode(hashlib.sha256(each.encode()).digest()) for each in scripts)
    allowed = " ".join(f"'sha256-{digest.decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _make_colors() -> str:
    """Return the colours as variables of CSS, light and dark."""
    names = {
        name.lower().replace("_", "-"): value
        for name, value in vars(palette).items()
        if isinstance(value, str) and value in palette.DARK
    }
    light = "".join(f"--{name}:{value};" for name, value in names.items())
    dark = "".join(f"--{name}:{palette.DARK[value]};" for name, value in names.items())
    return (
        f":root{{color-scheme:light;{light}}}\n"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}\n"
        "@media screen and (prefers-color-scheme:dark)"
        f"{{:root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n"
        f"@media print{{:root,:root[data-theme=dark]{{color-scheme:light;{light}}}}}\n"
    )
