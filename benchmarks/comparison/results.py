"""What the searches come to: times to a front that is near enough, by arm, and their ratios."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np

from benchmarks.calibration.crossed_world import CrossedTable
from benchmarks.calibration.lines import Line
from benchmarks.calibration.searches import OBJECTIVES, make_record
from benchmarks.comparison.arms import ARMS, NEAR, SINGLE_SEED, list_checkpoints
from benchmarks.comparison.scoring import Score, Truth, observed_front
from benchmarks.comparison.survival import (
    Estimate,
    Times,
    logrank_p,
    median_time,
    ratio_of_medians,
)
from se_search.surrogate.decision import TOLERANCE

# How near a front is, by the score that is asked, and when it counts as being there.
SCORES = ("gap", "loss", "placement")
RULES = ("kept", "first")
# Other arms whose trainings are compared with, and the share of them that pareto may take.
TARGETS = {"random": 2 / 3, SINGLE_SEED: 1 / 2}


@dataclass(frozen=True)
class Followed:
    """One search, and how good the fronts are that it recommends on its way.

    Attributes:
        arm: its kind.
        run: its number; equal numbers of two arms have one order of the replicates and one seed.
        trainings: ``(k,)`` at which its front was read.
        scores: of the fronts.
        decisions: ``(k,)`` what was said to do about SE.
        settled: ``(k,)`` whether the front was said to be settled.
        shortfalls: ``(k,)`` what a user would lose at the cost where it is most, in points.
        num_networks: ``(k,)`` different networks that had been trained.
    """

    arm: str
    run: int
    trainings: tuple[int, ...]
    scores: tuple[Score, ...]
    decisions: tuple[str, ...]
    settled: tuple[bool, ...]
    shortfalls: tuple[float, ...]
    num_networks: tuple[int, ...]

    @classmethod
    def of(cls, line: Line, table: CrossedTable, truth: Truth) -> Followed:
        """Return a search, scored, of its line of plain data."""
        fronts, placed = (
            [[table.networks[row].key for row in one[name]] for one in line["fronts"]]
            for name in ("front", "placed")
        )
        return cls(
            line["arm"],
            line["run"],
            tuple(one["trainings"] for one in line["fronts"]),
            tuple(map(truth.score, fronts, placed)),
            tuple(one["decision"] for one in line["fronts"]),
            tuple(one["is_settled"] for one in line["fronts"]),
            tuple(truth.whole.shortfall(front) for front in fronts),
            tuple(
                _count_networks(line["trials"], one["trainings"] * table.epochs)
                for one in line["fronts"]
            ),
        )

    def reach(self, score: str, rule: str) -> int | None:
        """Return after how many trainings the front is near enough; None: it is not.

        Args:
            score: ``gap``, ``loss`` or ``placement``.
            rule: ``kept``: from then on, at every checkpoint that was read; ``first``: for the
                first time.
        """
        return self._since([getattr(one, score) <= NEAR for one in self.scores], rule)

    def decide(self, decision: str) -> int | None:
        """Return from when on a decision is told at every checkpoint; None: not at the last."""
        return self._since([one == decision for one in self.decisions], "kept")

    def _since(self, marks: Sequence[bool], rule: str) -> int | None:
        places = np.flatnonzero(marks)
        missed = np.flatnonzero(~np.array(marks, bool))
        if rule == "kept" and len(missed):
            places = places[places > missed[-1]]
        return self.trainings[places[0]] if len(places) else None

    def settle(self) -> tuple[int, float] | None:
        """Return when the front is first said to be settled, and the shortfall then; None: never.

        The question is asked at checkpoints.
        """
        places = np.flatnonzero(self.settled)
        if not len(places):
            return None
        return self.trainings[places[0]], self.shortfalls[places[0]]


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many trainings an arm takes, over those of another one.

    Attributes:
        other: name of the other arm.
        ratio: of the medians.
        p_value: of equal times, by the logrank test.
        target: the share that is asked for; None: none is.
    """

    other: str
    ratio: Estimate
    p_value: float
    target: float | None

    @property
    def verdict(self) -> str:
        """Whether the target is met: by the whole interval, by the ratio alone, or not."""
        if self.target is None or math.isnan(self.ratio.value):
            return "" if self.target is None else "no data"
        if self.ratio.high <= self.target:
            return "met"
        return "open" if self.ratio.low <= self.target else "not met"


class Means(NamedTuple):
    """What searches of an arm are worth on average after some trainings.

    Attributes:
        gap: in points.
        loss: in points.
        placement: in points.
        networks: how many different ones have been trained.
    """

    gap: float
    loss: float
    placement: float
    networks: float


