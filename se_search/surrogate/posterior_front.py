"""The front with its uncertainty: costs are exact, accuracies are what noisy trainings say.

The reported front is that of the estimates; the credible set is all candidates that are on the
front in at least one draw of twenty (the others are confidently dominated). Joint draws also give
the hypervolume with an interval, and the band in which the best accuracy at each cost lies.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import moocore
import numpy as np
from numpy.typing import NDArray

from se_search.analysis.pareto import (
    CandidateSummary,
    hypervolume,
    is_non_dominated,
    seed_sd,
    summarize,
)
from se_search.analysis.statistics import CONFIDENCE, median_and_interval
from se_search.record import ENDED_WELL, TrialRecord
from se_search.space.bound import BoundSpace
from se_search.space.texts import encode_texts

if TYPE_CHECKING:
    from se_search.surrogate.candidate_posterior import CandidatePosterior

Array = NDArray[np.float64]

CREDIBLE = 0.05
MIN_TRAININGS = 8
MODEL_VERSION = 1  # another number for another model: what was kept of the old one is made anew


@dataclass(frozen=True, slots=True)
class MedianInterval:
    """A number that is not known exactly: its median, and the ends of its 95 % interval."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Step:
    """The best accuracy at a cost or less: median and 95 % interval over the draws."""

    cost: float
    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PosteriorCandidate:
    """A candidate with the posterior of its accuracy after a full training.

    Attributes:
        summary: plain means over the candidate's seeds; ``summary.on_front`` is by plain means.
        estimate: posterior mean of the accuracy; the plain mean where there is no model.
        estimate_sd: standard deviation of the estimate; None: not known.
        low: lower end of the 95 % interval of the accuracy; None: not known.
        high: upper end of the 95 % interval of the accuracy; None: not known.
        probability_on_front: that no other candidate with a full training is better at no higher
            cost; None: not known.
        on_front: whether no other candidate has a better estimate at no higher cost.
    """

    summary: CandidateSummary
    estimate: float
    estimate_sd: float | None
    low: float | None
    high: float | None
    probability_on_front: float | None
    on_front: bool

    def flat(self) -> dict[str, Any]:
        """Return one row: the summary's fields, the posterior's, the marks of both fronts."""
        row = asdict(self.summary)
        on_plain_front = row.pop("on_front")
        return row | {
            "estimate": self.estimate,
            "estimate_sd": self.estimate_sd,
            "low": self.low,
            "high": self.high,
            "probability_on_front": self.probability_on_front,
            "on_plain_front": on_plain_front,
            "on_front": self.on_front,
        }


