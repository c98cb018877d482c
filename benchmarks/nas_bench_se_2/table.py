"""Looks up finished trainings: ``NASBenchSE2.read().query(candidate, replicate=0)``."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.nas_bench_se.manifest import read_manifest
from benchmarks.nas_bench_se.table import QueryError
from benchmarks.nas_bench_se_2.columns import MEASURES, NETWORK
from benchmarks.nas_bench_se_2.definition import BACKBONE, DATA, FOLDER, FORMAT, RECIPE, SPACE
from benchmarks.nas_bench_se_2.export import TRAININGS, find_crossed
from se_search.candidate import Candidate
from se_search.errors import DataError
from se_search.store.files import unpack_bits
from se_search.training.datasets import PreparedData, prepare_data
from se_search.training.prepared_split import split_prepared
from se_search.training.split import DrawnSplit

EPOCHS = RECIPE.epochs  # of a whole training
Images = Literal["validation", "test"]
Networks = Literal["crossed", "all"]
COSTS = ("params", "added_params", "macs", "added_macs")


@dataclass(frozen=True, slots=True, eq=False)  # eq: arrays have no single answer to it
class PublishedTraining:
    """One finished training; losses are mean cross-entropies, accuracies shares from 0 to 1.

    Attributes:
        candidate: the text form.
        epochs: length of the training.
        replicate: which weights, order and images it has.
        params: parameters of the whole network.
        added_params: parameters of the SE blocks.
        macs: multiply-adds for one image.
        added_macs: multiply-adds of the SE blocks for one image.
        curve: a row for each epoch, with columns ``epoch``, the losses and the accuracies.
        validation_accuracy: after the last epoch.
        test_accuracy: after the last epoch.
        validation_correct: which validation images are right after the last epoch, in the order of
            ``NASBenchSE2.split(replicate).validation``.
        test_correct: which test images are right after the last epoch, in the order of the data
            set.
        seconds: wall time of the training with all evaluations.
    """

    candidate: str
    epochs: int
    replicate: int
    params: int
    added_params: int
    macs: int
    added_macs: int
    curve: pd.DataFrame
    validation_accuracy: float
    test_accuracy: float
    validation_correct: NDArray[np.bool_]
    test_correct: NDArray[np.bool_]
    seconds: float


class NASBenchSE2:
    """The table in memory.

    Args:
        trainings: a row a training, with the columns of the file; see README.md.
        num_images: numbers of validation and of test images.
    """

    def __init__(self, trainings: pd.DataFrame, num_images: Mapping[Images, int]) -> None:
        self._trainings = trainings
        self._num_images = num_images

    @classmethod
    def read(cls, folder: Path = FOLDER) -> NASBenchSE2:
        """Read the file of a folder, and check it against the manifest.

        Raises:
            RunError: a file is missing, or is not the one that the manifest describes.
        """
        manifest = read_manifest(folder, FORMAT)
        data: Mapping[str, int] = manifest["table"]["data"]
        measured = [
            name for name in manifest["columns"] if name.startswith(tuple(MEASURES.values()))
        ]
        # A key may look like a number, and pandas 2 may read the last bit of a float wrongly.
        frame = pd.read_csv(
            folder / TRAININGS,
            dtype={"key": str, "split_hash": str},
            converters=dict.fromkeys((*measured, "seconds"), _to_float),
        )
        return cls(frame, {"validation": data["validation"], "test": data["test"]})

    def query(
        self, candidate: str | Candidate, replicate: int, epochs: int = EPOCHS
    ) -> PublishedTraining:
        """Return a finished training.

        Args:
            candidate: a candidate, or any text that ``Candidate.parse`` reads, such as
                ``resnet20_bottleneck/all=standard:r16/stage5=none``.
            replicate: the seed that names it.
            epochs: length of the whole training; for an epoch within a training see ``curve``.

        Raises:
            CandidateError: the text is not a candidate of this backbone.
            QueryError: the candidate is not in the space, or has no such training.
        """
        wanted = _find(candidate)
        own = self._trainings[self._trainings.key == wanted.key]
        found = own[(own.replicate == replicate) & (own.epochs == epochs)]
        if found.empty:
            raise QueryError(
                f"{wanted} has no training of {epochs} epochs in replicate {replicate}; "
                f"{self._describe_trainings(own)}"
            )
        values: Mapping[Any, Any] = found.iloc[0].to_dict()
        return PublishedTraining(
            candidate=values["candidate"],
            epochs=epochs,
            replicate=replicate,
            curve=pd.DataFrame(
                {
                    "epoch": epoch,
                    **{name: values[f"{name}_{epoch}"] for name in MEASURES.values()},
                }
                for epoch in range(1, epochs + 1)
            ),
            validation_accuracy=values[f"validation_accuracy_{epochs}"],
            test_accuracy=values[f"test_accuracy_{epochs}"],
            validation_correct=self._unpack(values, "validation"),
            test_correct=self._unpack(values, "test"),
            seconds=values["seconds"],
            **{name: int(values[name]) for name in COSTS},
        )

    def frame(self) -> pd.DataFrame:
        """Return a row for each training, with the columns that README.md lists."""
        return self._trainings.copy()

    def networks(self) -> pd.DataFrame:
        """Return a row for each network that has a training, indexed by order: stages and costs."""
        distinct = self._trainings.drop_duplicates("order").sort_values("order")
        return distinct[list(NETWORK)].set_index("order")

    def accuracies(
        self,
        images: Images = "validation",
        epochs: int = EPOCHS,
        networks: Networks = "crossed",
    ) -> pd.DataFrame:
        """Return accuracies at the end as shares, networks (by order) x replicates.

        Args:
            images: on which the accuracies are.
            epochs: length of the whole trainings.
            networks: ``crossed``: the largest block without a gap, which has the replicates
                0 .. k - 1 and the networks that have all of them (``export.find_crossed``);
                ``all``: every network and replicate, with NaN for what has not been trained.

        Raises:
            QueryError: there are no trainings of so many epochs, or no such images or networks.
        """
        for name, value, allowed in (
            ("images", images, get_args(Images)),
            ("networks", networks, get_args(Networks)),
        ):
            if value not in allowed:
                raise QueryError(f"{name} {value!r} is not one of {', '.join(allowed)}")
        frame = self._trainings[self._trainings.epochs == epochs]
        if frame.empty:
            lengths = ", ".join(map(str, sorted(self._trainings.epochs.unique())))
            raise QueryError(f"no trainings of {epochs} epochs; there are some of {lengths}")
        whole = frame.pivot(
            index="order", columns="replicate", values=f"{images}_accuracy_{epochs}"
        )
        if networks == "all":
            return whole
        cells = list(zip(frame["order"].tolist(), frame["replicate"].tolist(), strict=True))
        chosen, replicates = find_crossed(cells)
        return whole.loc[chosen, replicates]

    def split(self, replicate: int, data: PreparedData | None = None) -> DrawnSplit:
        """Return which images of the data set's training part train and validate in a replicate.

        Args:
            replicate: the seed that names it.
            data: Fashion-MNIST as ``prepare_data`` gives it; None: it is found or downloaded.

        Raises:
            QueryError: the table has no training in this replicate.
            DataError: the data set is nowhere to be found, or its split is not the recorded one.
        """
        frame = self._trainings
        recorded = set(frame.split_hash[frame.replicate == replicate])
        if not recorded:
            there = ", ".join(map(str, sorted(frame.replicate.unique())))
            raise QueryError(
                f"there are no trainings in replicate {replicate}; there are in {there}"
            )
        prepared = data or prepare_data(DATA, None, None, RECIPE)
        drawn = split_prepared(prepared, RECIPE, replicate)
        if recorded != {drawn.hash}:
            raise DataError(
                f"replicate {replicate} splits {prepared.info.name} into other images than it did "
                f"in the table: split_hash {drawn.hash} here, {', '.join(sorted(recorded))} there"
            )
        return drawn

    def to_benchmark_csv(
        self, path: Path, epochs: int = EPOCHS, shorter: Sequence[int] = ()
    ) -> tuple[int, int]:
        """Write a table for ``se-search benchmark samplers --table``.

        A row a network of the crossed block: ``x_…``, ``cost`` (parameters of the whole network),
        and ``accuracy_1`` to ``accuracy_k``, the validation accuracies in replicates 0 to k - 1 in
        per cent.

        Args:
            path: the file.
            epochs: length of the full trainings.
            shorter: lengths of shorter trainings, for columns such as ``accuracy_1@2``; a network
                that lacks one of them in the block's replicates is left out.

        Returns:
            The numbers of networks and of replicates.

        Raises:
            QueryError: there are no trainings of such a length, or no network has all of them.
        """
        full = self.accuracies(epochs=epochs)
        columns = {f"accuracy_{place}": full[seed] for place, seed in enumerate(full, 1)}
        for length in shorter:
            short = self.accuracies(epochs=length, networks="all").reindex(columns=full.columns)
            columns |= {
                f"accuracy_{place}@{length}": short[seed] for place, seed in enumerate(short, 1)
            }
        accuracies = (100 * pd.DataFrame(columns)).round(6).dropna()
        if accuracies.empty:
            lengths = " and ".join(map(str, (epochs, *shorter)))
            raise QueryError(
                f"no network has trainings of {lengths} epochs in {full.shape[1]} replicates"
            )
        levels = [name for name in NETWORK if name.startswith("x_")]
        fixed = self.networks()[[*levels, "params"]].rename(columns={"params": "cost"})
        fixed.join(accuracies, how="inner").to_csv(path, index=False)
        return len(accuracies), full.shape[1]

    def _unpack(self, values: Mapping[str, str], images: Images) -> NDArray[np.bool_]:
        return unpack_bits(base64.b64decode(values[f"{images}_correct"]), self._num_images[images])

    def _describe_trainings(self, own: pd.DataFrame) -> str:
        if own.empty:
            return f"the table has {self._trainings.key.nunique()} of {SPACE.size} networks so far"
        seeds = own.groupby("epochs").replicate.agg(
            lambda seeds: ", ".join(map(str, sorted(seeds)))
        )
        return "; ".join(
            f"of {epochs} epochs it has replicates {text}" for epochs, text in seeds.items()
        )


def _find(candidate: str | Candidate) -> Candidate:
    if isinstance(candidate, str):
        candidate = Candidate.parse(candidate, BACKBONE)
    if candidate not in SPACE:
        ratios = " or ".join(map(str, SPACE.space.choices.reduction or ()))
        raise QueryError(
            f"{candidate} is not in the table's space: {BACKBONE.name}, and for each whole stage "
            f"none or standard SE with reduction {ratios}"
        )
    return candidate


def _to_float(text: str) -> float:
    return float(text) if text else math.nan
