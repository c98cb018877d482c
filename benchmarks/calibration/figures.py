"""What the judged searches of an arm come to, each figure beside its target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.calibration.arms import Arm
from benchmarks.calibration.judging import FAMILIES, has_large_gain
from benchmarks.calibration.lines import Line
from benchmarks.calibration.measures import (
    MEAN_ERROR,
    NO_TARGET,
    RATE_ERROR,
    Measurement,
    Target,
    calibration_with_error,
    mean_by_search,
    share_of,
)

HOLD = "95 % intervals hold the truth"
SURE = 0.9
UNDECIDED = (0.05, 0.95)  # probabilities of being on the front
NEAR = 0.2  # points, the default of run --tolerance
LONG = 200  # trainings, for which the issue says how often an answer is due

COVERAGE = Target(0.93, 0.97, MEAN_ERROR)
UNBIASED = Target(high=0.03, error=MEAN_ERROR)
CALIBRATED = Target(high=0.03, error=RATE_ERROR)
CALIBRATED_BETWEEN = Target(high=0.10, error=RATE_ERROR)
SURE_MEMBERS = Target(low=0.9, error=RATE_ERROR)
RECOMMENDED = Target(low=0.85, error=RATE_ERROR)
WRONG_ANSWERS = Target(high=0.05, error=RATE_ERROR)
NO_ANSWERS = Target(high=0.30, error=RATE_ERROR)


def measure_arm(arm: Arm, lines: Sequence[Line]) -> list[Measurement]:
    """Return the figures of an arm's searches, in the order of the issue."""
    found = [line for line in lines if line["arm"] == arm.name]
    if not found:
        return []
    candidates = list_candidates(found)
    figures = [
        *_measure_intervals(arm.name, candidates),
        *_measure_optimism(arm.name, candidates, found),
        *_measure_front(arm.name, candidates[candidates["shape"] != "null"]),
        *_measure_answers(arm, found),
        *_measure_settled(arm.name, found),
        *_measure_effects(arm.name, found),
        *_measure_shapes(arm.name, candidates),
        *_measure_noise(arm.name, found),
    ]
    return figures if arm.has_targets else [_without_target(figure) for figure in figures]


def list_candidates(lines: Sequence[Line]) -> pd.DataFrame:
    """Return a row for each trained candidate of some searches, with the columns of ``Judged``.

    The plain network is left out: its gain is 0 by definition.
    """
    frames = []
    for line in lines:
        frame = pd.DataFrame(line["candidates"])
        frame.insert(0, "run", line["run"])
        frame.insert(0, "shape", line["shape"])
        frame.insert(0, "arm", line["arm"])
        frames.append(frame)
    whole = pd.concat(frames, ignore_index=True)
    return whole[~whole["is_plain"]].reset_index(drop=True)


def _measure_intervals(group: str, candidates: pd.DataFrame) -> list[Measurement]:
    covered = candidates["truth"].between(candidates["low"], candidates["high"])
    return [
        _mean(
            group, f"95 % intervals hold the truth: {name}", covered[own], candidates[own], COVERAGE
        )
        for name, own in (
            ("all candidates", np.full(len(candidates), True)),
            ("front members", candidates["on_front"].to_numpy()),
            ("listed", candidates["is_listed"].to_numpy()),
        )
    ]


def _measure_optimism(
    group: str, candidates: pd.DataFrame, lines: Sequence[Line]
) -> list[Measurement]:
    members = candidates[candidates["on_front"]]
    luck = members["gain"] - members["truth"]
    # The plain network can be recommended, and nothing is said of it that could be too good.
    recommended = np.array(
        [
            line["optimism"]
            for line in lines
            if line["optimism"] is not None and line["recommends_se"]
        ]
    )
    return [
        _mean(group, "optimism in points: front members", luck, members, UNBIASED),
        Measurement(
            group,
            "optimism in points: recommended candidate with SE",
            *mean_by_search(recommended, np.arange(len(recommended))),
            len(recommended),
            UNBIASED,
        ),
    ]


def _measure_front(group: str, candidates: pd.DataFrame) -> list[Measurement]:
    """Measure P(front); where no gain differs from 0, fronts are of ties, and are left out."""
    between = candidates["probability"].between(*UNDECIDED)
    sure = candidates[candidates["probability"] >= SURE]
    figures = [
        Measurement(
            group,
            f"calibration error of P(front): {name}",
            *calibration_with_error(
                own["probability"].to_numpy(),
                own["on_true_front"].to_numpy(np.float64),
                own["run"].to_numpy(),
            ),
            own["run"].nunique(),
            target,
        )
        for name, own, target in (
            ("all", candidates, CALIBRATED),
            ("0.05 to 0.95", candidates[between], CALIBRATED_BETWEEN),
        )
    ]
    name = "members with P(front) >= 0.9 are on the true front"
    return [*figures, _mean(group, name, sure["on_true_front"], sure, SURE_MEMBERS)]


