"""The front with its uncertainty: costs are exact, gains are what noisy trainings say.

A gain is a candidate's accuracy less the plain network's, on average over replicates, also those
that nobody has drawn yet. The reported front is that of the expected gains. Joint draws give the
probability that a candidate is on the front, and the band in which the best gain at each cost lies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from se_search.analysis.effects import Effects
from se_search.analysis.pareto import CandidateSummary
from se_search.surrogate.decision import Decision, Settled
from se_search.surrogate.untrained import Untrained

CREDIBLE = 0.05
LISTED = 0.2
MODEL_VERSION = 10  # another number for another model: what was kept of the old one is made anew


@dataclass(frozen=True, slots=True)
class Noise:
    """Standard deviations of what makes up an accuracy, in shares of the images.

    Attributes:
        level_sd: of what a replicate does to all candidates alike.
        interaction_sd: of what a replicate does to one candidate and not to another.
        training_sd: of a training about all that.
        networks_sd: of the candidates that were trained.
    """

    level_sd: float
    interaction_sd: float
    training_sd: float
    networks_sd: float


@dataclass(frozen=True, slots=True)
class MedianInterval:
    """A number that is not known exactly: its median, and the ends of its 95 % interval."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RungEstimate:
    """What has been learnt of a rung: how far its scores tell what candidates are worth.

    Attributes:
        name: of the rung.
        num_scores: how many candidates it has scored.
        num_members: over how many members (supernets) a score is the mean.
        slope: by how much a score rises where a candidate's accuracy rises by 1; None: its scores
            were left out, as there are too many trainings.
        correlation: of scores with candidates' accuracies in an average replicate, as far as the
            model knows: 0..1, over the candidates scored; None as of the slope.
    """

    name: str
    num_scores: int
    num_members: int
    slope: MedianInterval | None
    correlation: MedianInterval | None


@dataclass(frozen=True, slots=True)
class Step:
    """The best gain at a cost or less: median and 95 % interval over the draws."""

    cost: float
    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PosteriorCandidate:
    """A candidate with the posterior of its gain over the plain network.

    Attributes:
        summary: plain means over the candidate's trainings; ``summary.on_front`` is by these.
        gain: expected gain, a share; without a model the mean difference to the controls.
        gain_sd: standard deviation of the gain; None: not known.
        low: lower end of the gain's 95 % interval; None: not known.
        high: upper end of the gain's 95 % interval; None: not known.
        probability_better: that the gain is above 0; None: not known, or the plain network.
        is_better: whether it is surely better than the plain network: the lower limits of all
            gains that hold together with a probability of 90 % say so. Such candidates are starred.
        probability_on_front: that no other candidate with a full training is better at no higher
            cost; None: not known.
        on_front: whether no other candidate has a larger expected gain at no higher cost.
        is_listed: whether tables show it and confirmations train it: a member of the front that
            is there with a probability of 0.2 or more, or is recommended.
        is_plain: whether it is the network without SE.
    """

    summary: CandidateSummary
    gain: float
    gain_sd: float | None
    low: float | None
    high: float | None
    probability_better: float | None
    is_better: bool
    probability_on_front: float | None
    on_front: bool
    is_listed: bool
    is_plain: bool

    def to_json(self) -> dict[str, Any]:
        """Return plain data: what ``asdict`` returns, in a tenth of the time."""
        row = {name: getattr(self, name) for name in _CANDIDATE_FIELDS}
        return row | {"summary": {name: getattr(self.summary, name) for name in _SUMMARY_FIELDS}}

    def flat(self) -> dict[str, Any]:
        """Return one row: the summary's fields, the posterior's, the marks of both fronts."""
        row = self.to_json()
        summary: dict[str, Any] = row.pop("summary")
        on_plain_front = summary.pop("on_front")
        return summary | row | {"on_plain_front": on_plain_front}


_CANDIDATE_FIELDS = tuple(field.name for field in fields(PosteriorCandidate))
_SUMMARY_FIELDS = tuple(field.name for field in fields(CandidateSummary))


