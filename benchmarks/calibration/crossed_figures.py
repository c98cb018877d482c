"""What searches of a crossed table come to, judged by the replicates that they never saw.

All halves of a few replicates share trainings, so that their standard deviation says nothing of
another table. Errors are those of the delete-one jackknife over replicates (Efron & Stein 1981):
without a replicate there are the searches that did not use it, judged by the judges that are left,
with the intervals that are predicted for so many judges. An error says how far the figure of
another draw of replicates may lie, for these networks and this recipe, and nothing of other
networks or data. With six replicates it has five degrees of freedom. In simulated tables it is
right within a tenth for means over all candidates, and up to twice too large for the candidate that
looks best (Efron & Stein: what depends on pairs and triples of replicates counts twice and thrice).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration.crossed_judging import Judged, judge, read_plainly
from benchmarks.calibration.crossed_replays import WHOLE
from benchmarks.calibration.crossed_reports import ONE_SEED, REPLICATES
from benchmarks.calibration.crossed_world import IMAGES, CrossedTable
from benchmarks.calibration.lines import Line
from benchmarks.calibration.measures import (
    MEAN_ERROR,
    NO_TARGET,
    RATE_ERROR,
    Measurement,
    Target,
    calibration_error,
)
from benchmarks.calibration.worlds import Array
from se_search.surrogate.posterior_front import Noise

PLAIN = "one seed, plain means"  # the searches of one seed, read without a model
KINDS = (REPLICATES, ONE_SEED, PLAIN)
UNDECIDED = (0.05, 0.95)  # probabilities of being on the front
ANSWERS = ("put", "leave", "nothing")
NOISE = tuple(field.name for field in fields(Noise))

COVERAGE = Target(0.93, 0.97, MEAN_ERROR)
UNBIASED = Target(-0.03, 0.03, MEAN_ERROR)
CALIBRATED = Target(high=0.03, error=RATE_ERROR)
CALIBRATED_BETWEEN = Target(high=0.10, error=RATE_ERROR)


@dataclass(frozen=True)
class Figure:
    """A figure of judged searches.

    Attributes:
        name: unique.
        measure: returns its value; NaN: there are no data.
        is_share: whether it is a share of candidates or of searches.
        target: the values that it should have.
    """

    name: str
    measure: Callable[[Sequence[Judged]], float]
    is_share: bool = False
    target: Target = NO_TARGET


def measure_crossed(table: CrossedTable, lines: Sequence[Line]) -> list[Measurement]:
    """Return the figures of all searches of a table, with jackknife errors.

    Args:
        table: that was searched.
        lines: of its searches and of its whole; those of another table are left out.
    """
    own = [line for line in lines if line.get("table") == table.digest]
    figures = []
    for line in own:
        if line["kind"] == WHOLE:
            figures += _measure_whole(table, line["reports"][0])
    searches = [line for line in own if line["kind"] != WHOLE]
    lengths = sorted({one["trainings"] for line in searches for one in line["reports"]})
    for kind, length, images in product(KINDS, lengths, IMAGES):
        found = [
            (line["split"], read_plainly(one) if kind == PLAIN else one)
            for line in searches
            if line["kind"] == (ONE_SEED if kind == PLAIN else kind)
            for one in line["reports"]
            if one["trainings"] == length
        ]
        if found:
            group = f"{kind}, {length} trainings, {images}"
            wanted = list(OF_MEANS if kind == PLAIN else FIGURES)
            if kind != REPLICATES:
                wanted = [replace(figure, target=NO_TARGET) for figure in wanted]
            figures += _measure_group(table, found, images, group, wanted)
    return figures


def _measure_group(
    table: CrossedTable,
    found: Sequence[tuple[Sequence[int], Mapping[str, Any]]],
    images: str,
    group: str,
    figures: Sequence[Figure],
) -> list[Measurement]:
    def summarise(without: int | None) -> Array:
        judged = [
            judge(table, one, [s for s in table.replicates if s not in (*split, without)], images)
            for split, one in found
            if without not in split
        ]
        return np.array([figure.measure(judged) for figure in figures])

    values, errors = jackknife(summarise, table.replicates)
    # An error of 0 would be too sure.
    is_extreme = np.array([figure.is_share for figure in figures]) & np.isin(values, (0.0, 1.0))
    errors[is_extreme & (errors == 0)] = 1 / len(table.replicates)
    return [
        Measurement(group, figure.name, float(value), float(error), len(found), figure.target)
        for figure, value, error in zip(figures, values, errors, strict=True)
    ]


def jackknife(
    summarise: Callable[[int | None], Array], replicates: Sequence[int]
) -> tuple[Array, Array]:
    """Return figures and their delete-one jackknife errors, ``(n,)`` each (Efron & Stein 1981).

    An error is NaN where a figure has no data without some replicate.

    Args:
        summarise: returns the figures, ``(n,)``, without a replicate or (None) with all.
        replicates: the draws that could have been others.
    """
    without = np.array([summarise(one) for one in replicates])
    squares = ((without - without.mean(axis=0)) ** 2).sum(axis=0)
    share = (len(replicates) - 1) / len(replicates)
    return summarise(None), np.sqrt(share * squares)


def _measure_whole(table: CrossedTable, found: Mapping[str, Any]) -> list[Measurement]:
    """Return the product's answer to all trainings; it has no error, as there is one table."""
    gains = dict(zip(found["rows"], found["gain"], strict=True))
    values = {
        "networks": len(table),
        "replicates": len(table.replicates),
        **{f"decision: {kind}": float(found["decision"] == kind) for kind in ANSWERS},
        "95 % upper limit of the largest gain, points": found["gain_limit"],
        "gain of the recommended candidate, points": gains[found["recommended"]],
        "largest gain, points": max(gains.values()),
        "smallest gain, points": min(gains.values()),
        "settled": float(found["is_settled"]),
        **{f"fitted {name[:-3]} sd, points": found["noise"][name] for name in NOISE},
    }
    return [Measurement(WHOLE, name, float(value), math.nan, 1) for name, value in values.items()]


