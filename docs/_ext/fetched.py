"""Finds what a page loads from another machine."""

from __future__ import annotations

import re

# What a browser loads by itself; a link that a reader follows (<a href>) is not among it.
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video)\b[^>]*\bsrc=["']?(?:https?:)?//[^"'>]*"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|preconnect|icon))"""
    r"""[^>]*\bhref=["']?(?:https?:)?//[^>]*"""
    r"""|@import\s*["'(][^;]*//[^;]*|\burl\(\s*["']?(?:https?:)?//[^)]*""",
    re.IGNORECASE,
)


def find_fetched(text: str) -> list[str]:
    """List what a page or a style sheet loads from another machine."""
    return [match.group(0) for match in FETCHED.finditer(text)]