@dataclass(frozen=True, slots=True)
class PosteriorFront:
    """The front of a run, and how sure it is.

    Attributes:
        candidates: all that have a full training, in the order of their first full training.
        reason: why there is no model and all gains are plain means; None: there is a model.
        unproven: why nothing may be starred or settled, in words; None: it may.
        noise: what makes up an accuracy; None: there is no model.
        num_replicates: number of replicates that full trainings are of.
        num_compared: number of those in which SE can be compared with the plain network, as both
            have full trainings there; of those with SE if the plain network has none.
        plain_accuracy: accuracy of the plain network in an average replicate; without a model the
            mean of its trainings; None: it has none.
        decision: what to do about SE.
        settled: whether another choice could matter.
        recommended_key: of the recommended candidate; None: there is none.
        better_untrained: the candidate without a training that is expected to be better than all
            trained ones of its cost by most; None: there is none.
        hypervolume: the best gain at a cost or less, averaged over the logarithm of each cost from
            the cheapest candidate's to the dearest's. None: there is no model, or a cost does not
            vary.
        attainment: by cost, the best gain at that cost or less; empty: there is no model.
        effects: what each slot's levels add; None: there is no model.
        kernels: the model's hyper-parameters, with which it is made again without being fitted;
            empty: there is no model.
        rungs: the cheap rungs whose scores were given, and what has been learnt of them; empty: no
            scores were given, or there is no model.
    """

    candidates: tuple[PosteriorCandidate, ...]
    reason: str | None
    unproven: str | None
    noise: Noise | None
    num_replicates: int
    num_compared: int
    plain_accuracy: float | None
    decision: Decision
    settled: Settled
    recommended_key: str | None
    better_untrained: Untrained | None
    hypervolume: MedianInterval | None
    attainment: Mapping[str, tuple[Step, ...]]
    effects: Effects | None
    kernels: tuple[tuple[float, ...], ...] = ()
    rungs: tuple[RungEstimate, ...] = ()

    @property
    def front(self) -> list[PosteriorCandidate]:
        """The front by the expected gains, cheapest first."""
        return _cheapest_first(c for c in self.candidates if c.on_front)

    @property
    def listed(self) -> list[PosteriorCandidate]:
        """The candidates that tables show and confirmations train, cheapest first."""
        return _cheapest_first(c for c in self.candidates if c.is_listed)

    @property
    def recommended(self) -> PosteriorCandidate | None:
        """The candidate to take if one must be taken; None: there is none."""
        return next((c for c in self.candidates if c.summary.key == self.recommended_key), None)

    @property
    def num_trainings(self) -> int:
        """How many full trainings it rests on."""
        return sum(each.summary.num_replicates for each in self.candidates)

    @property
    def is_modelled(self) -> bool:
        """Whether gains are a model's, and not plain means."""
        return self.reason is None

    @property
    def credible_set(self) -> list[PosteriorCandidate]:
        """All that are on the front with a probability of at least 0.05, cheapest first."""
        return _cheapest_first(
            c for c in self.candidates if (c.probability_on_front or 0.0) >= CREDIBLE
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data, from which ``from_json`` makes the same front to the bit."""
        candidates = [candidate.to_json() for candidate in self.candidates]
        return asdict(replace(self, candidates=())) | {"candidates": candidates}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PosteriorFront:
        """Make a front of what ``to_json`` returned.

        Raises:
            KeyError, TypeError, ValueError: it is something else.
        """
        candidates = [
            PosteriorCandidate(**row | {"summary": CandidateSummary(**row["summary"])})
            for row in data["candidates"]
        ]
        steps = {
            name: tuple(Step(**step) for step in own) for name, own in data["attainment"].items()
        }
        settled, effects = data["settled"], data["effects"]
        parts = {
            "noise": Noise,
            "hypervolume": MedianInterval,
            "better_untrained": Untrained,
            "decision": Decision,
        }
        read = {
            name: None if data[name] is None else make(**data[name]) for name, make in parts.items()
        }
        return cls(
            **dict(data)
            | read
            | {
                "candidates": tuple(candidates),
                "settled": Settled(**settled | {"missing": tuple(settled["missing"])}),
                "attainment": steps,
                "effects": None if effects is None else Effects.from_json(effects),
                "kernels": tuple(map(tuple, data["kernels"])),
                "rungs": tuple(map(_read_rung, data["rungs"])),
            }
        )


def _read_rung(data: Mapping[str, Any]) -> RungEstimate:
    read = {
        name: None if data[name] is None else MedianInterval(**data[name])
        for name in ("slope", "correlation")
    }
    return RungEstimate(**dict(data) | read)


def _cheapest_first(candidates: Iterable[PosteriorCandidate]) -> list[PosteriorCandidate]:
    return sorted(candidates, key=lambda c: (c.summary.params, c.summary.macs))
