"""Chooses the probes of a run, and the candidates that supernets score, without any result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from se_search.candidate import Candidate
from se_search.record import Assignment, TrialRecord
from se_search.search.candidate_set import CandidateSet
from se_search.search.pool import PoolSource
from se_search.search.segments import ProbeCounts
from se_search.search.start_design import make_start_design
from se_search.seeds import derive_seed
from se_search.space.bound import BoundSpace
from se_search.store.supernets import Probe, Segment
from se_search.surrogate.features import Factors

FIRST_PROBE_SEED = 2_000_000  # plus the run's seed; confirmations count from 1,000,000


class Spread:
    """Candidates spread over all costs of a space and over the levels of each slot.

    Args:
        space: of the candidates.
        allowed: those within the limits.
        price: the costs that the search minimises.
        seed: of the run.
    """

    def __init__(
        self,
        space: BoundSpace,
        allowed: CandidateSet[Candidate],
        price: Callable[[Candidate], Sequence[int]],
        seed: int,
    ) -> None:
        self._space = space
        self._plain = Candidate.plain(space.backbone)
        self._factors = Factors(space.describe_levels())
        self._source = PoolSource(space, price, seed, allowed)
        self._seed = seed

    @property
    def size(self) -> int:
        """The number of candidates within the limits, the plain network not counted."""
        is_inside = self._plain in self._source.allowed
        return self._source.size - is_inside

    def list_all(self) -> list[Candidate]:
        """Return all candidates within the limits but the plain network, if they are few."""
        none = np.zeros((0, self._factors.num_slots), np.int16)
        every = map(self._space.with_codes, self._source.make(none, none).codes)
        return [candidate for candidate in every if candidate != self._plain]

    def choose(self, number: int, purpose: str) -> list[Candidate]:
        """Return some candidates, none of which is the plain network; fewer if there are fewer.

        Args:
            number: how many.
            purpose: names the stream of random numbers.
        """
        none = np.zeros((0, self._factors.num_slots), np.int16)
        design = make_start_design(
            self._source.make(none, none),
            self._factors,
            lambda codes: self._space.with_codes(codes) != self._plain,
            number,
            derive_seed(self._seed, purpose),
        )
        found = dict.fromkeys(self._space.with_codes(codes) for codes in design)
        return list(found)[:number]

    def choose_probes(self, counts: ProbeCounts) -> tuple[Probe, ...]:
        """Return the probes, replicate by replicate."""
        chosen = self.choose(counts.probes, "probes")
        first = FIRST_PROBE_SEED + self._seed
        seeds = range(first, first + counts.replicates)
        return tuple(Probe(str(candidate), seed) for seed in seeds for candidate in chosen)


def assign_probes(
    probes: Sequence[Probe], space: BoundSpace, epochs: int
) -> list[Assignment[Candidate]]:
    """Return the trainings of probes, each ``epochs`` epochs long."""
    return [Assignment(space.parse(probe.candidate), probe.seed, epochs) for probe in probes]


def list_scored(
    drawn: Iterable[Candidate],
    records: Sequence[TrialRecord],
    segments: Sequence[Segment],
    probes: Sequence[Probe],
    space: BoundSpace,
) -> list[Candidate]:
    """Return the candidates that each supernet scores by the last segment, the plain network first.

    Args:
        drawn: evenly from the space, or all of it.
        records: all trials; those begun before the segment was decided count.
        segments: the last one is of supernets; what each of them has chosen counts.
        probes: of the run.
        space: of the candidates.
    """
    trained = [record.candidate for record in records if record.number < segments[-1].begun]
    chosen = [text for segment in segments for text in segment.chosen]
    texts = [*(probe.candidate for probe in probes), *trained, *chosen]
    plain = Candidate.plain(space.backbone)
    return list(dict.fromkeys([plain, *map(space.parse, dict.fromkeys(texts)), *drawn]))
