"""Renews the figures that stand between two marks of a page; nothing else of it is touched."""

from __future__ import annotations

from pathlib import Path

from se_search.errors import RunError
from se_search.store.files import write_text


def renew_part(page: Path, begin: str, end: str, figures: str) -> None:
    """Replace what stands between two marks of a page.

    Args:
        page: a Markdown file.
        begin: the first mark, a comment.
        end: the second mark, a comment.
        figures: stand on lines of their own.

    Raises:
        RunError: the page lacks a mark.
    """
    text = page.read_text(encoding="utf-8")
    before, has_begin, rest = text.partition(begin)
    _, has_end, after = rest.partition(end)
    if not (has_begin and has_end):
        raise RunError(f"{page} has no place for figures, between {begin} and {end}")
    write_text(page, f"{before}{begin}\n{figures}\n{end}{after}")