def _over_candidates(
    value: Callable[[Judged], Array], mark: Callable[[Judged], Any] = lambda one: slice(None)
) -> Callable[[Sequence[Judged]], float]:
    """Return what takes the mean of a value over the marked candidates of all searches."""

    def measure(judged: Sequence[Judged]) -> float:
        values = np.concatenate([value(one)[mark(one)] for one in judged]) if judged else ()
        return float(np.mean(values)) if len(values) else math.nan

    return measure


def _over_searches(
    value: Callable[[Judged], float], mark: Callable[[Judged], bool] = lambda one: True
) -> Callable[[Sequence[Judged]], float]:
    """Return what takes the mean of a value over the marked searches."""

    def measure(judged: Sequence[Judged]) -> float:
        values = [value(one) for one in judged if mark(one)]
        return float(np.mean(values)) if values else math.nan

    return measure


def _calibrate(
    mark: Callable[[Judged], Any] = lambda one: slice(None),
) -> Callable[[Sequence[Judged]], float]:
    """Return what takes the calibration error of the predicted front of marked candidates."""

    def measure(judged: Sequence[Judged]) -> float:
        predicted = np.concatenate([one.probability[mark(one)] for one in judged] or [np.zeros(0)])
        seen = np.concatenate([one.on_fresh_front[mark(one)] for one in judged] or [np.zeros(0)])
        return calibration_error(predicted, seen.astype(np.float64)) if len(seen) else math.nan

    return measure


def _holds(one: Judged) -> Array:
    return one.holds.astype(np.float64)


def _excess(one: Judged) -> Array:
    return one.gain - one.fresh


