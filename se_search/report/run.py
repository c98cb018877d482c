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
from se_search.recipe import Recipe
from se_search.record import TrialRecord
from se_search.report.front_table import list_front
from se_search.report.run_report import FRONT_FIELDS
from se_search.store.files import read_bits
from se_search.store.front_cache import read_posterior_front
from se_search.store.run_folder import RunFolder
from se_search.store.run_space import read_space
from se_search.store.trials import read_records
from se_search.training.datasets import prepare_data
from se_search.training.prepared_split import split_prepared

if TYPE_CHECKING:
    import pandas as pd

Indices = NDArray[np.int64]


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
        """A row for each candidate on the front or listed, cheapest first, as ``pareto.csv``."""
        import pandas as pd

        credible = read_posterior_front(self.folder, self.records, read_space(self.folder))
        rows = [candidate.flat() for candidate in list_front(credible)]
        return pd.DataFrame(rows, columns=list(FRONT_FIELDS))

    def correct(self, number: int) -> NDArray[np.bool_]:
        """Return which validation images trial ``number`` classifies correctly: ``(images,)``.

        The images are those of the trial's split, in the order of ``validation_images``. Two trials
        can be compared image by image only if their ``split_hash`` is equal.

        Raises:
            RunError: there is no such trial, or it has not ended well.
        """
        path = self.folder.correct_file(number)
        if not path.is_file():
            record = self._record(number)
            raise RunError(
                f"trial {number} has no evaluation: it is {record.state}, and there is no {path}"
            )
        return read_bits(path, self.config["identity"]["data"]["validation"])

    def validation_images(self, number: int, data_dir: str | Path | None = None) -> Indices:
        """Return on which images trial ``number`` validates: ``(images,)``, ascending.

        Args:
            number: of the trial.
            data_dir: folder in which the data set lies; None: where the run found it.

        Returns:
            positions in the training part, or in the part ``val`` if it validates.

        Raises:
            RunError: there is no such trial, or the images are others than those of the trial.
            DataError: the data set is nowhere to be found.
        """
        record, identity = self._record(number), self.config["identity"]
        recipe = Recipe.model_validate({**identity["recipe"], "epochs": identity["epochs"]})
        search = self.config["search"]
        folder = data_dir or search.get("data_dir")
        prepared = prepare_data(search["data"], Path(folder) if folder else None, None, recipe)
        split = split_prepared(prepared, recipe, record.seed)
        if record.split_hash not in (None, split.hash):
            raise RunError(
                f"trial {number} was split as {record.split_hash}, and the images of "
                f"{search['data']} are split as {split.hash} now: they have changed since"
            )
        if identity["data"]["validation_part"] == "val":
            return np.arange(identity["data"]["validation"])
        return split.validation

    def _record(self, number: int) -> TrialRecord:
        found = {record.number: record for record in self.records}
        if number not in found:
            last = f", 0 to {max(found)}" if found else ""
            raise RunError(f"there is no trial {number}: the run has {len(found)}{last}")
        return found[number]
