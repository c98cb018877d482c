"""A bench of networks whose times are known, and tables of latencies made on it."""

from dataclasses import dataclass, field

import numpy as np

from se_search.candidate import Candidate
from se_search.cost import find_allowed
from se_search.latency.measure import Probe, make_table, plan_measurement, time_structures
from se_search.latency.settings import LatencyGround, LatencySettings
from se_search.latency.sums import name_delta

SETTINGS = LatencySettings("cpu", 1, 1)
GROUND = LatencyGround(SETTINGS, "a CPU", {"PyTorch": "2.14.1"})
PLAIN_MS = 10.0


def add_by_width(candidate):
    """Return what SE adds by a truth that sums hold for: 0.1 ms a block, 0.01 a channel."""
    return sum(0.1 + 0.01 * block.width for block in candidate.blocks if block is not None)


@dataclass
class Clock:
    """A machine whose speed changes: times grow by ``drift`` with every run, and scatter.

    Attributes:
        drift: growth of a time with each run, as a share of the first.
        noise: standard deviation of a time, as a share of it.
        spikes: every how many times another process takes the core; 0: never.
    """

    drift: float = 0.0
    noise: float = 0.0
    spikes: int = 0
    count: int = 0
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def time(self, milliseconds):
        """Return the seconds that something of that length takes now."""
        self.count += 1
        spike = 5.0 if self.spikes and self.count % self.spikes == 0 else 1.0
        speed = (1 + self.drift * self.count) * (1 + self.noise * self.rng.normal())
        return milliseconds / 1000 * speed * spike


@dataclass
class MadeUpNetwork:
    """A network whose time is known."""

    milliseconds: float
    clock: Clock
    peak_bytes: int

    def run(self, number):
        """Return what a run takes by the clock."""
        assert number >= 1
        return self.clock.time(self.milliseconds)


@dataclass
class MadeUpBench:
    """Loads networks that take the plain network's time, and what a function says that SE adds."""

    add: object = add_by_width
    clock: Clock = field(default_factory=Clock)
    loaded: list[str] = field(default_factory=list)

    def load(self, candidate):
        """Load a network, and note it."""
        self.loaded.append(str(candidate))
        return MadeUpNetwork(PLAIN_MS + self.add(candidate), self.clock, 1000)


def measure_made_up(space, add=add_by_width, clock=None, budget=1e6, launch_share=None):
    """Return the table of a space on a made-up bench."""
    allowed = find_allowed(space)
    probe = Probe(GROUND, PLAIN_MS / 1000, 0.1, launch_share)
    plan = plan_measurement(allowed, probe, budget)
    bench = MadeUpBench(add, clock or Clock())
    timings = time_structures(bench, plan.structures, plan.rounds, plan.number)
    return make_table(plan, probe, timings, load=0.1, cores=2)


def true_latency(candidate, add=add_by_width):
    """Return the nanoseconds of a batch through a candidate."""
    return round(1e6 * (PLAIN_MS + add(candidate)))


def name_all(candidate: Candidate):
    """Return the names of what a candidate's blocks add."""
    placed = zip(candidate.backbone.sites, candidate.blocks, strict=True)
    return [name_delta(block, site) for site, block in placed if block is not None]
