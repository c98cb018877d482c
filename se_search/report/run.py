"""A run from Python: its answer, data frames, figures and networks."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from se_search.candidate import Candidate
from se_search.errors import RunError
from se_search.record import TrialRecord
from se_search.report.answer import Answer, make_answer
from se_search.report.figures.run_plots import RunPlots
from se_search.report.front_table import list_front
from se_search.report.gates import frame_gates
from se_search.report.run_facts import read_facts
from se_search.report.run_frames import (
    frame_candidates,
    frame_confirmation,
    frame_effects,
    frame_trials,
)
from se_search.report.run_html import render_problem, render_run
from se_search.report.run_report import describe_search
from se_search.report.selection import select_candidates
from se_search.space.bound import BoundSpace
from se_search.store.confirmations import Round, read_fresh, read_rounds
from se_search.store.files import read_bits
from se_search.store.front_cache import read_posterior_front
from se_search.store.gates_file import GatesFiles, GatesFound, read_gates
from se_search.store.run_folder import RunFolder
from se_search.store.run_recipe import read_recorded_recipe
from se_search.store.run_space import read_space
from se_search.store.run_trials import find_trials
from se_search.store.trials import read_records
from se_search.surrogate.posterior_front import PosteriorFront
from se_search.terminal import one_line
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
    """The trials of a search that has ended or goes on, and what they say.

    Everything is read once, when it is first asked for; the accuracy model is fitted then if the
    last report had fewer trials. Open the run again to see newer trials. In a notebook a run shows
    its answer.

    Attributes:
        folder: the run's folder.
        plot: its figures; see ``RunPlots``.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.plot = RunPlots(self)

    def __repr__(self) -> str:
        """Return the three sentences of the answer, a line each, or why there is none."""
        try:
            answer = self.answer
            lines = [answer.what, answer.how_sure, answer.next_step.text.removesuffix(":")]
        except RunError as error:
            lines = [str(error)]
        return f"{self.folder.path}: " + "\n".join(map(one_line, lines))

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the answer, and the listed candidates as a table."""
        try:
            return render_run(f"{self.folder.path}: {self.title}", self.answer, self.posterior)
        except RunError as error:
            return render_problem(str(self.folder.path), str(error))

    @cached_property
    def config(self) -> dict[str, Any]:
        """The contents of ``config.yaml``, with versions and hardware."""
        return self.folder.read_config()

    @property
    def title(self) -> str:
        """What the run searches, in a phrase."""
        return describe_search(self.config)

    @cached_property
    def records(self) -> list[TrialRecord]:
        """All trials, by number."""
        return read_records(find_trials(self.folder))

    @cached_property
    def space(self) -> BoundSpace:
        """The space that is searched, on its backbone."""
        return read_space(self.folder)

    @cached_property
    def posterior(self) -> PosteriorFront:
        """What the trials say of each candidate, as the accuracy model has it."""
        return read_posterior_front(self.folder, self.records, self.space)

    @cached_property
    def rounds(self) -> list[Round]:
        """The confirmations, the oldest first."""
        return read_rounds(self.folder)

    @cached_property
    def answer(self) -> Answer:
        """What to do, how sure that is, and what to do next; ``print`` shows the sentences."""
        fresh = read_fresh(self.folder)
        facts = read_facts(self.folder.path, self.config, self.records, self.space, fresh)
        return make_answer(self.posterior, facts, self.rounds[-1] if self.rounds else None)

    @property
    def trials(self) -> pd.DataFrame:
        """A row for each trial, with the columns of ``trials.csv``."""
        return frame_trials(self.records)

    @property
    def front(self) -> pd.DataFrame:
        """A row for each candidate on the front or listed, cheapest first, as ``pareto.csv``."""
        return frame_candidates(list_front(self.posterior))

    @property
    def candidates(self) -> pd.DataFrame:
        """A row for each candidate with a full training, as ``candidates.csv``."""
        return frame_candidates(self.posterior.candidates)

    @property
    def effects(self) -> pd.DataFrame:
        """A row for each effect, as ``effects.csv``; none while trainings are too few."""
        return frame_effects(self.posterior)

    @property
    def confirmation(self) -> pd.DataFrame:
        """A row for each candidate of the last confirmation; none if there is no result."""
        return frame_confirmation(self.rounds)

    @property
    def gates(self) -> pd.DataFrame:
        """A row for each block whose gates were looked at, as ``gates.csv``; else none."""
        return frame_gates(self.gates_found)

    @cached_property
    def gates_found(self) -> GatesFound | None:
        """What ``se-search gates`` has seen last; None: it has not been called."""
        return read_gates(GatesFiles(self.folder.path))

    def candidate(self, text: str = "recommended") -> Candidate:
        """Return a candidate of the run.

        Args:
            text: its long or short text, as ``resnet50/stage2=standard:r16`` or ``s2:4``;
                ``recommended``: the one that the answer takes, which may be the plain network;
                ``best``, or a bound as ``params <= 3 %``: see ``select_candidates``.

        Raises:
            RunError: nothing is recommended, with the reason; or the text is of several candidates.
            CandidateError: the text is of no candidate.
        """
        backbone = self.space.backbone
        found = select_candidates(text, backbone, lambda: self.posterior, self._recommended)
        if len(found) != 1:
            raise RunError(f"{text!r} means {len(found)} candidates; name one of them")
        return found[0]

    def _recommended(self) -> str:
        taken = self.answer.candidate
        if taken is None:
            raise RunError(
                f"no network is recommended. {self.answer.what} Name a candidate, or best: the one "
                "of the largest expected gain"
            )
        return taken

    def build(
        self,
        candidate: str = "recommended",
        *,
        trained: bool = True,
        replicate: int | None = None,
        allow_code: bool = False,
        quiet: bool = False,
    ) -> Any:  # PyTorch's type belongs to models and training
        """Return a candidate's network, an ``nn.Module`` in evaluation mode on the CPU.

        Its weights are those of its longest training in the first replicate in which it was
        trained. Where they were not kept, it is trained again, which is said on standard error: a
        script calls this method under ``if __name__ == "__main__":``.

        Args:
            candidate: see ``candidate``.
            trained: whether its weights are the trained ones; otherwise they are those that a
                training began with, and the network is in training mode.
            replicate: seed of the replicate whose initial weights an untrained network has; None:
                the run's first.
            allow_code: whether code of your own may be run: that of a network ``module:callable``.
            quiet: whether nothing is said of a training.

        Raises:
            RunError: nothing is recommended, a replicate is given for trained weights, the file of
                weights has changed, or the candidate can't be trained again as it was.
            CandidateError: the text is of no candidate.
            BackboneError: the network is code that may not be run, or is not there any more.
        """
        from se_search.report.run_network import build_network, build_trained

        text = str(self.candidate(candidate))
        if trained:
            if replicate is not None:
                raise RunError(
                    f"replicate {replicate}: trained weights are of a candidate's first replicate; "
                    "trained=False takes any"
                )
            return build_trained(self.folder, text, allow_code=allow_code, quiet=quiet)
        seed = self.config["identity"]["seed"] if replicate is None else replicate
        return build_network(self.folder, self.config, text, seed, allow_code=allow_code)

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
        recipe = read_recorded_recipe(self.config)
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
