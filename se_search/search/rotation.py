"""The replicate of each training: a search is a blocked experiment.

What a replicate draws moves all trainings in it, by as much as the candidates differ. Therefore
the trainings of a search take turns among a few replicates, so that each replicate sees a balanced
share of the space, and the plain network, as the control, is the first training in each.
``docs/how_it_searches.md`` has the simulation that the numbers rest on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Generic

from se_search.record import CandidateT, TrialRecord

FEWEST_REPLICATES, MOST_REPLICATES = 2, 8
TRIALS_EACH = 12  # at least so many trials share a control, up to the greatest number of replicates
CONTROL_ATTEMPTS = 2  # a control that fails more often would spend a search that trains nothing


def count_replicates(num_trials: int) -> int:
    """Return how many replicates a search of so many trials opens from the start."""
    return min(MOST_REPLICATES, max(FEWEST_REPLICATES, num_trials // TRIALS_EACH))


@dataclass(frozen=True, slots=True)
class Rotation(Generic[CandidateT]):
    """Which replicate the next training takes: a function of the trials so far.

    A replicate is named by its seed; replicate k has the seed ``first_seed + k``.

    Attributes:
        num_replicates: how many replicates take turns; a candidate that has had all of them opens
            a further one.
        first_seed: seed of replicate 0.
        control: the plain network; None: a search without controls.
        offered: returns the seeds of the replicates that a candidate can have; None: any.
    """

    num_replicates: int
    first_seed: int
    control: CandidateT | None = None
    offered: Callable[[CandidateT], Collection[int]] | None = None

    def __post_init__(self) -> None:
        """Check that there is a replicate."""
        assert self.num_replicates >= 1

    @property
    def seeds(self) -> range:
        """The seeds of the replicates that take turns."""
        return range(self.first_seed, self.first_seed + self.num_replicates)

    def due_control(self, records: Sequence[TrialRecord]) -> int | None:
        """Return the seed of the replicate whose turn it is if its control must come first."""
        turn = _emptiest(self.seeds, records)
        return turn if self.lacks_control(turn, records) else None

    def lacks_control(self, seed: int, records: Sequence[TrialRecord]) -> bool:
        """Tell whether the control must be trained before anything else in a replicate.

        It need not if it has begun, or if two attempts failed: then the replicate goes without.
        """
        if self.control is None:
            return False
        states = [r.state for r in records if r.role == "control" and r.seed == seed]
        return states.count("FAIL") == len(states) < CONTROL_ATTEMPTS

    def next_replicate(
        self, candidate: CandidateT, taken: Collection[int], records: Sequence[TrialRecord]
    ) -> int:
        """Return the seed of the next replicate of a candidate.

        It is the one of fewest begun trainings, the first among equals, of those that take turns
        and that the candidate has not had; if it has had all, the first beyond them.

        Args:
            candidate: what is trained.
            taken: seeds of the replicates that the candidate has had.
            records: all trials so far.
        """
        offered = None if self.offered is None else self.offered(candidate)
        left = [s for s in self.seeds if s not in taken and (offered is None or s in offered)]
        if left:
            return _emptiest(left, records)
        if offered is not None:
            return min(seed for seed in offered if seed not in taken)
        seed = self.seeds.stop
        while seed in taken:
            seed += 1
        return seed


def list_replicates_without_control(records: Sequence[TrialRecord]) -> list[int]:
    """Return the seeds of the replicates whose control has failed and has not ended well."""
    controls = [record for record in records if record.role == "control"]
    others = {record.seed for record in controls if record.state != "FAIL"}
    return sorted({record.seed for record in controls} - others)


def _emptiest(seeds: Sequence[int], records: Sequence[TrialRecord]) -> int:
    begun = Counter(record.seed for record in records)
    return min(seeds, key=lambda seed: (begun[seed], seed))
