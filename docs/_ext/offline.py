"""Ends the build with an error if a page would load a font, a script or an image from the net."""

from __future__ import annotations

from pathlib import Path

from fetched import find_fetched
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError


def check_pages(app: Sphinx, exception: Exception | None) -> None:
    """Look through all pages and style sheets that were written.

    Raises:
        ExtensionError: one of them loads something from another machine.
    """
    if exception is not None:
        return
    for path in sorted(Path(app.outdir).rglob("*")):
        if path.suffix in (".html", ".css"):
            for found in find_fetched(path.read_text(encoding="utf-8")):
                raise ExtensionError(f"{path.relative_to(app.outdir)} loads from the net: {found}")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the check."""
    app.connect("build-finished", check_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
