"""The searches that are compared, each with the fronts that it recommends on its way."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from benchmarks.calibration.crossed_world import CrossedTable, CrossedWorld
from benchmarks.calibration.lines import Line
from benchmarks.calibration.searches import OBJECTIVES, make_record, search
from benchmarks.comparison.scoring import Fitted, Truth, fit, observed_front
from benchmarks.comparison.single_seed import search_with_single_seed
from se_search.record import Rung, TrialRecord
from se_search.score import BACKWARD, Score, SupernetSettings, count_share, count_worth
from se_search.seeds import derive_seed
from se_search.surrogate.coded_trainings import Question
from se_search.surrogate.fit_front import MIN_TRAININGS, fit_front
from se_search.surrogate.posterior_front import MODEL_VERSION

NEAR = 0.05  # points: what a front may lack, or lose, to be as good as that of all trainings
# Trainings after which fronts are read. They lie close together where a user would stop: 200 is
# the default of ``run --trials``.
SCORED = (
    *(8, 12, 16, 20, 24, 30, 36, 42, 48, 54, 60),
    *(72, 84, 96, 108, 120, 150, 180, 210, 240),
)
# Those beyond are read only until a search is near and has been at the last four checkpoints.
SCORED_LATE = (300, 360, 450, 560)
STAY = 4
NUM_TRAIN, NUM_VALIDATION = 6_000, 10_000  # images of the recipe quick
NUM_BATCH = 64  # images by which a score without training sees a network


@dataclass(frozen=True, slots=True)
class Arm:
    """Searches of one kind.

    Attributes:
        name: unique.
        sampler: name of a sampler; with the product's loop: replicates take turns, each with a
            control, and the front is that of the fitted model. None: Optuna's TPE with one seed.
        has_rungs: whether candidates have a short training first, and the best a full one.
        num_supernets: whose scores of all networks are known before the first training; they are
            paid for in trainings' worth.
        zero_cost: name of a rung that trains nothing, whose scores are known and paid for likewise;
            None: there is none.
    """

    name: str
    sampler: str | None
    has_rungs: bool = False
    num_supernets: int = 0
    zero_cost: str | None = None


SINGLE_SEED = "TPE as it is"
ARMS = (
    Arm("pareto", "pareto"),
    Arm("tpe", "tpe"),
    Arm("nsga2", "nsga2"),
    Arm("random", "random"),
    Arm(SINGLE_SEED, None),
    Arm("pareto with rungs", "pareto", has_rungs=True),
    Arm("random with rungs", "random", has_rungs=True),
    Arm("pareto with 2 supernets", "pareto", num_supernets=2),
    Arm("pareto with 8 supernets", "pareto", num_supernets=8),
)


@dataclass(frozen=True, slots=True)
class Told:
    """What is told after some trainings.

    Attributes:
        front: keys of the recommended front, cheapest first.
        placed: keys of the front of networks with SE, cheapest first.
        decision: ``put``, ``leave`` or ``nothing``, which is also what is said without a model.
        is_settled: whether the front is said to be settled; not without a model.
    """

    front: list[str]
    placed: list[str]
    decision: str = "nothing"
    is_settled: bool = False

    @classmethod
    def by(cls, fitted: Fitted) -> Told:
        """Return what the fitted model tells."""
        return cls(
            fitted.front,
            fitted.with_se().front,
            fitted.decision.kind,
            fitted.settled.is_settled,
        )


@dataclass(frozen=True)
class Job:
    """One search of an arm, its fronts included.

    Attributes:
        arm: its kind.
        run: its number; the sampler and the order of the replicates take their seeds from it.
        table: that is searched.
        truth: that tells when a search needs no further checkpoint.
        problem: name of the problem (``benchmarks.ladder``) whose supernets score the networks.
    """

    arm: Arm
    run: int
    table: CrossedTable
    truth: Truth
    problem: str = "default"

    @property
    def identity(self) -> Mapping[str, Any]:
        """The fields of its line that no other search's has."""
        return {"arm": self.arm.name, "run": self.run, "table": self.table.digest}

    @property
    def world(self) -> CrossedWorld:
        """The table, its replicates in an order that is drawn for each run."""
        rng = np.random.default_rng(derive_seed("comparison", self.run))
        return CrossedWorld(self.table, tuple(rng.permutation(self.table.replicates).tolist()))

    def carry_out(self) -> Line:
        """Search the table, and read the fronts at checkpoints; return both as plain data.

        Networks are given by their numbers in the table. Checkpoints count full trainings; shorter
        ones are paid by their share of the epochs.
        """
        started = time.process_time()
        early = [count for count in list_checkpoints(self.table) if count <= SCORED[-1]]
        late = list_checkpoints(self.table)[len(early) :]
        records = self._search(early[-1])
        fronts = [self._read_front(records, count) for count in early]
        # A longer search begins with the trials of a shorter one.
        if late and not _stays(fronts):
            records = self._search(late[-1])
            for count in late:
                fronts.append(self._read_front(records, count))
                if _stays(fronts):
                    break
        return {
            **self.identity,
            "model": MODEL_VERSION,
            "seconds": time.process_time() - started,
            "trials": [[self.table.row_of(r.key), r.seed, r.epochs] for r in records],
            "fronts": fronts,
        }

    @property
    def scores(self) -> tuple[Score, ...]:
        """What the arm's supernets, or its rung that trains nothing, say of the networks."""
        if self.arm.zero_cost is not None:
            return read_untrained(self.problem, self.arm.zero_cost)
        count = self.arm.num_supernets
        return read_supernets(self.problem, count) if count else ()

    @property
    def worth(self) -> int:
        """What the arm's scores cost, supernets included, in full trainings, rounded up."""
        if self.arm.zero_cost is not None:
            return count_untrained_worth(self.table, len(self.scores))
        return count_supernets_worth(self.table, self.arm.num_supernets)

    def _search(self, trainings: int) -> list[TrialRecord]:
        """Return the trials of a search that can pay for some full trainings."""
        if self.arm.sampler is None:
            return search_with_single_seed(self.world, 0, self.run, trainings)
        rungs = list_rungs(self.table) if self.arm.has_rungs else ()
        shortest = min((rung.epochs for rung in rungs), default=self.table.epochs)
        most = trainings * self.table.epochs // shortest
        records = search(
            self.world, self.arm.sampler, self.run, most, rungs=rungs, scores=self.scores
        )
        return pay(records, trainings * self.table.epochs)

    def _read_front(self, records: Sequence[TrialRecord], trainings: int) -> Line:
        left = trainings - self.worth
        if left < 1:
            told = Told([self.table.networks[0].key], [])  # nothing has been trained yet
        else:
            told = self._recommend(pay(records, left * self.table.epochs))
        return {
            "trainings": trainings,
            "front": [self.table.row_of(key) for key in told.front],
            "placed": [self.table.row_of(key) for key in told.placed],
            "decision": told.decision,
            "is_settled": told.is_settled,
            "is_near": self.truth.score(told.front, told.placed).worst <= NEAR,
        }

    def _recommend(self, seen: Sequence[TrialRecord]) -> Told:
        plain = self.table.networks[0].key
        if self.arm.sampler is None:
            with_se = [record for record in seen if record.key != plain]
            return Told(observed_front(seen, OBJECTIVES[1]), observed_front(with_se, OBJECTIVES[1]))
        question = Question(OBJECTIVES, self.table.epochs, scores=self.scores)
        full = {record.key for record in seen if record.epochs == self.table.epochs}
        if len(seen) < MIN_TRAININGS or len(full) < 2:
            members = fit_front(seen, self.table.space, question).front
            keys = [candidate.summary.key for candidate in members]
            return Told(keys, [key for key in keys if key != plain])
        return Told.by(fit(seen, self.table.space, question))


