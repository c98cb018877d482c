"""The trials and the front of a run as data frames."""

from __future__ import annotations

import os
from dataclasses import asdict, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from se_search.errors import RunError
from se_search.record import TrialRecord
from se_search.report.run_report import FRONT_FIELDS
from se_search.store.files import read_bits
from se_search.store.front_cache import read_posterior_front
from se_search.store.run_folder import RunFolder
from se_search.store.run_space import read_space
from se_search.store.trials import read_records

if TYPE_CHECKING:
    import pandas as pd


def open_run(path: str | Path) -> Run:
    """Open the folder of a run, by its path or by its name in ``runs``.

    Raises:
        RunError: there is no run.
    """
    if not isinstance(path, str | os.PathLike):
        raise RunError(f"open_run {path!r}: it takes the path of a run's folder, or its name")
    return Run(RunFolder.existing(Path(path)))


class Run:
    """The trials and the front of a search that has ended or goes on.

    Everything is read once, when it is first asked for. Open the run again to see newer trials.

    Attributes:
        folder: the run's folder.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        return f"Run({str(self.folder.path)!r}, {len(self.records)} trials)"

    @cached_property
    def config(self) -> dict[str, Any]:
        """The contents of ``config.yaml``, with versions and hardware."""
        return self.folder.read_config()

    @cached_property
    def records(self) -> list[TrialRecord]:
        """All trials, by number."""
        return read_records(self.folder.database)

    @property
    def trials(self) -> pd.DataFrame:
        """A row for each trial, with the columns of ``trials.csv``."""
        import pandas as pd

        names = [field.name for field in fields(TrialRecord)]
        return pd.DataFrame([asdict(record) for record in self.records], columns=names)

    @property
    def front(self) -> pd.DataFrame:
        """A row for each candidate on the front, cheapest first, as in ``pareto.csv``."""
        import pandas as pd

        credible = read_posterior_front(self.folder, self.records, read_space(self.folder))
        rows = [candidate.flat() for candidate in credible.front]
        return pd.DataFrame(rows, columns=list(FRONT_FIELDS))

    def correct(self, number: int) -> NDArray[np.bool_]:
        """Return which validation images trial ``number`` classifies correctly: ``(images,)``.

        Raises:
            RunError: there is no such trial, or it has not ended well.
        """
        path = self.folder.correct_file(number)
        if not path.is_file():
            states = {record.number: record.state for record in self.records}
            if number not in states:
                last = f", 0 to {max(states)}" if states else ""
                raise RunError(f"there is no trial {number}: the run has {len(states)}{last}")
            raise RunError(
                f"trial {number} has no evaluation: it is {states[number]}, and there is no {path}"
            )
        return read_bits(path, self.config["identity"]["data"]["validation"])
