"""Worlds made of a crossed table of finished trainings: whole searches of it can be replayed.

A crossed table has every one of its networks trained in every one of its replicates. A search is
handed some of the replicates; the others, which it never sees, can judge it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration.worlds import Array
from benchmarks.nas_bench_se_2.definition import FOLDER, SPACE, count_first, list_candidates
from benchmarks.nas_bench_se_2.export import merge, read_table
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.errors import RunError
from se_search.record import Assignment
from se_search.search.candidate_set import CandidateSet, Codes
from se_search.space.bound import BoundSpace
from se_search.store.training_log import TrainingId, read_log

IMAGES = ("validation", "test")
Cell = tuple[float, float]  # accuracies after a training, a share each, in the order of IMAGES


class NetworkSet(CandidateSet[Candidate]):
    """Some networks of a space, and no others; a search may train each of them again.

    Args:
        space: that the networks are of.
        networks: in any order, each once.
    """

    few = None

    def __init__(self, space: BoundSpace, networks: Iterable[Candidate]) -> None:
        self.space = space
        self._networks = tuple(sorted(networks, key=space.index_of))
        self._members = frozenset(self._networks)
        self._codes = np.array([space.codes_of(network) for network in self._networks], np.int16)
        self._rows = {row.tobytes() for row in self._codes}
        assert len(self._rows) == len(self._networks) > 0, "each network is there once"

    def __contains__(self, candidate: object) -> bool:
        return candidate in self._members

    def __iter__(self) -> Iterator[Candidate]:
        return iter(self._networks)

    def list_codes(self, at_most: int) -> Codes | None:
        """Return all networks in the order of the space; None if there are more."""
        return self._codes if len(self._codes) <= at_most else None

    def keep(self, codes: Codes) -> NDArray[np.bool_]:
        """Mark the networks of the set, ``(n,)``, among codes ``(n, num_slots)``."""
        rows = np.asarray(codes, np.int16)
        return np.array([row.tobytes() in self._rows for row in rows], bool)

    def draw(self, rng: np.random.Generator) -> Candidate:
        """Return a network; all are equally likely."""
        return self._networks[rng.integers(len(self._networks))]

    def draw_codes(self, count: int, rng: np.random.Generator) -> Codes:
        """Return the codes of random networks, ``(count, num_slots)``."""
        return self._codes[rng.integers(len(self._codes), size=count)]

    def price_ends(
        self, price: Callable[[Candidate], Sequence[int]]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the least and the greatest price of any network, ``(m,)`` each."""
        prices = np.array([price(network) for network in self._networks], np.int64)
        return prices.min(axis=0), prices.max(axis=0)