def _stays(fronts: Sequence[Line]) -> bool:
    """Tell whether the last fronts were all near the one of all trainings."""
    return all(front["is_near"] for front in fronts[-STAY:])


def count_all(table: CrossedTable) -> int:
    """Return the number of full trainings of a table."""
    return len(table.networks) * len(table.replicates)


def list_checkpoints(table: CrossedTable) -> list[int]:
    """Return the numbers of trainings after which fronts are read: fewer than all trainings."""
    return [count for count in (*SCORED, *SCORED_LATE) if count < count_all(table)]


def list_rungs(table: CrossedTable) -> tuple[Rung, ...]:
    """Return the rungs of a table: its shortest trainings, then full ones; empty: it has none."""
    lengths = sorted(table.accuracies["validation"])
    return () if len(lengths) < 2 else (Rung(lengths[0], 1), Rung(lengths[-1], 1))


def list_jobs(
    table: CrossedTable,
    truth: Truth,
    arms: Sequence[Arm],
    num_searches: int,
    problem: str = "default",
) -> list[Job]:
    """Return the searches of some arms in turn, of rungs only where a table has short trainings."""
    possible = [arm for arm in arms if list_rungs(table) or not arm.has_rungs]
    return [Job(arm, run, table, truth, problem) for run in range(num_searches) for arm in possible]


@lru_cache(maxsize=4)
def read_supernets(problem: str, count: int) -> tuple[Score, ...]:
    """Return what the first supernets of a problem say of its networks."""
    from benchmarks.ladder.table import read_scores

    found = read_scores(problem, "joint")
    assert found is not None
    members = sorted({score.member for score in found.scores})[:count]
    assert len(members) == count
    return tuple(score for score in found.scores if score.member in members)


@lru_cache(maxsize=4)
def read_untrained(problem: str, rung: str) -> tuple[Score, ...]:
    """Return what all members of a rung that trains nothing say of a problem's networks."""
    from benchmarks.ladder.table import read_zero_cost

    found = read_zero_cost(problem, rung)
    assert found is not None
    return found.scores


def count_untrained_worth(table: CrossedTable, num_scores: int) -> int:
    """Return what scores of one batch each cost, in full trainings, rounded up."""
    score = NUM_BATCH * (1 + BACKWARD)
    training = table.epochs * NUM_TRAIN * (1 + BACKWARD) + NUM_VALIDATION
    return math.ceil(num_scores * score / training)


def count_supernets_worth(table: CrossedTable, count: int) -> int:
    """Return what some supernets cost that score all networks of a table, in full trainings."""
    networks = list(table.networks)
    images = (NUM_TRAIN, NUM_VALIDATION)
    share = count_share(networks)
    parts = count_worth(
        SupernetSettings(), len(networks), share, *images, table.epochs, table.epochs
    )
    return math.ceil(count * sum(parts))


def pay(records: Sequence[TrialRecord], epochs: int) -> list[TrialRecord]:
    """Return the first trainings that some epochs pay for."""
    spent = np.cumsum([record.epochs for record in records])
    return list(records[: int(np.sum(spent <= epochs))])


def find_truth(table: CrossedTable) -> Truth:
    """Fit the product's model to all full trainings of a table."""
    full = table.accuracies["validation"][table.epochs]
    cells = [(row, number) for number in range(full.shape[1]) for row in range(full.shape[0])]
    records = [
        make_record(at, table.networks[row], number, table.epochs, float(full[row, number]))
        for at, (row, number) in enumerate(cells)
    ]
    return Truth.of(fit(records, table.space, Question(OBJECTIVES, table.epochs)))
