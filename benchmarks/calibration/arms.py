"""The searches of simulated worlds that calibration rests on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.calibration.judging import judge
from benchmarks.calibration.lines import Line
from benchmarks.calibration.searches import search, search_one_seed
from benchmarks.calibration.worlds import (
    AS_DESIGNED,
    AS_MEASURED,
    Spread,
    World,
    simulate,
)
from se_search.surrogate.posterior_front import MODEL_VERSION

# The shapes of an arm's worlds in turn. Additive gains, pairs of slots and rough ones are as they
# come: about half of them have a gain of 0.5 points.
SHAPES_IN_TURN = (
    *("additive", "null", "pairs", "gain", "harm"),
    *("additive", "gain", "null", "pairs", "rough"),
)


@dataclass(frozen=True, slots=True)
class Arm:
    """Searches of one kind.

    Attributes:
        name: unique.
        sampler: name of a sampler; ``one seed``: the default one as it was before replicates.
        spread: how far candidates and trainings lie apart.
        num_trials: trainings of a search.
        num_searches: how many searches are wanted.
        has_targets: whether the issue states what should come out.
    """

    name: str
    sampler: str
    spread: Spread
    num_trials: int
    num_searches: int
    has_targets: bool = True


HALF, TWICE = AS_MEASURED.with_noise_times(0.5), AS_MEASURED.with_noise_times(2.0)

ARMS = (
    Arm("as measured", "pareto", AS_MEASURED, 200, 200),
    Arm("half the noise", "pareto", HALF, 200, 60),
    Arm("twice the noise", "pareto", TWICE, 200, 60),
    Arm("as designed for", "pareto", AS_DESIGNED, 200, 60),
    Arm("50 trainings", "pareto", AS_MEASURED, 50, 60),
    Arm("100 trainings", "pareto", AS_MEASURED, 100, 60),
    Arm("random candidates", "random", AS_MEASURED, 200, 60, has_targets=False),
    Arm("before replicates", "one seed", AS_MEASURED, 200, 60, has_targets=False),
)


@dataclass(frozen=True, slots=True)
class Job:
    """One search of an arm.

    Attributes:
        arm: its kind.
        run: its number in the arm; the world and the sampler take their seeds from it.
    """

    arm: Arm
    run: int

    @property
    def identity(self) -> Mapping[str, Any]:
        """The fields of its line that no other search's has."""
        return {"arm": self.arm.name, "run": self.run}

    @property
    def world(self) -> World:
        """The world that is searched; arms of one spread share worlds."""
        shape = SHAPES_IN_TURN[self.run % len(SHAPES_IN_TURN)]
        return simulate(shape, self.arm.spread, self.run)

    def carry_out(self) -> Line:
        """Search the world, and return what was reported beside the truth, as plain data.

        The trials are in it by number of the candidate and of the replicate, so that another model
        can be fitted to them without another search.
        """
        arm, world = self.arm, self.world
        started = time.process_time()
        if arm.sampler == "one seed":
            records = search_one_seed(world, self.run, arm.num_trials)
        else:
            records = search(world, arm.sampler, self.run, arm.num_trials)
        searched = time.process_time()
        judged = judge(world, records)
        return {
            "arm": arm.name,
            "run": self.run,
            "shape": world.shape,
            "model": MODEL_VERSION,
            "search_seconds": searched - started,
            "fit_seconds": time.process_time() - searched,
            "trials": [[world.row_of(record.key), record.seed] for record in records],
            **judged,
        }


def list_jobs(arms: Sequence[Arm]) -> list[Job]:
    """Return all searches of some arms, so that each arm is as far as the others at any time."""
    jobs = [Job(arm, run) for arm in arms for run in range(arm.num_searches)]
    return sorted(jobs, key=lambda job: (job.run + 0.5) / job.arm.num_searches)