@dataclass(frozen=True)
class CrossedTable:
    """Accuracies of networks crossed with replicates.

    Attributes:
        space: that the networks are of.
        networks: the plain network first.
        replicates: seeds of the replicates.
        epochs: of a full training.
        accuracies: by images (``validation``, ``test``) and length of the training in epochs:
            ``(num_networks, num_replicates)``, shares.
    """

    space: BoundSpace
    networks: tuple[Candidate, ...]
    replicates: tuple[int, ...]
    epochs: int
    accuracies: Mapping[str, Mapping[int, Array]]

    def __post_init__(self) -> None:
        """Check that the plain network is the first, and that full trainings are complete."""
        assert self.networks[0] == Candidate.plain(self.space.backbone)
        for images in IMAGES:
            full = self.accuracies[images][self.epochs]
            assert full.shape == (len(self.networks), len(self.replicates))
            assert np.isfinite(full).all()

    def __len__(self) -> int:
        return len(self.networks)

    @classmethod
    def of_cells(
        cls, cells: Mapping[TrainingId, Cell], space: BoundSpace, networks: Sequence[Candidate]
    ) -> CrossedTable:
        """Return the table of some networks, with the replicates that have them all.

        Shorter trainings are taken where all networks and replicates have them.

        Args:
            cells: by key of the network, epochs and replicate; the longest trainings are the full
                ones, and other networks are left out.
            space: that the networks are of.
            networks: the plain network first.

        Raises:
            RunError: no replicate has a full training of each network.
        """
        lengths = sorted({epochs for _, epochs, _ in cells})
        seeds = sorted({seed for _, _, seed in cells})
        keys = [network.key for network in networks]

        def is_complete(seed: int, epochs: int) -> bool:
            return all((key, epochs, seed) in cells for key in keys)

        complete = [seed for seed in seeds if is_complete(seed, lengths[-1])]
        if not complete:
            raise RunError(
                f"none of {len(seeds)} replicates has a full training of each of {len(keys)} "
                "networks: there is nothing to replay yet"
            )
        kept = [n for n in lengths if all(is_complete(seed, n) for seed in complete)]
        accuracies = {
            images: {
                epochs: np.array([[cells[key, epochs, s][place] for s in complete] for key in keys])
                for epochs in kept
            }
            for place, images in enumerate(IMAGES)
        }
        return cls(space, tuple(networks), tuple(complete), lengths[-1], accuracies)

    def with_replicates(self, replicates: Sequence[int]) -> CrossedTable:
        """Return the table of some of the replicates, in their order there."""
        columns = [self.replicates.index(seed) for seed in replicates]
        kept = {
            images: {epochs: values[:, columns] for epochs, values in own.items()}
            for images, own in self.accuracies.items()
        }
        return replace(self, replicates=tuple(replicates), accuracies=kept)

    @cached_property
    def costs(self) -> NDArray[np.int64]:
        """``(num_networks,)`` parameters, exact."""
        return np.array([count_cost(network).params for network in self.networks], np.int64)

    @cached_property
    def digest(self) -> str:
        """Twelve hexadecimal digits of networks, replicates and accuracies."""
        found = hashlib.sha256(repr(([n.key for n in self.networks], self.replicates)).encode())
        for images in IMAGES:
            for epochs, values in sorted(self.accuracies[images].items()):
                found.update(f"{images}{epochs}".encode())
                found.update(np.ascontiguousarray(values, np.float64).tobytes())
        return found.hexdigest()[:12]

    def row_of(self, key: str) -> int:
        """Return the number of a network, given by its key."""
        return self._rows[key]

    def differences(self, images: str) -> Array:
        """Return full trainings less the plain network's in the same replicate, as accuracies."""
        full = self.accuracies[images][self.epochs]
        return np.asarray(full - full[0])

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {network.key: row for row, network in enumerate(self.networks)}


@dataclass(frozen=True)
class CrossedWorld:
    """What a search sees of a crossed table: validation accuracies in some of its replicates.

    A search names replicates by the numbers from 0, as the rotation of a new run does.

    Attributes:
        table: all networks and replicates.
        replicates: seeds of the table's replicates that the search may use, in the order of their
            numbers.
    """

    table: CrossedTable
    replicates: tuple[int, ...]

    @property
    def space(self) -> BoundSpace:
        """The space that the networks are of; not all of it has been trained."""
        return self.table.space

    @cached_property
    def allowed(self) -> NetworkSet:
        """The networks of the table."""
        return NetworkSet(self.table.space, self.table.networks)

    @property
    def epochs(self) -> int:
        """The length of a full training."""
        return self.table.epochs

    @property
    def num_replicates(self) -> int:
        """How many replicates each candidate can have."""
        return len(self.replicates)

    def look_up(self, assignment: Assignment[Candidate]) -> float:
        """Return the validation accuracy of a training, a share."""
        column = self.table.replicates.index(self.replicates[assignment.seed])
        row = self.table.row_of(assignment.candidate.key)
        return float(self.table.accuracies["validation"][assignment.epochs][row, column])


def read_crossed_table(
    log: Path | None = None, folder: Path = FOLDER, num_parts: int = 1
) -> CrossedTable:
    """Return NAS-Bench-SE 2 with the replicates that are complete.

    Args:
        log: of further trainings, which the published table lacks; it may be growing.
        folder: of the published table.
        num_parts: balanced parts of networks.

    Raises:
        RunError: a file can't be read, or no replicate is complete.
    """
    parts = [read_table(folder), None if log is None else read_log(log)]
    contents = merge([part for part in parts if part is not None])
    cells = {
        training.id: (training.history[-1]["accuracy"], training.history[-1]["test_accuracy"])
        for training in contents.trainings
    }
    return CrossedTable.of_cells(cells, SPACE, list_candidates()[: count_first(num_parts)])
