"""Plans the next training of a search: which candidate, in which replicate, for how many epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple

from se_search.record import Assignment, CandidateT, Role, TrialRecord
from se_search.search.climb import Climb, Step, list_replicates
from se_search.search.promotion import Promotion
from se_search.search.rotation import Rotation


class Plan(NamedTuple, Generic[CandidateT]):
    """What the next trial trains, and why."""

    assignment: Assignment[CandidateT]
    role: Role


@dataclass(frozen=True, slots=True)
class Planner(Generic[CandidateT]):
    """Decides which training comes next; of several reasons, the first that holds.

    Probes come first, in their order; then the control of the replicate whose turn it is; then
    promotions; and then what the sampler proposes. Each replicate begins with its control.

    Attributes:
        climb: the rungs that candidates climb.
        rotation: which replicate each training takes.
        promotion: how candidates are chosen for the next rung.
        costs: the fields of the records that are minimised.
        epochs: of a full training.
        probes: full trainings that are made before all others, whatever their results; those that
            the run has count.
    """

    climb: Climb
    rotation: Rotation[CandidateT]
    promotion: Promotion
    costs: Sequence[str]
    epochs: int
    probes: Sequence[Assignment[CandidateT]] = ()

    def has_due(self, records: Sequence[TrialRecord]) -> bool:
        """Tell whether a probe or a promotion is due, without which no search ends by itself."""
        return self._next_probe(records) is not None or self.next_promotion(records) is not None

    def plan_ahead(self, records: Sequence[TrialRecord]) -> Plan[CandidateT] | None:
        """Return the probe or the control that comes next; None: neither is due."""
        probe = self._next_probe(records)
        if probe is not None:
            if self.rotation.lacks_control(probe.seed, records):
                return self._plan_control(probe.seed)
            return Plan(probe, "probe")
        seed = self.rotation.due_control(records)
        return None if seed is None else self._plan_control(seed)

    def next_promotion(self, records: Sequence[TrialRecord]) -> tuple[str, Step] | None:
        """Return the text of the candidate that is promoted next, and its training."""
        return self.climb.next_promotion(records, self.costs, self.promotion)

    def plan(
        self,
        records: Sequence[TrialRecord],
        candidate: CandidateT,
        role: Role,
        step: Step | None = None,
    ) -> Plan[CandidateT]:
        """Return a training of a candidate, or the control that its replicate lacks.

        Args:
            records: the trials by which it is chosen.
            candidate: what is to be trained.
            role: why.
            step: which of its trainings; None: the next.
        """
        own = [record for record in records if record.key == candidate.key]
        epochs, position = step or self.climb.next_training(own)
        replicates = list_replicates(own)
        if position < len(replicates):
            seed = replicates[position]
        else:
            seed = self.rotation.next_replicate(candidate, replicates, records)
        if self.rotation.lacks_control(seed, records):
            return self._plan_control(seed)
        return Plan(Assignment(candidate, seed, epochs), role)

    def _next_probe(self, records: Sequence[TrialRecord]) -> Assignment[CandidateT] | None:
        if not self.probes:
            return None
        begun = {(record.key, record.seed, record.epochs) for record in records}
        left = (p for p in self.probes if (p.candidate.key, p.seed, p.epochs) not in begun)
        return next(left, None)

    def _plan_control(self, seed: int) -> Plan[CandidateT]:
        assert self.rotation.control is not None
        return Plan(Assignment(self.rotation.control, seed, self.epochs), "control")