@dataclass(frozen=True, slots=True)
class PosteriorFront:
    """The front of a run, and how sure it is.

    Attributes:
        candidates: all that have a full training, in the order of their first full training.
        reason: why there is no model and all estimates are plain means; None: there is a model.
        seed_sd: standard deviation over seeds, pooled over repeated candidates; None: not known.
        hypervolume: of all candidates; each cost's logarithm is scaled to 0..1 over them. With
            one cost that is the best accuracy at a cost less ``reference``, averaged over the
            logarithm of the cost. None: there is no model, or a cost does not vary.
        plain_hypervolume: hypervolume of the plain means, which luck makes too great.
        reference: the accuracy of the worst full training, from which hypervolume counts.
        attainment: by cost, the best accuracy at that cost or less; empty: there is no model.
    """

    candidates: tuple[PosteriorCandidate, ...]
    reason: str | None
    seed_sd: float | None
    hypervolume: MedianInterval | None
    plain_hypervolume: float | None
    reference: float | None
    attainment: Mapping[str, tuple[Step, ...]]

    @property
    def front(self) -> list[PosteriorCandidate]:
        """The front by the estimates, cheapest first."""
        return _cheapest_first(c for c in self.candidates if c.on_front)

    @property
    def is_modelled(self) -> bool:
        """Whether estimates are a model's, and not plain means."""
        return self.reason is None

    @property
    def unlisted(self) -> list[PosteriorCandidate]:
        """The credible set without the front."""
        return [candidate for candidate in self.credible_set if not candidate.on_front]

    @property
    def credible_set(self) -> list[PosteriorCandidate]:
        """All that are on the front with a probability of at least 0.05, cheapest first."""
        return _cheapest_first(
            c for c in self.candidates if (c.probability_on_front or 0.0) >= CREDIBLE
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data, from which ``from_json`` makes the same front to the bit."""
        return asdict(self)

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
        area = data["hypervolume"]
        steps = {
            name: tuple(Step(**step) for step in own) for name, own in data["attainment"].items()
        }
        return cls(
            **dict(data)
            | {
                "candidates": tuple(candidates),
                "hypervolume": None if area is None else MedianInterval(**area),
                "attainment": steps,
            }
        )


def fit_front(
    records: Iterable[TrialRecord], space: BoundSpace, objectives: Sequence[str], full_epochs: int
) -> PosteriorFront:
    """Return the front of a run's trials.

    The order of the records does not matter. With fewer than eight trainings, or just one
    candidate, there is no model: estimates are plain means, and their intervals come from the
    seeds alone if any candidate has two.

    Args:
        records: trials in any state.
        space: that the candidates are of.
        objectives: ``accuracy``, and the costs that are minimised.
        full_epochs: of a full training; longer ones are left out.

    Raises:
        SpaceError: a candidate is not in the space.
    """
    ordered = sorted(records, key=lambda record: record.number)
    ended = [
        record
        for record in ordered
        if record.state in ENDED_WELL
        and record.accuracy is not None
        and (record.epochs < full_epochs or _is_full(record, full_epochs))
    ]
    full = [record for record in ended if _is_full(record, full_epochs)]
    summaries = summarize(full, objectives)
    names = [name for name in objectives if name != "accuracy"]
    if len(ended) < MIN_TRAININGS:
        return plain_front(summaries, f"fewer than {MIN_TRAININGS} trainings have ended")
    if len(summaries) < 2:
        return plain_front(summaries, "fewer than two candidates have a full training")
    # SciPy takes a third of a second to import, and a front is mostly read, not fitted.
    from se_search.surrogate.candidate_posterior import compute_posterior
    from se_search.surrogate.features import Factors
    from se_search.surrogate.trainings import Trainings

    factors = Factors(space.describe_levels())
    codes = encode_texts(space, [record.candidate for record in ended])
    budgets = sorted({record.epochs for record in ended})
    trainings = Trainings(
        codes,
        np.array([budgets.index(record.epochs) for record in ended], np.int64),
        np.array([record.accuracy for record in ended], np.float64),
    )
    costs = np.array([[getattr(record, name) for name in names] for record in ended], np.float64)
    posterior = compute_posterior(factors, trainings, budgets, costs)
    worst = min(record.accuracy for record in full if record.accuracy is not None)
    return _summarize_posterior(posterior, summaries, costs[posterior.members], names, worst)


def plain_front(summaries: Sequence[CandidateSummary], reason: str) -> PosteriorFront:
    """Return the front of plain means, with intervals from the seeds alone (Student's t).

    Args:
        summaries: of all candidates that have a full training.
        reason: why there is no model.
    """
    noise, reach = seed_sd(summaries), None
    if noise is not None:
        from scipy.special import stdtrit

        freedom = sum(summary.num_replicates - 1 for summary in summaries)
        reach = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * noise
    candidates = []
    for summary in summaries:
        root = math.sqrt(summary.num_replicates)
        mean = summary.accuracy
        candidates.append(
            PosteriorCandidate(
                summary,
                mean,
                None if noise is None else noise / root,
                None if reach is None else max(0.0, mean - reach / root),
                None if reach is None else min(1.0, mean + reach / root),
                None,
                summary.on_front,
            )
        )
    return PosteriorFront(tuple(candidates), reason, noise, None, None, None, {})


def _is_full(record: TrialRecord, full_epochs: int) -> bool:
    return record.state == "COMPLETE" and record.epochs == full_epochs


def _summarize_posterior(
    posterior: CandidatePosterior,
    summaries: Sequence[CandidateSummary],
    costs: Array,
    names: Sequence[str],
    reference: float,
) -> PosteriorFront:
    # Both list candidates in the order of their first full training.
    on_front = is_non_dominated(np.column_stack([-posterior.estimates, costs]))
    candidates = [
        PosteriorCandidate(
            summary,
            float(posterior.estimates[row]),
            float(posterior.sds[row]),
            float(posterior.lows[row]),
            float(posterior.highs[row]),
            float(posterior.probabilities[row]),
            bool(on_front[row]),
        )
        for row, summary in enumerate(summaries)
    ]
    area = plain = None
    if (np.ptp(costs, axis=0) > 0).all():
        scaled = _scale_costs(costs)
        area = MedianInterval(
            *median_and_interval(_areas(scaled, posterior.draws, reference)).tolist()
        )
        plain = float(_areas(scaled, posterior.means[None], reference)[0])
    attainment = {
        name: _attain(costs[:, column], posterior.draws) for column, name in enumerate(names)
    }
    return PosteriorFront(
        tuple(candidates), None, seed_sd(summaries), area, plain, reference, attainment
    )


def _scale_costs(costs: Array) -> Array:
    """Return the logarithms of costs, 0 at the least and 1 at the greatest of each."""
    logs = np.log(costs)
    low, high = logs.min(axis=0), logs.max(axis=0)
    return np.asarray((logs - low) / (high - low))


def _areas(costs: Array, draws: Array, reference: float) -> Array:
    """Return the hypervolume of each draw over (1, ..., 1) and an accuracy, ``(draws,)``."""
    if costs.shape[1] == 1:
        return np.array([hypervolume(costs[:, 0], draw, (1.0, reference)) for draw in draws])
    point = [*np.ones(costs.shape[1]), -reference]
    measure = moocore.Hypervolume(ref=point)
    return np.array([measure(np.column_stack([costs, -draw])) for draw in draws])


def _attain(costs: Array, draws: Array) -> tuple[Step, ...]:
    """Return the best accuracy at each cost or less, where it can change."""
    order = np.argsort(costs, kind="stable")
    best = np.maximum.accumulate(draws[:, order], axis=1)
    last = np.append(np.flatnonzero(np.diff(costs[order])), len(costs) - 1)
    found = median_and_interval(best[:, last])
    return tuple(
        Step(float(cost), *map(float, ends))
        for cost, *ends in zip(costs[order][last], *found, strict=True)
    )


def _cheapest_first(candidates: Iterable[PosteriorCandidate]) -> list[PosteriorCandidate]:
    return sorted(candidates, key=lambda c: (c.summary.params, c.summary.macs))
