"""Looks up finished trainings: ``NASBenchSE.read().query(candidate, epochs=2, seed=0)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.nas_bench_se.definition import BACKBONE, FOLDER, FORMAT, SPACE
from benchmarks.nas_bench_se.manifest import read_manifest
from se_search.candidate import Candidate
from se_search.errors import SESearchError
from se_search.store.files import unpack_bits

TRAININGS, CURVES, CORRECT = "nas_bench_se.csv", "epochs.csv", "correct.npy"
MEASURES = ("train_loss", "validation_accuracy", "validation_loss", "test_accuracy", "test_loss")
TRAINING = ["key", "epochs", "seed"]
COSTS = ("params", "added_params", "macs", "added_macs")


class QueryError(SESearchError):
    """The table lacks a candidate or a training."""


@dataclass(frozen=True, slots=True)
class FinishedTraining:
    """One finished training; losses are mean cross-entropies, accuracies shares from 0 to 1.

    Accuracies, losses and ``…_correct`` are those after the last epoch.

    Attributes:
        candidate: the text form.
        epochs: length of the training.
        params: parameters of the whole network.
        added_params: parameters of the SE blocks.
        macs: multiply-adds for one image.
        added_macs: multiply-adds of the SE blocks for one image.
        train_loss: mean over the batches of the last epoch.
        validation_correct: which validation images are right, in the order of the split.
        test_correct: which test images are right, in the order of the data set.
        curve: a row for each epoch, with columns ``epoch``, the losses and the accuracies.
        seconds: wall time of the training with all evaluations.
    """

    candidate: str
    epochs: int
    seed: int
    params: int
    added_params: int
    macs: int
    added_macs: int
    train_loss: float
    validation_accuracy: float
    validation_loss: float
    test_accuracy: float
    test_loss: float
    validation_correct: NDArray[np.bool_]
    test_correct: NDArray[np.bool_]
    curve: pd.DataFrame
    seconds: float


class NASBenchSE:
    """The table in memory.

    Args:
        trainings: a row a training, indexed by key, epochs and seed; see README.md for the columns.
        curves: a row an epoch of a training, indexed by key, epochs and seed.
        correct: ``(trainings, 2, bytes)`` packed bits of the validation and of the test images.
        num_images: numbers of validation and of test images.
    """

    def __init__(
        self,
        trainings: pd.DataFrame,
        curves: pd.DataFrame,
        correct: NDArray[np.uint8],
        num_images: tuple[int, int],
    ) -> None:
        self._trainings = trainings
        self._curves = curves
        self._correct = correct
        self._num_images = num_images

    @classmethod
    def read(cls, folder: Path = FOLDER) -> NASBenchSE:
        """Read the files of a folder, and check them against the manifest.

        Raises:
            RunError: a file is missing, or is not the one that the manifest describes.
        """
        data: Mapping[str, int] = read_manifest(folder, FORMAT)["table"]["data"]
        return cls(
            _read_csv(folder / TRAININGS),
            _read_csv(folder / CURVES),
            np.load(folder / CORRECT),
            (data["validation"], data["test"]),
        )

    def query(self, candidate: str | Candidate, epochs: int, seed: int) -> FinishedTraining:
        """Return a finished training.

        Args:
            candidate: a candidate, or any text that ``Candidate.parse`` reads, such as
                ``resnet20_bottleneck/all=standard:r16/stage5=none``.
            epochs: length of the whole training; for an epoch within a training see ``curve``.
            seed: seed of the training.

        Raises:
            CandidateError: the text is not a candidate of this backbone.
            QueryError: the candidate is not in the space, or has no such training.
        """
        wanted = self._find(candidate)
        key = (wanted.key, epochs, seed)
        if key not in self._trainings.index:
            raise QueryError(
                f"{wanted} has no training of {epochs} epochs with seed {seed}; "
                f"{self._describe_trainings(wanted)}"
            )
        place = self._trainings.index.get_loc(key)
        values: Mapping[Any, Any] = self._trainings.iloc[place].to_dict()
        validation, test = (
            unpack_bits(bits.tobytes(), count)
            for bits, count in zip(self._correct[place], self._num_images, strict=True)
        )
        return FinishedTraining(
            epochs=epochs,
            seed=seed,
            validation_correct=validation,
            test_correct=test,
            curve=self._curves.loc[[key]].reset_index(drop=True),
            **{name: values[name] for name in (*COSTS, *MEASURES, "candidate", "seconds")},
        )

    def frame(self) -> pd.DataFrame:
        """Return a row for each training, with the columns that README.md lists."""
        return self._trainings.reset_index()

    def curves(self) -> pd.DataFrame:
        """Return a row for each epoch of each training."""
        return self._curves.reset_index()

    def to_benchmark_csv(
        self, path: Path, epochs: int, seeds: int, shorter: Sequence[int] = ()
    ) -> int:
        """Write a table for ``se-search benchmark samplers --table``.

        A row a candidate: ``x_…``, ``cost`` (parameters of the whole network), and ``accuracy_1``
        to ``accuracy_k``, the validation accuracies of seeds 0 to k - 1 in per cent. A candidate
        that lacks a training is left out. The plain backbone's ``x_integration`` is ``none``.

        Args:
            path: the file.
            epochs: length of the full trainings.
            seeds: number of seeds, k.
            shorter: lengths of shorter trainings, for columns such as ``accuracy_1@2``.

        Returns:
            The number of rows.

        Raises:
            QueryError: no candidate has all these trainings.
        """
        frame = self.frame()
        accuracies = frame.pivot(
            index="order", columns=["epochs", "seed"], values="validation_accuracy"
        )
        wanted = [(length, seed) for length in (epochs, *shorter) for seed in range(seeds)]
        accuracies = accuracies.reindex(columns=pd.MultiIndex.from_tuples(wanted)).dropna()
        if accuracies.empty:
            lengths = " and ".join(map(str, (epochs, *shorter)))
            raise QueryError(f"no candidate has trainings of {lengths} epochs with {seeds} seeds")
        accuracies = (100 * accuracies).round(6)
        accuracies.columns = pd.Index(
            f"accuracy_{seed + 1}" + (f"@{length}" if length != epochs else "")
            for length, seed in wanted
        )
        levels = [name for name in frame if name.startswith("x_")]
        fixed = frame.drop_duplicates("order").set_index("order")[[*levels, "params"]]
        table = fixed.rename(columns={"params": "cost"}).join(accuracies, how="inner").sort_index()
        table.to_csv(path, index=False)
        return len(table)

    def _find(self, candidate: str | Candidate) -> Candidate:
        if isinstance(candidate, str):
            candidate = Candidate.parse(candidate, BACKBONE)
        if candidate not in SPACE:
            choices = SPACE.space.choices
            raise QueryError(
                f"{candidate} is not in the table's space: {BACKBONE.name} with one integration of "
                f"{', '.join(choices.integration)}, and for each whole stage none or reduction "
                f"{' or '.join(map(str, choices.reduction or ()))}"
            )
        return candidate

    def _describe_trainings(self, candidate: Candidate) -> str:
        frame = self.frame()
        own = frame[frame.key == candidate.key]
        if own.empty:
            num_trained = frame.key.nunique()
            return f"the table has {num_trained} of {SPACE.size} candidates"
        seeds = own.groupby("epochs").seed.agg(lambda seeds: ", ".join(map(str, sorted(seeds))))
        return "; ".join(
            f"of {epochs} epochs it has seeds {text}" for epochs, text in seeds.items()
        )


def _read_csv(path: Path) -> pd.DataFrame:
    # A key may look like a number, and pandas 2 may read the last bit of a float wrongly.
    exact = dict.fromkeys((*MEASURES, "seconds"), float)
    frame = pd.read_csv(path, dtype={"key": str}, converters=exact, keep_default_na=False)
    return frame.set_index(TRAINING)
