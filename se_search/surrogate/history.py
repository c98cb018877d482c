"""How a search came to what it knows: what it had found, and how sure it was, after each training.

All of it is told by the accuracy model of all trainings and scores: what was found by joint draws
of the gains of the candidates trained by then, beside those of candidates drawn at random in their
place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from se_search.analysis.statistics import median_and_interval
from se_search.candidate import Candidate
from se_search.cost import find_allowed
from se_search.record import TrialRecord
from se_search.space.bound import BoundSpace
from se_search.surrogate.coded_trainings import (
    Encoder,
    Question,
    code_scores,
    code_trainings,
    is_full,
    list_ended,
)
from se_search.surrogate.decision import MIN_REPLICATES, judge_settled
from se_search.surrogate.posterior_front import MedianInterval

if TYPE_CHECKING:
    from se_search.surrogate.fitted_model import FittedModel

Array = NDArray[np.float64]

NUM_POINTS = 20  # at which the history is told
NUM_KERNELS = 5  # of the model's: each takes a factorisation at each point
NUM_DRAWS = 400
MAX_RANDOM = 500  # candidates drawn at random: a longer random search goes on with the last of them
MAX_TRACED = 1_500  # trainings: of more, gains drawn together and the gaps of then take minutes


@dataclass(frozen=True, slots=True)
class HistoryPoint:
    """What was known after some trainings; gains are shares.

    Attributes:
        num_trainings: that had ended well by then.
        seconds: wall time of these trainings, added up; None: not known.
        found: the best gain at a cost or less, averaged over the logarithm of the cost, of the
            candidates that had a full training.
        at_random: of as many candidates drawn at random.
        gap: 95 % upper limit of by how much a trained candidate was better than the one found best
            at its cost, as far as was known then; None: not known.
    """

    num_trainings: int
    seconds: float | None
    found: MedianInterval
    at_random: MedianInterval
    gap: float | None


@dataclass(frozen=True, slots=True)
class History:
    """How a search came to what it knows.

    Attributes:
        points: by the number of trainings.
        cost: ``params``, ``macs`` or ``latency``: over whose logarithm the best gain is averaged.
        tolerance: a search is settled if the gap is below it.
    """

    points: tuple[HistoryPoint, ...]
    cost: str
    tolerance: float

    def to_json(self) -> dict[str, Any]:
        """Return plain data, from which ``from_json`` makes an equal history."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> History:
        """Return the history that ``to_json`` made plain data of.

        Raises:
            KeyError, TypeError: it is something else.
        """
        points = tuple(
            HistoryPoint(
                **row | {name: MedianInterval(**row[name]) for name in ("found", "at_random")}
            )
            for row in data["points"]
        )
        return cls(points, data["cost"], data["tolerance"])