def _luck(one: Judged) -> Array:
    """The excess less that of all candidates, which the plain network's own luck makes as well."""
    excess = _excess(one)
    return np.asarray(excess - excess.mean())


def _members(one: Judged) -> NDArray[np.bool_]:
    return one.on_front


def _undecided(one: Judged) -> NDArray[np.bool_]:
    return (one.probability >= UNDECIDED[0]) & (one.probability <= UNDECIDED[1])


def _recommends_se(one: Judged) -> bool:
    return one.best is not None


def _list_gaps(name: str, mark: Callable[[Judged], bool]) -> list[Figure]:
    return [
        Figure(f"{name}: judges' gap, points", _over_searches(lambda one: one.gap, mark)),
        Figure(f"{name}: expected gap, points", _over_searches(lambda one: one.gap_expected, mark)),
        Figure(
            f"{name}: gap within its 95 % limit",
            _over_searches(lambda one: float(one.gap <= one.gap_limit), mark),
            is_share=True,
        ),
    ]


def _decide(kind: str) -> Callable[[Sequence[Judged]], float]:
    return _over_searches(lambda one: float(one.decision == kind))


def _take_noise(name: str) -> Callable[[Sequence[Judged]], float]:
    return _over_searches(lambda one: one.noise[name])


HOLD = "95 % intervals hold what the judges show"
OPTIMISM = "reported less judges' gain, points"
LUCK = "the excess of it over all candidates', points"
RECOMMENDED = "recommended candidate with SE"
FRONT = "calibration error of the judges' front"

# What can be said of plain means, which have neither intervals nor probabilities nor answers.
OF_MEANS = (
    Figure(f"{OPTIMISM}: all candidates", _over_candidates(_excess)),
    Figure(f"{OPTIMISM}: front members", _over_candidates(_excess, _members), target=UNBIASED),
    Figure(
        f"{OPTIMISM}: {RECOMMENDED}",
        _over_searches(lambda one: float(_excess(one)[one.best]), _recommends_se),
        target=UNBIASED,
    ),
    Figure(f"{LUCK}: front members", _over_candidates(_luck, _members), target=UNBIASED),
    Figure(
        f"{LUCK}: {RECOMMENDED}",
        _over_searches(lambda one: float(_luck(one)[one.best]), _recommends_se),
        target=UNBIASED,
    ),
    Figure(
        f"judges' gain, points: {RECOMMENDED}",
        _over_searches(lambda one: float(one.fresh[one.best]), _recommends_se),
    ),
    Figure(
        "a candidate with SE is recommended",
        _over_searches(lambda one: float(_recommends_se(one))),
        is_share=True,
    ),
    Figure(
        "front members on the judges' front",
        _over_candidates(lambda one: one.on_fresh_front.astype(np.float64), _members),
        is_share=True,
    ),
)
FIGURES = (
    Figure(f"{HOLD}: all candidates", _over_candidates(_holds), True, COVERAGE),
    Figure(f"{HOLD}: front members", _over_candidates(_holds, _members), True, COVERAGE),
    Figure(f"{HOLD}: listed", _over_candidates(_holds, lambda s: s.is_listed), True, COVERAGE),
    *OF_MEANS,
    Figure("front members expected there", _over_candidates(lambda s: s.probability, _members)),
    Figure(f"{FRONT}: all", _calibrate(), target=CALIBRATED),
    Figure(f"{FRONT}: 0.05 to 0.95", _calibrate(_undecided), target=CALIBRATED_BETWEEN),
    *(Figure(f"decision: {kind}", _decide(kind), is_share=True) for kind in ANSWERS),
    Figure("settled", _over_searches(lambda one: float(one.is_settled)), is_share=True),
    *_list_gaps("settled", lambda one: one.is_settled),
    *_list_gaps("all searches", lambda one: True),
    *(Figure(f"fitted {name[:-3]} sd, points", _take_noise(name)) for name in NOISE),
)
