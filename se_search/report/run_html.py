"""What a notebook shows of a run: its answer and the candidates that are listed, as a little HTML.

There is no style sheet, script or colour of its own: it looks right on light and on dark pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from se_search.report.answer import Answer
from se_search.report.format import number
from se_search.report.front_table import describe_gain, find_decimals
from se_search.surrogate.posterior_front import PosteriorFront
from se_search.terminal import one_line

MAX_ROWS = 10
HEADINGS = ("SE (stage:squeeze width)", "gain, points (95 %)", "P(front)", "added parameters")
CELL = 'style="text-align:left;padding:2px 10px"'


def render_run(title: str, answer: Answer, front: PosteriorFront) -> str:
    """Return a run as HTML, in which everything that comes from names is escaped.

    Args:
        title: of the run.
        answer: of the run.
        front: what its trials say of each candidate.
    """
    parts = [f"<p><b>{_clean(title)}</b></p>", *map(_paragraph, str(answer).splitlines())]
    listed = front.listed[:MAX_ROWS]
    if listed:
        decimals = find_decimals(front)
        rows = [
            (
                each.summary.placement,
                describe_gain(each, decimals),
                number(each.probability_on_front),
                f"{each.summary.added_params_pct:.2f} %",
            )
            for each in listed
        ]
        parts.append(_table(rows))
        more = len(front.listed) - len(listed)
        if more:
            parts.append(_paragraph(f"{more} more are in .front."))
    return f"<div>{''.join(parts)}</div>"


def render_problem(title: str, problem: str) -> str:
    """Return as HTML why a run can't be shown."""
    return f"<div><p><b>{_clean(title)}</b></p>{_paragraph(problem)}</div>"


def _table(rows: Sequence[Sequence[str]]) -> str:
    heads = "".join(f"<th {CELL}>{_clean(text)}</th>" for text in HEADINGS)
    body = "".join(
        "<tr>" + "".join(f"<td {CELL}>{_clean(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def _paragraph(line: str) -> str:
    text = _clean(line.strip())
    return f"<pre>{text}</pre>" if line.startswith("  ") else f"<p>{text}</p>"


def _clean(text: str) -> str:
    return escape(one_line(text))
