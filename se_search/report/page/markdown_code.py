"""Reads inline code out of a line of Markdown: the checklist's answers have it."""

from __future__ import annotations

import re

from markupsafe import Markup, escape


def render_code(line: str) -> Markup:
    """Return a line as HTML: code spans (CommonMark, section 6.1) as code, all else as text."""
    parts = re.split(r"(?<!`)(`+)(?!`)(.*?)(?<!`)\1(?!`)", line)
    out = [escape(parts[0])]
    for content, text in zip(parts[2::3], parts[3::3], strict=True):
        is_padded = content.startswith(" ") and content.endswith(" ") and content.strip()
        inner = content[1:-1] if is_padded else content
        out += [Markup("<code>{}</code>").format(inner), escape(text)]
    return Markup("").join(out)