def trace_history(
    records: Sequence[TrialRecord],
    space: BoundSpace,
    question: Question,
    kernels: Sequence[Sequence[float]],
) -> History | None:
    """Return the history of a run's trials.

    Args:
        records: trials in any state.
        space: that the candidates are of, but for the plain network.
        question: what is asked.
        kernels: the hyper-parameters of the model of all trainings.

    Returns:
        None: there is no model, more than 1,500 trainings have ended, or all candidates cost as
        much.
    """
    ended = list_ended(records, question)
    full = [record for record in ended if is_full(record, question)]
    trained = list(dict.fromkeys(record.candidate for record in full))
    if not kernels or len(ended) > MAX_TRACED:
        return None
    # SciPy takes a third of a second to import, and a history is mostly read, not traced.
    from se_search.surrogate.fitted_model import FittedModel

    encode = Encoder(space)
    trainings, budgets = code_trainings(ended, encode)
    few = [np.asarray(kernel) for kernel in kernels[:NUM_KERNELS]]
    scores = code_scores(question.scores, encode.factors, encode)
    model = FittedModel.of(encode.factors, trainings, budgets, few, question.least_noise, scores)
    cost = question.costs[0]
    own = {record.candidate: float(getattr(record, cost)) for record in full}
    costs = np.array([own[name] for name in trained])
    if not np.ptp(costs) > 0:
        return None
    codes = encode(trained)
    rng = np.random.default_rng(0)
    drawn = find_allowed(space).draw_codes(MAX_RANDOM, rng)
    paid = space.price_codes(drawn, lambda candidate: question.price(candidate)[:1])
    accuracies = model.draw(np.vstack([model.plain, codes, drawn]), NUM_DRAWS)
    gains = accuracies[:, 1:] - accuracies[:, :1]
    gains[:, (np.vstack([codes, drawn]) == model.plain).all(axis=1)] = 0.0  # but for rounding
    found, at_random = gains[:, : len(codes)], gains[:, len(codes) :]
    grid = np.unique(np.linspace(1, len(ended), NUM_POINTS).round().astype(int))
    seconds = np.cumsum([record.seconds or 0.0 for record in ended])
    is_timed = all(record.seconds is not None for record in ended)
    # An order of the candidates for each draw; one that is not trained yet counts as the plain one.
    ranks = rng.random(at_random.shape).argsort(axis=1)
    first = {name: row for row, name in enumerate(trained)}
    plain = str(Candidate.plain(space.backbone))
    points = []
    for count in grid.tolist():
        before = [r for r in ended[:count] if is_full(r, question)]
        names = list(dict.fromkeys(record.candidate for record in before))
        is_found = np.isin(np.arange(len(trained)), [first[name] for name in names])
        # Controls are trained by a random search, too; each other training is of a candidate.
        num_random = min(MAX_RANDOM, sum(record.candidate != plain for record in before))
        points.append(
            HistoryPoint(
                count,
                float(seconds[count - 1]) if is_timed else None,
                _average(costs, found * is_found, costs),
                _average(paid[:, 0].astype(float), at_random * (ranks < num_random), costs),
                _find_gap(model, budgets, ended[:count], names, own, encode, question),
            )
        )
    return History(tuple(points), cost, question.tolerance)


def _average(costs: Array, gains: Array, within: Array) -> MedianInterval:
    """Return the best gain at a cost or less, averaged over the logarithm of the cost."""
    return MedianInterval(*median_and_interval(_measure(costs, gains, within)).tolist())


def _measure(costs: Array, gains: Array, within: Array) -> Array:
    """Return ``(draws,)`` averages; what gains nothing counts as the plain network.

    Args:
        costs: ``(n,)``.
        gains: ``(draws, n)``.
        within: costs, from the least of which to the greatest the average is taken.
    """
    low, high = np.log(within.min()), np.log(within.max())
    scaled = np.clip((np.log(costs) - low) / (high - low), 0.0, 1.0)
    order = np.argsort(scaled, kind="stable")
    best = np.maximum.accumulate(np.maximum(gains[:, order], 0.0), axis=1)
    return np.asarray(best @ np.diff(scaled[order], append=1.0))


def _find_gap(
    model: FittedModel,
    budgets: Sequence[int],
    ended: Sequence[TrialRecord],
    names: Sequence[str],
    costs: Mapping[str, float],
    encode: Encoder,
    question: Question,
) -> float | None:
    """Return the gap that the model would have told after the first trainings."""
    from se_search.surrogate.fit_front import MIN_TRAININGS

    if len(ended) < MIN_TRAININGS or len(names) < 2:
        return None
    values = [kernel.values for kernel in model.kernels]
    first = model.trainings.first(len(ended))
    then = type(model).of(model.factors, first, budgets, values, question.least_noise, model.scores)
    accuracies = then.draw(np.vstack([then.plain, encode(names)]), NUM_DRAWS)
    draws = accuracies[:, 1:] - accuracies[:, :1]
    own = np.array([[costs[name]] for name in names])
    settled = judge_settled(draws.mean(axis=0), draws, own, MIN_REPLICATES, question.tolerance)
    return settled.gap