def _measure_answers(arm: Arm, lines: Sequence[Line]) -> list[Measurement]:
    group, is_long = arm.name, arm.num_trials >= LONG
    regrets = np.array([line["regret"] for line in lines if line["regret"] is not None])
    with_se = np.array([line["regret"] for line in lines if line["recommends_se"]])
    shortfalls = np.array([line["shortfall"] for line in lines if line["shortfall"] is not None])
    large = [line["decision"] for line in lines if has_large_gain(line)]
    none = [line["decision"] for line in lines if line["best_gain"] <= 0]
    return [
        _share(
            group,
            f"recommended candidate within {NEAR:g} points of the best at its cost",
            regrets <= NEAR,
            RECOMMENDED if is_long else NO_TARGET,
        ),
        # The plain network is the best at its cost by definition.
        _share(group, f"… where it has SE: within {NEAR:g} points", with_se <= NEAR),
        _share(
            group,
            f"recommended candidate within {NEAR:g} points of the best at any cost",
            shortfalls <= NEAR,
        ),
        _share(group, "something is recommended", [line["regret"] is not None for line in lines]),
        _share(
            group,
            "'leave SE out' where 0.5 can be gained",
            [kind == "leave" for kind in large],
            WRONG_ANSWERS,
        ),
        _share(
            group,
            "'put SE in' where nothing can be gained",
            [kind == "put" for kind in none],
            WRONG_ANSWERS,
        ),
        _share(
            group,
            "'nothing can be said' where 0.5 can be gained",
            [kind == "nothing" for kind in large],
            NO_ANSWERS if is_long else NO_TARGET,
        ),
        _share(
            group,
            "'nothing can be said' where nothing can be gained",
            [kind == "nothing" for kind in none],
        ),
    ]


def _measure_settled(group: str, lines: Sequence[Line]) -> list[Measurement]:
    settled = [line for line in lines if line["is_settled"]]
    return [
        _share(group, "settled", [line["is_settled"] for line in lines]),
        _share(
            group,
            f"settled, and no trained candidate more than {NEAR:g} better",
            [line["gap"] <= NEAR for line in settled],
        ),
    ]


def _measure_effects(group: str, lines: Sequence[Line]) -> list[Measurement]:
    """Measure how often a family has an effect that is said to hold where there are none."""
    found = [line["false_effects"] for line in lines if line["false_effects"] is not None]
    return [
        _share(
            group,
            f"families of effects with a false one: {family}",
            [line[family] > 0 for line in found],
        )
        for family in FAMILIES
    ]


def _measure_shapes(group: str, candidates: pd.DataFrame) -> list[Measurement]:
    covered = candidates["truth"].between(candidates["low"], candidates["high"])
    return [
        _mean(group, f"{HOLD}: worlds '{shape}'", covered[own.index], own)
        for shape, own in candidates.groupby("shape")
    ]


def _measure_noise(group: str, lines: Sequence[Line]) -> list[Measurement]:
    found = pd.DataFrame([line["noise"] for line in lines if line["noise"] is not None])
    runs = np.arange(len(found))
    return [
        Measurement(
            group,
            f"fitted {name.removesuffix('_sd')} sd in points",
            *mean_by_search(found[name].to_numpy(), runs),
            len(found),
        )
        for name in found
    ]


def _mean(
    group: str,
    name: str,
    values: pd.Series[Any],
    candidates: pd.DataFrame,
    target: Target = NO_TARGET,
) -> Measurement:
    """Return the mean of values over candidates, with its error over searches."""
    runs = candidates["run"].to_numpy()
    value, error = mean_by_search(values.to_numpy(np.float64), runs)
    return Measurement(group, name, value, error, len(np.unique(runs)), target)


def _share(
    group: str, name: str, marks: Sequence[bool] | NDArray[np.bool_], target: Target = NO_TARGET
) -> Measurement:
    """Return the share of searches that are marked."""
    return Measurement(group, name, *share_of(np.array(marks, bool)), len(marks), target)


def _without_target(figure: Measurement) -> Measurement:
    return Measurement(figure.group, figure.name, figure.value, figure.error, figure.count)
