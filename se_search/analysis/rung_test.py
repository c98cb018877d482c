"""The self-test of cheap scores: do they order candidates as trainings of their own do?

What a rung (a supernet, or a score without training) says of candidates is compared with the means
of their trainings, none of which it has had a part in choosing: probes, which were chosen without
any result, and what was searched before the rung's scores were used. All intervals are bootstrap
intervals over candidates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from se_search.analysis.least_squares import Floats
from se_search.analysis.levels import subtract_levels
from se_search.analysis.measured import (
    Measured,
    contrast,
    find_agreement,
    measure,
    measure_lead,
    measure_slope,
    measure_tau,
)
from se_search.analysis.places import read_places
from se_search.analysis.rungs import (
    MIN_COMPARED,
    estimate_reliability,
    noise_ceiling,
    resample,
)
from se_search.analysis.statistics import pooled_variance
from se_search.candidate import Candidate
from se_search.record import TrialRecord
from se_search.score import Score
from se_search.space.bound import BoundSpace

POINTS = 100.0

Verdict = Literal["used", "off", "untested"]


@dataclass(frozen=True, slots=True)
class Baseline:
    """How well what a candidate costs orders what was trained.

    Attributes:
        name: ``parameters``, ``MACs`` or ``SE blocks``.
        tau: Kendall's tau-b between the cost and the means of the trainings; None: all
            candidates cost the same.
    """

    name: str
    tau: Measured | None


@dataclass(frozen=True, slots=True)
class Bias:
    """By how much a rung scores SE in a place too well.

    Attributes:
        place: name of the slot, as ``stage3``.
        points: of accuracy, by the rung's slope: what SE there adds to the scores, less what it
            adds to trainings of their own.
    """

    place: str
    points: Measured


@dataclass(frozen=True, slots=True)
class RungTest:
    """What trainings say of a rung.

    Attributes:
        name: of the rung, as ``supernet``.
        num_members: how many score the candidates, as supernets of different seeds do.
        num_scored: candidates that all of them have scored.
        num_compared: candidates with scores and trainings, the plain network included.
        num_replicates: in which these were trained.
        seconds_each: of scoring a candidate by one member, on average.
        seconds: of all trainings and scorings of the rung.
        verdict: whether its scores are used: they must order candidates better than chance and
            better than each baseline, and members must agree with each other.
        why: of the verdict, in a clause.
        tau: Kendall's tau-b between the members' mean score and the mean of the trainings, less
            the levels of their replicates; None: too few to tell, or all equal.
        ceiling: the tau to be expected if the true orders were one, given the noise of both sides;
            None: not known, as of a rung of one member.
        slope: what a difference of 1 in true accuracy (a share) makes in the scores, corrected for
            the noise of the trainings' means; None: candidates do not differ beyond noise.
        biases: by place; none where the slope may be 0.
        agreement: median of tau-b between two members; None: there is one.
        baselines: what costs nothing to know.
        lead: tau less the greatest absolute tau of a baseline.
    """

    name: str
    num_members: int
    num_scored: int
    num_compared: int
    num_replicates: int
    seconds_each: float
    seconds: float
    verdict: Verdict
    why: str
    tau: Measured | None = None
    ceiling: float | None = None
    slope: Measured | None = None
    biases: tuple[Bias, ...] = ()
    agreement: float | None = None
    baselines: tuple[Baseline, ...] = ()
    lead: Measured | None = None

    @property
    def tau_star(self) -> float | None:
        """``tau`` over its ceiling; None where that is not known, or 0."""
        return self.tau.value / self.ceiling if self.tau is not None and self.ceiling else None

    @property
    def is_used(self) -> bool:
        """Whether its scores enter the accuracy model."""
        return self.verdict == "used"

    @property
    def best_baseline(self) -> Baseline | None:
        """The baseline of the greatest absolute tau; None: all are equal."""
        known = [one for one in self.baselines if one.tau is not None]
        return max(known, key=lambda one: abs(one.tau.value) if one.tau else 0.0, default=None)


def judge_scores(
    scores: Iterable[Score],
    records: Sequence[TrialRecord],
    space: BoundSpace,
    train_seconds: Mapping[str, float] | None = None,
) -> list[RungTest]:
    """Judge each rung of a run by trainings, in the order of the rungs' first scores.

    Args:
        scores: of all rungs and members.
        records: full trainings in any state, none of which was chosen by a score: so the scores
            owe nothing to the trainings, nor the trainings to the scores.
        space: that the candidates are of.
        train_seconds: by rung: what the trainings of its members took.
    """
    tables: dict[str, dict[int, dict[str, Score]]] = {}
    for score in scores:
        tables.setdefault(score.rung, {}).setdefault(score.member, {})[score.key] = score
    trained = _Trained.of(records)
    before = train_seconds or {}
    return [
        _Judge(name, members, trained, space).judge(before.get(name, 0.0))
        for name, members in tables.items()
    ]


@dataclass(frozen=True)
class _Trained:
    """Trainings, by the keys of their candidates.

    Attributes:
        accuracies: less the levels of their replicates.
        records: one of each candidate's trials.
        num_replicates: in which they are.
    """

    accuracies: Mapping[str, list[float]]
    records: Mapping[str, TrialRecord]
    num_replicates: int

    @classmethod
    def of(cls, records: Sequence[TrialRecord]) -> _Trained:
        own = [
            (record, record.accuracy)
            for record in sorted(records, key=lambda record: record.number)
            if record.state == "COMPLETE" and record.accuracy is not None
        ]
        levelled = subtract_levels(
            [accuracy for _, accuracy in own],
            [record.key for record, _ in own],
            [record.seed for record, _ in own],
        )
        groups: dict[str, list[float]] = {}
        for (record, _), accuracy in zip(own, levelled.tolist(), strict=True):
            groups.setdefault(record.key, []).append(accuracy)
        found = {record.key: record for record, _ in own}
        return cls(groups, found, len({record.seed for record, _ in own}))


@dataclass(frozen=True)
class _Judge:
    """Judges one rung.

    Attributes:
        name: of the rung.
        members: scores by member and by key of the candidate.
        trained: the trainings.
        space: of the candidates.
    """

    name: str
    members: Mapping[int, Mapping[str, Score]]
    trained: _Trained
    space: BoundSpace

    def judge(self, train_seconds: float) -> RungTest:
        every = [score for own in self.members.values() for score in own.values()]
        scoring = sum(score.seconds for score in every)
        shared = set.intersection(*(set(own) for own in self.members.values()))
        keys = sorted(shared & self.trained.accuracies.keys())
        test = RungTest(
            name=self.name,
            num_members=len(self.members),
            num_scored=len(shared),
            num_compared=len(keys),
            num_replicates=self.trained.num_replicates,
            seconds_each=scoring / len(every),
            seconds=scoring + train_seconds,
            verdict="untested",
            why="no scored candidate was trained",
        )
        if not keys:
            return test
        if len(keys) < MIN_COMPARED:
            few = f"of {len(keys)} scored candidates there are trainings"
            return replace(test, why=f"{few}, and {MIN_COMPARED} are the fewest that can tell")
        return self._compare(test, keys)

    def _compare(self, test: RungTest, keys: Sequence[str]) -> RungTest:
        table = np.array([[own[key].value for key in keys] for own in self.members.values()])
        table = table - table.mean(axis=1, keepdims=True)  # each member has a level of its own
        groups = [self.trained.accuracies[key] for key in keys]
        seed_variance = _correct(pooled_variance(groups), len(keys))
        member_variance = _correct(pooled_variance(table.T.tolist()), len(keys))
        scores, means = table.mean(axis=0), np.array([np.mean(group) for group in groups])
        draws = resample(len(keys))
        tau = measure_tau(scores, means, draws)
        here = estimate_reliability(table.T.tolist(), member_variance)
        there = estimate_reliability(groups, seed_variance)
        noise = None
        if seed_variance is not None:
            noise = seed_variance * float(np.mean([1 / len(group) for group in groups]))
        slope, slopes = measure_slope(scores, means, noise, draws)
        baselines = self._judge_baselines(keys, means, draws)
        known = [own for one, own in baselines if one.tau is not None]
        lead = measure_lead(scores, means, known, draws)
        agreement = find_agreement(table)
        verdict, why = _decide(tau, lead, agreement)
        return replace(
            test,
            tau=tau,
            ceiling=None if here is None or there is None else noise_ceiling(here, there),
            slope=slope,
            biases=() if slope is None else self._find_biases(keys, scores, means, slope, slopes),
            agreement=agreement,
            baselines=tuple(one for one, _ in baselines),
            lead=lead,
            verdict=verdict,
            why=why,
        )

    def _judge_baselines(
        self, keys: Sequence[str], means: Floats, draws: Floats
    ) -> list[tuple[Baseline, Floats]]:
        records = [self.trained.records[key] for key in keys]
        backbone = self.space.backbone
        blocks = [Candidate.parse(record.candidate, backbone).blocks for record in records]
        costs = {
            "parameters": [record.params for record in records],
            "MACs": [record.macs for record in records],
            "SE blocks": [sum(block is not None for block in own) for own in blocks],
        }
        arrays = {name: np.array(own, np.float64) for name, own in costs.items()}
        return [
            (Baseline(name, measure_tau(own, means, draws)), own) for name, own in arrays.items()
        ]

    def _find_biases(
        self, keys: Sequence[str], scores: Floats, means: Floats, slope: Measured, slopes: Floats
    ) -> tuple[Bias, ...]:
        if slope.low <= 0:
            return ()
        draws = resample(len(keys))
        places = read_places(self.space, [self.trained.records[key].candidate for key in keys])
        every = np.ones((1, len(keys)))
        found = []
        for place in places:
            own = [
                contrast(scores, place.carries, each) / factor
                - contrast(means, place.carries, each)
                for each, factor in ((every, np.array([slope.value])), (draws, slopes))
            ]
            measured = measure(float(own[0][0]), own[1], scale=POINTS)
            if measured is not None:
                found.append(Bias(place.name, measured))
        return tuple(found)


def _correct(variance: float | None, num_candidates: int) -> float | None:
    """Return a variance within candidates whose levels of replicates were subtracted before."""
    return None if variance is None else variance * num_candidates / (num_candidates - 1)


def _decide(
    tau: Measured | None, lead: Measured | None, agreement: float | None
) -> tuple[Verdict, str]:
    if tau is None or lead is None:
        return "off", "these scores, or the trainings, do not differ"
    reasons = []
    if tau.low <= 0:
        reasons.append("their order may be one of chance, by the interval of tau")
    if agreement is not None and agreement <= 0:
        reasons.append("the members do not agree with each other, so that their order is noise")
    if lead.value <= 0:
        reasons.append(
            "what candidates cost orders them at least as well, and is known before any training"
        )
    if reasons:
        return "off", "; and ".join(reasons)
    return "used", "they order candidates better than chance, and better than costs do"
