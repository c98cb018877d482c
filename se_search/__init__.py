"""se-search: where squeeze-and-excitation blocks belong, and whether the difference is real."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from se_search.report.run import Run


def open_run(path: str | Path) -> Run:
    """Open the folder of a run, by its path or by its name in ``runs``.

    Raises:
        RunError: there is no run.
    """
    # numpy takes a quarter of a second, which `se-search --help` need not pay.
    from se_search.report.run import open_run as open_folder

    return open_folder(path)
