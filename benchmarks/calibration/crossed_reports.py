"""What a search of a crossed table reports, and what it predicts that fresh replicates will show.

A fresh replicate shows a difference to the plain network that scatters about the gain: it likes
some candidates better than others, and both trainings have noise. The plain network's training in
a replicate is in the differences of all candidates there, so that their errors are shared. All of
it is drawn with the variances of the model that was fitted to the search, and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration.crossed_world import CrossedWorld
from benchmarks.calibration.searches import OBJECTIVES
from benchmarks.calibration.worlds import POINTS, Array
from se_search.analysis.pareto import front_probability
from se_search.record import TrialRecord
from se_search.space.bound import BoundSpace
from se_search.surrogate.features import Factors
from se_search.surrogate.fit_front import Question, fit_front
from se_search.surrogate.fitted_model import NUM_DRAWS, FittedModel
from se_search.surrogate.one_thread import one_thread
from se_search.surrogate.posterior_front import PosteriorFront
from se_search.surrogate.trainings import Trainings

DIGITS = 4  # of points: a ten-thousandth of a per cent of the images
TAIL = 0.025  # of a 95 % interval
UPPER = 0.95  # of the limit below which a gap is said to lie
REPLICATES, ONE_SEED = "replicates", "one seed"  # how a search was made and read


@dataclass(frozen=True)
class Fresh:
    """What some fresh replicates are predicted to show, on average over them.

    Attributes:
        low: lower end of the 95 % interval of each trained candidate's difference, in points.
        high: upper end of the 95 % interval of each trained candidate's difference, in points.
        probability: of being on the front of these differences, of each trained candidate.
        gap: expected gap of the reported front (``find_gaps``), in points.
        gap_limit: 95 % upper limit of the gap.
    """

    low: list[float]
    high: list[float]
    probability: list[float]
    gap: float
    gap_limit: float


@dataclass(frozen=True)
class Report:
    """What a search reports after some trainings; a list holds a value for each trained candidate.

    Gains are accuracies less the plain network's, in points.

    Attributes:
        trainings: how many there have been.
        rows: the candidates' numbers in the table; 0 is the plain network.
        gain: as reported.
        low: lower end of the reported 95 % interval.
        high: upper end of the reported 95 % interval.
        probability: reported, of being on the front of the trained candidates.
        on_front: whether it is reported to be on the front.
        is_listed: whether tables list it.
        plain_gain: difference of the mean accuracies of all trainings, without a model.
        on_plain_front: whether it is on the front of the mean accuracies.
        recommended: row of the recommended candidate.
        decision: ``put``, ``leave`` or ``nothing``.
        gain_limit: 95 % upper limit of the largest gain of any trained candidate.
        is_settled: whether the front is said to have settled.
        fresh: by number of fresh replicates, what they are predicted to show.
        noise: the fitted standard deviations, in points.
    """

    trainings: int
    rows: list[int]
    gain: list[float]
    low: list[float]
    high: list[float]
    probability: list[float]
    on_front: list[bool]
    is_listed: list[bool]
    plain_gain: list[float]
    on_plain_front: list[bool]
    recommended: int
    decision: str
    gain_limit: float
    is_settled: bool
    fresh: dict[str, Fresh]
    noise: dict[str, float]


def report(
    world: CrossedWorld, records: Sequence[TrialRecord], kind: str, judges: Sequence[int]
) -> Report:
    """Fit what the product fits after a search, and predict what fresh replicates will show.

    Args:
        world: that was searched.
        records: of the search.
        kind: ``replicates``, or ``one seed``: a search from before replicates. That version gave no
            answer; it counts as having put SE in where the interval of a candidate lies above the
            plain network, and as having recommended the best member of its front.
        judges: numbers of fresh replicates.
    """
    front = fit_front(records, world.space, Question(OBJECTIVES, world.epochs))
    assert front.noise is not None, front.reason  # there is a model
    rows = [world.table.row_of(candidate.summary.key) for candidate in front.candidates]
    decision, recommended = _read_answer(front, kind)
    means = np.array([candidate.summary.accuracy for candidate in front.candidates])
    marks = np.array([candidate.on_front for candidate in front.candidates])
    codes = np.array([world.space.codes_of(world.table.networks[row]) for row in rows])
    model = _fit_model(records, world.space, world.epochs)
    drawn = {number: draw_fresh(model, codes, number) for number in judges}
    return Report(
        trainings=len(records),
        rows=rows,
        gain=_points([candidate.gain for candidate in front.candidates]),
        low=_points([candidate.low for candidate in front.candidates]),
        high=_points([candidate.high for candidate in front.candidates]),
        probability=_round([candidate.probability_on_front for candidate in front.candidates]),
        on_front=marks.tolist(),
        is_listed=[candidate.is_listed for candidate in front.candidates],
        plain_gain=_points(means - means[rows.index(0)]),
        on_plain_front=[candidate.summary.on_front for candidate in front.candidates],
        recommended=rows[recommended],
        decision=decision,
        gain_limit=_points([front.decision.gain_limit])[0],
        is_settled=front.settled.is_settled,
        fresh={
            str(number): _describe(draws, world.table.costs[rows], marks)
            for number, draws in drawn.items()
        },
        noise={name: POINTS * sd for name, sd in asdict(front.noise).items()},
    )


def draw_fresh(
    model: FittedModel, codes: NDArray[np.int16], num_replicates: int, num_draws: int = NUM_DRAWS
) -> Array:
    """Draw candidates' differences to the plain network, averaged over fresh replicates, together.

    Draws of one number of candidates use equal random numbers, whatever the number of replicates.
    Levels of replicates are in both accuracies of a difference, and so in none.

    Args:
        model: fitted to a search.
        codes: ``(m, num_slots)``.
        num_replicates: how many fresh replicates there are.
        num_draws: rounded down to a multiple of the number of kernels.

    Returns:
        ``(num_draws, m)``: shares.
    """
    whole = np.vstack([model.plain, codes])
    accuracies = model.draw(whole, num_draws)
    rows = model.factors.one_hot(whole)
    rng = np.random.default_rng(2)
    scatter = []
    with one_thread():
        for kernel in model.kernels:
            covariance = rows @ kernel.liking @ rows.T
            covariance[np.diag_indices(len(rows))] += kernel.noise[-1]
            normal = rng.standard_normal((len(accuracies) // len(model.kernels), len(rows)))
            scatter.append(normal @ np.linalg.cholesky(covariance).T)
    shown = accuracies + np.concatenate(scatter) * model.scale.sd / np.sqrt(num_replicates)
    differences = shown[:, 1:] - shown[:, :1]
    differences[:, (codes == model.plain).all(axis=1)] = 0.0  # the plain network's own
    return np.asarray(differences)


def find_gaps(costs: NDArray[np.int64], gains: Array, on_front: NDArray[np.bool_]) -> Array:
    """Return how much better than the reported front the best at a cost is, at most over costs.

    Args:
        costs: ``(n,)`` of the trained candidates.
        gains: ``(draws, n)``.
        on_front: ``(n,)`` reported members. The dearest that costs no more is reported for a cost.

    Returns:
        ``(draws,)``.
    """
    order = np.lexsort((on_front, costs))  # at one cost, members come last
    best = np.maximum.accumulate(gains[:, order], axis=1)
    member = np.maximum.accumulate(np.where(on_front[order], np.arange(len(order)), -1))
    ends = np.append(np.flatnonzero(np.diff(costs[order])), len(order) - 1)
    ends = ends[member[ends] >= 0]
    return np.asarray((best[:, ends] - gains[:, order[member[ends]]]).max(axis=1))


def _describe(draws: Array, costs: NDArray[np.int64], on_front: NDArray[np.bool_]) -> Fresh:
    low, high = np.quantile(draws, [TAIL, 1 - TAIL], axis=0)
    gaps = POINTS * find_gaps(costs, draws, on_front)
    return Fresh(
        _points(low),
        _points(high),
        _round(front_probability(costs[:, None].astype(np.float64), draws)),
        float(gaps.mean()),
        float(np.quantile(gaps, UPPER)),
    )


def _read_answer(front: PosteriorFront, kind: str) -> tuple[str, int]:
    """Return the decision, and the place of the recommended candidate."""
    keys = [candidate.summary.key for candidate in front.candidates]
    if kind == REPLICATES:
        assert front.recommended_key is not None  # there is a model
        return front.decision.kind, keys.index(front.recommended_key)
    is_put = any((candidate.low or 0.0) > 0 for candidate in front.candidates)
    best = max(front.front, key=lambda candidate: candidate.gain)
    return "put" if is_put else "nothing", keys.index(best.summary.key)


def _fit_model(records: Sequence[TrialRecord], space: BoundSpace, epochs: int) -> FittedModel:
    """Return the model that ``fit_front`` fits to full trainings; it keeps the model to itself."""
    codes = [space.codes_of(space.parse(record.candidate)) for record in records]
    trainings = Trainings(
        np.array(codes, np.int16),
        np.zeros(len(records), np.int64),
        np.array([record.seed for record in records], np.int64),
        np.array([record.accuracy for record in records], np.float64),
    )
    return FittedModel.fit(Factors(space.describe_levels()), trainings, [epochs])


def _points(shares: Any) -> list[float]:
    return _round(POINTS * np.asarray(shares, np.float64))


def _round(values: Any) -> list[float]:
    found: list[float] = np.round(np.asarray(values, np.float64), DIGITS).tolist()
    return found
