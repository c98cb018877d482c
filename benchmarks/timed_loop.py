"""The product's loop on simulated workers, whose clock goes on by what the coordinator computes."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.made_up_runs import EPOCHS, OBJECTIVES, MadeUpNetworks
from benchmarks.simulated_workers import SimulatedWorkers
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.record import Assignment, Evaluation
from se_search.search.loop import Budget, run_search
from se_search.search.pareto_sampler import ParetoSampler
from se_search.search.registry import SAMPLERS
from se_search.search.rotation import MOST_REPLICATES, Rotation
from se_search.seeds import derive_seed
from se_search.store.trials import TrialStore

MINUTES = (10, 30)  # of a training
# What is set of the sampler: how it decides.
KINDS: dict[str, dict[str, int]] = {
    "as it is": {},
    "the whole space, exactly": {"most_scored": 10**12, "most_exact": 10**6},
    "a pool, by weights": {"most_scored": 0, "most_exact": 0},
}


class TimedWorkers(SimulatedWorkers[Candidate]):
    """Simulated workers that note the CPU time which the coordinator takes for each trial.

    Args:
        networks: what is trained.
        num_workers: number of trainings at a time.
        num_before: number of the first trial.

    Attributes:
        asks: CPU seconds from the end of the last training, or the last start, to each start.
    """

    def __init__(self, networks: MadeUpNetworks, num_workers: int, num_before: int = 0) -> None:
        self._number = num_before

        def evaluate(assignment: Assignment[Candidate]) -> Evaluation:
            self._number += 1
            return networks.evaluate(assignment, self._number)

        super().__init__(evaluate, draw_seconds, num_workers)
        self.asks: list[float] = []
        self._since = time.process_time()

    def submit(self, number: int, assignment: Assignment[Candidate]) -> None:
        """Start a training once the coordinator has decided it."""
        self.asks.append(self._pass_time())
        super().submit(number, assignment)

    def wait(self, timeout: float) -> list[Any]:
        """Move the clock to the end of the next training, or by what has been computed."""
        self._pass_time()
        found = super().wait(timeout)
        self._since = time.process_time()
        return found

    def _pass_time(self) -> float:
        seconds = time.process_time() - self._since
        self._since += seconds
        self.now += seconds
        return seconds


def draw_seconds(number: int) -> float:
    """Return how long the training of a trial takes."""
    share = derive_seed(0, "duration", number) % 2**32 / 2**32
    low, high = MINUTES
    return 60 * (low + (high - low) * share)


def run_loop(
    networks: MadeUpNetworks,
    store: TrialStore,
    workers: TimedWorkers,
    num_trials: int,
    lag: int,
    kind: str = "as it is",
) -> None:
    """Run the product's loop with its default sampler until there are so many trials."""
    sampler = SAMPLERS["pareto"](networks.make_setup())
    assert isinstance(sampler, ParetoSampler)
    for name, value in KINDS[kind].items():
        setattr(sampler.proposer, name, value)
    run_search(
        space=networks.space,
        store=store,
        sampler=sampler,
        executor=workers,
        count_cost=count_cost,
        objectives=OBJECTIVES,
        budget=Budget(num_trials, EPOCHS, 5),
        rotation=Rotation(MOST_REPLICATES, 0, networks.control),
        lag=lag,
    )