@dataclass(frozen=True)
class Comparison:
    """Searches of a table, scored by what all its trainings say.

    Attributes:
        table: that was searched.
        truth: what all trainings say.
        searches: by arm; those of each arm by number.
    """

    table: CrossedTable
    truth: Truth
    searches: Mapping[str, Sequence[Followed]]

    tolerance: ClassVar[float] = (
        TOLERANCE  # a share: differences that do not matter where a front is settled
    )

    @classmethod
    def of(cls, lines: Sequence[Line], table: CrossedTable, truth: Truth) -> Comparison:
        """Return the comparison of the searches that all arms with any have."""
        found: dict[str, dict[int, Followed]] = {arm.name: {} for arm in ARMS}
        for line in lines:
            found.setdefault(line["arm"], {})[line["run"]] = Followed.of(line, table, truth)
        some = {arm: own for arm, own in found.items() if own}
        shared = set.intersection(*(set(own) for own in some.values())) if some else set()
        return cls(
            table,
            truth,
            {arm: [own[run] for run in sorted(shared)] for arm, own in some.items()},
        )

    @property
    def num_searches(self) -> int:
        """The number of searches of each arm."""
        return min(len(own) for own in self.searches.values())

    @property
    def horizon(self) -> int:
        """The trainings at which searches are censored: the last checkpoint."""
        return list_checkpoints(self.table)[-1]

    @property
    def first_checkpoint(self) -> int:
        """The fewest trainings after which fronts are read."""
        return min(one.trainings[0] for own in self.searches.values() for one in own)

    @property
    def is_decided_at_once(self) -> bool:
        """Whether the plain network alone is as near as is asked for, by hypervolume."""
        return self.truth.whole.hypervolume <= NEAR

    def times(self, arm: str, score: str, rule: str) -> Times:
        """Return the trainings that the searches of an arm take; see ``Followed.reach``."""
        return Times.of([one.reach(score, rule) for one in self.searches[arm]], self.horizon)

    def median(self, arm: str, score: str, rule: str) -> Estimate:
        """Return the median of these trainings, with its interval."""
        return median_time(self.times(arm, score, rule))

    def compare(self, arm: str, other: str, score: str, rule: str) -> Ratio:
        """Compare the trainings of two arms."""
        one, two = (self.times(name, score, rule) for name in (arm, other))
        target = TARGETS.get(other) if arm == "pareto" else None
        return Ratio(other, ratio_of_medians(one, two), logrank_p(one, two), target)

    def mean_scores(self, arm: str) -> dict[int, Means]:
        """Return means over the searches of an arm, by trainings.

        Only checkpoints at which all searches of the arm were read are there.
        """
        searches = self.searches[arm]
        found = {}
        for at in range(min(len(one.trainings) for one in searches)):
            found[searches[0].trainings[at]] = Means(
                gap=float(np.mean([one.scores[at].gap for one in searches])),
                loss=float(np.mean([one.scores[at].loss for one in searches])),
                placement=float(np.mean([one.scores[at].placement for one in searches])),
                networks=float(np.mean([one.num_networks[at] for one in searches])),
            )
        return found

    def find_level(self, arm: str, level: float) -> int | None:
        """Return from when on an arm's mean loss is at most a level, in points; None: never."""
        since = None
        for trainings, means in self.mean_scores(arm).items():
            since = (since or trainings) if means.loss <= level else None
        return since

    @cached_property
    def single_seed_losses(self) -> list[float]:
        """What the front of all networks in one replicate loses, in each replicate, in points."""
        full = self.table.accuracies["validation"][self.table.epochs]
        losses = []
        for number in range(len(self.table.replicates)):
            records = [
                make_record(row, network, number, self.table.epochs, float(full[row, number]))
                for row, network in enumerate(self.table.networks)
            ]
            losses.append(self.truth.whole.loss(observed_front(records, OBJECTIVES[1])))
        return losses

    def decided(self, arm: str) -> Times:
        """Return from when on the searches of an arm tell what all trainings do about SE."""
        return Times.of(
            [one.decide(self.truth.decision) for one in self.searches[arm]], self.horizon
        )

    def list_settled(self, arm: str) -> list[tuple[int, float] | None]:
        """Return for each search of an arm when it is said to be settled; see ``settle``."""
        return [one.settle() for one in self.searches[arm]]


def _count_networks(trials: Sequence[Sequence[int]], epochs: int) -> int:
    """Return how many networks some epochs pay for; trials are row, replicate, epochs."""
    spent = np.cumsum([own for _, _, own in trials])
    return len({row for row, _, _ in trials[: int(np.sum(spent <= epochs))]})
