"""Whether the statistics mean what they say: intervals, verdicts and probabilities against truth.

    python benchmarks/make_nas_bench_201.py tables
    python benchmarks/calibration.py --table tables/cifar10.csv --table tables/cifar100.csv

Searches are made on simulated spaces, whose true accuracies are known, and on tables of finished
trainings, where seeds that the search never saw judge (NAS-Bench-SE comes with this folder). After
50 and 100 trainings ``compute_posterior`` judges the candidates trained so far, and truth or
held-back seeds say how far that is right. Claims are judged at the edge of being true. Each line
printed is a figure with its Monte-Carlo standard error, the target, and whether it is met; OUTPUT
gets the same as figures.csv, what it rests on as candidates.csv, reliability.csv and
reliability.png and .pdf.

What is measured:

coverage: the share of 95 % intervals that hold the true accuracy. On tables the judge is itself a
    noisy mean of held-back seeds, so the interval is widened by its seeds' standard deviation, as
    the table has it for rows of that accuracy: of a new training, in other words. "model's noise"
    is the same with the standard deviation that the model has found.
reliability: the predicted probability of being on the front of what was trained, against how often
    that is so: Brier score, and expected calibration error over ten bins. The front is the true
    one (simulated), or that of the mean over all of a row's seeds, those of the search among them
    (tables), or that of the held-back seeds alone (tables, "held back"), which noise shuffles:
    there the prediction is of the noisy front, by draws of the model with such noise added.
sure members: of the candidates with a probability of at least 0.9, the share on those fronts.
optimism: reported less judged accuracy, mean over a front's members: of the front of plain means,
    of the model's, and of those of the model's members that are the front of their confirmed
    means (5 fresh seeds where simulated, one on tables with three seeds).
false verdicts: how often a claim is supported whose difference lies on the margin.
"""

from __future__ import annotations

import argparse
import csv
import math
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the table of this folder

from benchmarks.nas_bench_se.table import NASBenchSE, QueryError
from se_search.analysis.claims import Claim
from se_search.analysis.pareto import front_probability, is_non_dominated
from se_search.analysis.power import ALPHA
from se_search.analysis.verdicts import p_values_of
from se_search.benchmark.table import TableSpace
from se_search.benchmark.table_file import read_table
from se_search.report.figures.reliability import draw_reliability, prepare_reliability
from se_search.report.figures.style import save
from se_search.search.history import History
from se_search.search.pool import PoolSource
from se_search.search.proposer import Proposer
from se_search.seeds import derive_seed
from se_search.surrogate.candidate_posterior import compute_posterior
from se_search.surrogate.features import Factors
from se_search.surrogate.trainings import Trainings

Array = NDArray[np.float64]

NUM_STAGES, LEVELS = 4, ("none", "r4", "r8", "r16", "r32")
# Shares of the variance of true accuracy: additive, of pairs of stages, of each network by itself.
SHAPES = {
    "additive": (1.0, 0.0, 0.0),
    "interactions": (0.6, 0.4, 0.0),
    "rough": (0.5, 0.3, 0.2),
}
# Points, as measured of SE placements: networks differ about as much as seeds do.
TRUE_SD = 0.35
SEED_SDS = (0.2, 0.4)
NUM_SIMULATED_SEEDS = 24
NUM_CONFIRM = 5
TRAININGS = (50, 100)
POINTS = 100.0
SURE = 0.9
NUM_BINS = 10
NUM_RESAMPLES = 200
FEWEST_IN_BIN = 100

NUM_PAIRS = (3, 6, 10)
NUM_CLAIMS = 2_000
CLAIM_SD = 0.3

# What is predicted of which front.
FRONTS = {"true_front": "probability", "held_front": "held_probability"}

# Targets: the least and the greatest.
ANY = (-math.inf, math.inf)
COVERAGE = (0.93, 0.97)
SHARE = (0.9, math.inf)
CALIBRATED = (-math.inf, 0.05)
UNBIASED = (-math.inf, 0.03)


@dataclass(frozen=True)
class World:
    """A space whose trainings are looked up, and what judges them.

    Attributes:
        name: for people.
        space: the candidates; ``accuracies`` has a column a seed, all of them there.
        truth: ``(size,)`` true accuracies; None: not known, seeds judge.
        num_seen: how many seeds of a candidate a search may see; the others judge.
    """

    name: str
    space: TableSpace
    truth: Array | None
    num_seen: int

    @cached_property
    def seed_sds(self) -> Array:
        """``(size,)``: standard deviations over seeds, pooled over rows of about that accuracy."""
        variances = self.space.accuracies.var(axis=1, ddof=1)
        order = np.argsort(self.space.mean_accuracies, kind="stable")
        num_bins = int(np.clip(self.space.size // FEWEST_IN_BIN, 1, NUM_BINS))
        found = np.zeros(self.space.size)
        for own in np.array_split(order, num_bins):
            found[own] = np.sqrt(variances[own].mean())
        return found

    def order_seeds(self, run: int) -> NDArray[np.intp]:
        """Return ``(size, k)``: each candidate's columns in the order of this run's seeds."""
        rng = np.random.default_rng(derive_seed("seeds", self.name, run))
        shape = self.space.accuracies.shape
        return np.asarray(np.argsort(rng.random(shape), axis=1))


@dataclass(frozen=True)
class Search:
    """What one search trained, in order.

    Attributes:
        rows: ``(trials,)``, the candidate of each training.
        accuracies: ``(trials,)`` shares, as the search saw them.
        held_back: ``(size, h)`` shares of the seeds that it may not see.
    """

    world: World
    sampler: str
    run: int
    rows: NDArray[np.int64]
    accuracies: Array
    held_back: Array

    def first(self, count: int) -> Search:
        """Return the search as it stood after so many trainings."""
        return Search(
            self.world,
            self.sampler,
            self.run,
            self.rows[:count],
            self.accuracies[:count],
            self.held_back,
        )


def simulate(shape: str, seed_sd: float, seed: int) -> World:
    """Make up a space of 625 SE placements with known true accuracies.

    Args:
        shape: one of ``SHAPES``.
        seed_sd: standard deviation of a training, points.
        seed: of all that is drawn.
    """
    rng = np.random.default_rng(derive_seed("world", shape, seed_sd, seed))
    codes = np.array(list(product(range(len(LEVELS)), repeat=NUM_STAGES)))
    pairs = [(one, two) for one in range(NUM_STAGES) for two in range(one)]
    own = rng.normal(0.3, 1.0, (NUM_STAGES, len(LEVELS)))  # SE helps more often than not
    own[:, 0] = 0.0
    joint = rng.normal(size=(len(pairs), len(LEVELS), len(LEVELS)))
    parts = np.array(
        [
            sum(own[stage, codes[:, stage]] for stage in range(NUM_STAGES)),
            sum(joint[at, codes[:, i], codes[:, j]] for at, (i, j) in enumerate(pairs)),
            rng.normal(size=len(codes)),
        ]
    )
    parts = (parts - parts.mean(axis=1, keepdims=True)) / parts.std(axis=1, keepdims=True)
    truth = 0.9 + TRUE_SD / POINTS * (np.sqrt(SHAPES[shape]) @ parts)
    noise = rng.normal(0, seed_sd / POINTS, (len(codes), NUM_SIMULATED_SEEDS))
    widths = np.array([0, 16, 8, 4, 2])[codes] * 4.0 ** np.arange(NUM_STAGES)
    costs = 150_000 + 40 * widths.sum(axis=1)
    rows = [tuple(LEVELS[code] for code in row) for row in codes]
    columns = [f"x_stage{stage + 2}" for stage in range(NUM_STAGES)]
    space = TableSpace(f"{shape} {seed_sd:g}", columns, rows, costs, truth[:, None] + noise)
    return World(f"{shape}, seeds {seed_sd:g}", space, truth, NUM_SIMULATED_SEEDS // 2)


def restrict(space: TableSpace, num_seen: int) -> World:
    """Make a world of a table: of the rows that have been trained with all its seeds."""
    whole = np.flatnonzero(~np.isnan(space.accuracies).any(axis=1))
    rows = [space.candidate_at(int(index)).values for index in whole]
    kept = TableSpace(space.name, space.columns, rows, space.costs[whole], space.accuracies[whole])
    return World(space.name, kept, None, num_seen)


def search(world: World, sampler: str, run: int, num_trials: int) -> Search:
    """Search a world: ``pareto`` is the product's own sampler, ``random`` takes new candidates.

    Where ``pareto`` asks for a seed more than the search may see, it is asked for the best new
    candidate instead.
    """
    order = world.order_seeds(run)
    values = np.take_along_axis(world.space.accuracies, order, axis=1)
    seen, held_back = values[:, : world.num_seen], values[:, world.num_seen :]
    propose = _random(world, run) if sampler == "random" else _pareto(world, run)
    rows: list[int] = []
    accuracies: list[float] = []
    counts = np.zeros(world.space.size, np.int64)
    for _ in range(num_trials):
        row = propose(rows, accuracies, counts)
        rows.append(row)
        accuracies.append(float(seen[row, counts[row]]))
        counts[row] += 1
    return Search(world, sampler, run, np.array(rows), np.array(accuracies), held_back)


Propose = Callable[[list[int], list[float], NDArray[np.int64]], int]


def _random(world: World, run: int) -> Propose:
    rng = np.random.default_rng(derive_seed("random", world.name, run))
    order = rng.permutation(world.space.size)
    return lambda rows, accuracies, counts: int(order[len(rows)])


def _pareto(world: World, run: int) -> Propose:
    space = world.space
    factors = Factors(space.describe_levels())
    source = PoolSource(space, lambda row: (space.count_cost(row).params,), run)
    wishing, exploring = (
        Proposer(factors, source, lambda codes: True, run, replicates=replicates)
        for replicates in (world.num_seen > 1, False)
    )
    codes = space.codes()

    def propose(rows: list[int], accuracies: list[float], counts: NDArray[np.int64]) -> int:
        none = codes[:0]
        trainings = Trainings(codes[rows], np.zeros(len(rows), np.int64), np.array(accuracies))
        history = History(trainings, (1,), none, np.zeros(0, np.int64), none)
        row = space.index_of(space.with_codes(wishing.decide(history).codes))
        if counts[row] < world.num_seen:
            return row
        return space.index_of(space.with_codes(exploring.decide(history).codes))

    return propose


@dataclass(frozen=True)
class Judge:
    """What is known of a search's candidates beyond what the search saw; rows as of the world.

    Attributes:
        values: ``(size,)`` true accuracies, or means of held-back seeds.
        sds: ``(size,)`` standard deviations of ``values``; 0: they are true.
        fresh: ``(size, k)`` seeds that confirm; None: there are none to spare.
        last: ``(size,)`` what judges the confirmed ones.
        best: ``(size,)`` the best guess at true accuracies: those, or means over all seeds.
    """

    values: Array
    sds: Array
    fresh: Array | None
    last: Array
    best: Array


def make_judge(search: Search) -> Judge:
    """Return what judges a search."""
    world, held_back = search.world, search.held_back
    if world.truth is not None:
        truth = world.truth
        return Judge(truth, np.zeros_like(truth), held_back[:, :NUM_CONFIRM], truth, truth)
    spare = held_back.shape[1] - 1
    return Judge(
        held_back.mean(axis=1),
        world.seed_sds / np.sqrt(held_back.shape[1]),
        held_back[:, :spare] if spare else None,
        held_back[:, -1],
        world.space.mean_accuracies,
    )


def judge_search(search: Search) -> pd.DataFrame:
    """Return a row for each candidate trained: what is believed of it, and what is so, in points.

    Columns: ``seeds`` and ``mean`` of the search; ``estimate``, ``low``, ``high``, ``probability``
    and ``noise_sd`` of the model; ``judged``, and in ``reach_low`` to ``reach_high`` and
    ``model_low`` to ``model_high`` the intervals that should hold it; ``plain_front`` and
    ``front`` as reported; ``true_front`` of the best guess at truth; ``held_front`` of held-back
    seeds with its ``held_probability``; ``confirmed`` and ``confirmed_front`` of the front's
    members by fresh seeds alone, and ``last``, which judges those.
    """
    space = search.world.space
    trained = Trainings(
        space.codes()[search.rows], np.zeros(len(search.rows), np.int64), search.accuracies
    )
    costs = space.costs[search.rows][:, None]
    found = compute_posterior(Factors(space.describe_levels()), trained, (1,), costs)
    rows, paid = search.rows[found.members], costs[found.members]
    judge = make_judge(search)
    rng = np.random.default_rng(0)
    normal = rng.standard_normal(found.draws.shape)
    reached = found.draws + normal * judge.sds[rows]
    is_true = not judge.sds.any()
    width = 0.0 if is_true else found.noise_sd / np.sqrt(search.held_back.shape[1])
    ends = np.quantile(reached, [0.025, 0.975], axis=0)
    model_ends = np.quantile(found.draws + width * normal, [0.025, 0.975], axis=0)
    front = mark_front(paid, found.estimates)
    frame = pd.DataFrame(
        {
            "row": rows,
            "cost": paid[:, 0],
            "seeds": found.num_seeds,
            "mean": POINTS * found.means,
            "estimate": POINTS * found.estimates,
            "low": POINTS * found.lows,
            "high": POINTS * found.highs,
            "probability": found.probabilities,
            "noise_sd": POINTS * found.noise_sd,
            "judged": POINTS * judge.values[rows],
            "reach_low": POINTS * (found.lows if is_true else ends[0]),
            "reach_high": POINTS * (found.highs if is_true else ends[1]),
            "model_low": POINTS * (found.lows if is_true else model_ends[0]),
            "model_high": POINTS * (found.highs if is_true else model_ends[1]),
            "plain_front": mark_front(paid, found.means),
            "front": front,
            "true_front": mark_front(paid, judge.best[rows]),
            "held_front": mark_front(paid, judge.values[rows]),
            "held_probability": front_probability(paid, reached),
            "last": POINTS * judge.last[rows],
            "confirmed": np.nan,
            "confirmed_front": False,
        }
    )
    if judge.fresh is not None:
        means = judge.fresh[rows].mean(axis=1)
        frame.loc[front, "confirmed"] = POINTS * means[front]
        frame.loc[front, "confirmed_front"] = mark_front(paid[front], means[front])
    return frame


def mark_front(costs: Array, accuracies: Array) -> NDArray[np.bool_]:
    """Mark the candidates that no other one beats, ``(n,)``."""
    return is_non_dominated(np.column_stack([-accuracies, costs]))


# --- figures ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured number against its target.

    Attributes:
        group: what it was measured on.
        name: what it is.
        value: the number.
        error: its Monte-Carlo standard error.
        low: the least that meets the target; minus infinity: any.
        high: the greatest.
        count: of what it was measured on: candidates, or claims.
    """

    group: str
    name: str
    value: float
    error: float
    low: float = -math.inf
    high: float = math.inf
    count: int = 0

    @property
    def verdict(self) -> str:
        """``met``; ``open``, where the target is within two standard errors; or ``not met``."""
        if not math.isfinite(self.low) and not math.isfinite(self.high):
            return ""
        if not math.isfinite(self.value):
            return "no data"
        beyond = max(self.low - self.value, self.value - self.high)
        return "met" if beyond <= 0 else "open" if beyond <= 2 * self.error else "not met"

    @property
    def target(self) -> str:
        """The target as text."""
        ends = [f">= {self.low:g}"] * math.isfinite(self.low)
        ends += [f"<= {self.high:g}"] * math.isfinite(self.high)
        return " and ".join(ends)

    def __str__(self) -> str:
        """One line."""
        line = f"{self.group:34} {self.name:54} {self.value:7.3f} ± {self.error:.3f}"
        return f"{line}  n = {self.count:<6} {self.target:20} {self.verdict}".rstrip()


def measure(group: str, frame: pd.DataFrame) -> list[Figure]:
    """Return the figures of searches that are pooled; errors are over searches, not candidates."""
    is_true = bool((frame["reach_low"] == frame["low"]).all())
    members = frame[frame["front"]]
    figures = [
        _share(group, "coverage, all candidates", _covered(frame), frame, COVERAGE),
        _share(group, "coverage, front members", _covered(members), members, COVERAGE),
    ]
    if not is_true:
        figures += [
            _share(group, "coverage, all, model's noise", _covered(frame, "model"), frame, ANY),
            _share(
                group, "coverage, front, model's noise", _covered(members, "model"), members, ANY
            ),
        ]
    fronts = {"true_front": " (all seeds)", "held_front": " (held back)"}
    if is_true:
        fronts = {"true_front": ""}
    for front, where in fronts.items():
        figures += _reliability(group, where, frame, front, FRONTS[front])
    sure = frame[frame["probability"] >= SURE]
    for front, where in fronts.items():
        figures.append(_share(group, f"sure members on the front{where}", sure[front], sure, SHARE))
    for name, front, judged, target in (
        ("plain means", "plain_front", "mean", ANY),
        ("model", "front", "estimate", UNBIASED),
    ):
        own = frame[frame[front]]
        figures.append(
            _share(
                group, f"optimism of the front, {name}", own[judged] - own["judged"], own, target
            )
        )
    confirmed = frame[frame["confirmed"].notna()]
    if len(confirmed):
        best = confirmed[confirmed["confirmed_front"]]
        for name, own in (("confirmed", confirmed), ("confirmed, selected anew", best)):
            luck = own["confirmed"] - own["last"]
            figures.append(_share(group, f"optimism of the front, {name}", luck, own, UNBIASED))
    return figures


def _covered(frame: pd.DataFrame, ends: str = "reach") -> pd.Series[bool]:
    return frame["judged"].between(frame[f"{ends}_low"], frame[f"{ends}_high"])


def _share(
    group: str, name: str, values: pd.Series[Any], frame: pd.DataFrame, target: tuple[float, float]
) -> Figure:
    """Return the mean over candidates, with an error over searches."""
    numbers = values.to_numpy(np.float64)
    value, error = mean_by_search(numbers, frame["search"].to_numpy())
    return Figure(group, name, value, error, *target, len(numbers))


def _reliability(
    group: str, where: str, frame: pd.DataFrame, front: str, column: str
) -> list[Figure]:
    predicted, seen = frame[column].to_numpy(), frame[front].to_numpy(np.float64)
    searches = frame["search"].to_numpy()
    brier, error = mean_by_search((predicted - seen) ** 2, searches)
    ece = calibration_error(predicted, seen)
    resampled = [
        calibration_error(predicted[some], seen[some])
        for some in resample_searches(searches, NUM_RESAMPLES)
    ]
    plain = float(np.mean((frame["plain_front"].to_numpy(np.float64) - seen) ** 2))
    count = len(frame)
    return [
        Figure(group, f"Brier score{where}", brier, error, -math.inf, plain, count),
        Figure(
            group,
            f"calibration error{where}",
            ece,
            float(np.std(resampled)),
            *CALIBRATED,
            count,
        ),
    ]


def mean_by_search(values: Array, searches: NDArray[Any]) -> tuple[float, float]:
    """Return the mean of all values and its standard error, searches being independent.

    The linearised error of a ratio of sums (Cochran 1977, eq. 6.9); values of one search are not
    independent.
    """
    if not len(values):
        return math.nan, math.nan
    mean = float(values.mean())
    _, group = np.unique(searches, return_inverse=True)
    sums = np.bincount(group, weights=values - mean)
    number = len(sums)
    if number < 2:
        return mean, math.nan
    return mean, float(np.sqrt(number / (number - 1) * (sums**2).sum()) / len(values))


def resample_searches(searches: NDArray[Any], count: int) -> Iterator[NDArray[np.intp]]:
    """Draw searches anew, with replacement: give the places of all their candidates."""
    rng = np.random.default_rng(0)
    places = [np.flatnonzero(searches == one) for one in np.unique(searches)]
    for _ in range(count):
        yield np.concatenate([places[i] for i in rng.integers(len(places), size=len(places))])


def calibration_error(predicted: Array, seen: Array) -> float:
    """Return the mean distance between predicted and seen shares, over ten bins (Naeini 2015)."""
    bins = reliability_bins(predicted, seen)
    return float((bins[:, 2] * np.abs(bins[:, 0] - bins[:, 1])).sum() / bins[:, 2].sum())


def reliability_bins(predicted: Array, seen: Array) -> Array:
    """Return, for each bin of a tenth that has any, mean prediction, seen share and count."""
    place = np.minimum((predicted * NUM_BINS).astype(np.int64), NUM_BINS - 1)
    return np.array(
        [
            (predicted[own].mean(), seen[own].mean(), own.sum())
            for own in (place == one for one in range(NUM_BINS))
            if own.any()
        ]
    )


# --- claims -------------------------------------------------------------------------------------


def boundary_cases() -> list[tuple[Claim, float]]:
    """Return claims of each kind with a difference, in points, at which each is just not true."""
    return [
        (Claim.parse("a beats b"), 0.0),
        (Claim.parse("a beats b by 0.2"), 0.2),
        (Claim.parse("a is not worse than b by more than 0.2"), -0.2),
        (Claim.parse("a equals b within 0.2"), 0.2),
        (Claim.parse("a equals b within 1"), -1.0),
    ]


def false_verdicts(
    claim: Claim,
    difference: float,
    noise: tuple[Array, Array],
    num_pairs: int,
    count: int,
    seed: int = 0,
) -> tuple[float, float]:
    """Return how often a claim at the edge is supported, and the standard error of that.

    Args:
        claim: what is said of a and b.
        difference: the true one, in points: on the claim's margin.
        noise: what trainings of a, and of b, are drawn from, with replacement: points, mean 0.
        num_pairs: trainings of each of the two.
        count: how many times.
        seed: of the draws.
    """
    rng = np.random.default_rng(derive_seed("claim", str(claim), num_pairs, seed))
    a, b = (rng.choice(own, (count, num_pairs)) for own in noise)
    differences = (difference + a - b) / POINTS
    share = float(np.mean([p_values_of(claim, row).support <= ALPHA for row in differences]))
    return share, math.sqrt(max(share * (1 - share), 1 / count) / count)


def made_up_noises(count: int = 100_000) -> dict[str, tuple[Array, Array]]:
    """Return normal noise, and a's skewed to the left with twice the spread of b's."""
    rng = np.random.default_rng(derive_seed("noise"))
    normal = rng.normal(0, CLAIM_SD, count)
    skewed = 2 * CLAIM_SD * (4 - rng.gamma(4, size=count)) / 2  # a skew of -1
    return {"normal": (normal, normal), "left-skewed a": (skewed - skewed.mean(), normal)}


def table_noise(space: TableSpace) -> Array:
    """Return what seeds add to the mean of their row, points, in the better half of a table."""
    accuracies = restrict(space, 1).space.accuracies
    means = accuracies.mean(axis=1, keepdims=True)
    own = (accuracies - means)[means[:, 0] >= np.median(means)]
    seeds = accuracies.shape[1]
    return np.asarray(POINTS * own.ravel() * np.sqrt(seeds / (seeds - 1)))


def measure_claims(noises: Mapping[str, tuple[Array, Array]], count: int) -> list[Figure]:
    """Return the false verdicts of all kinds of claims, numbers of pairs and kinds of noise."""
    figures = []
    for name, noise in noises.items():
        for num_pairs, (claim, difference) in product(NUM_PAIRS, boundary_cases()):
            share, error = false_verdicts(claim, difference, noise, num_pairs, count)
            text = f"false '{claim}', n = {num_pairs}"
            figures.append(Figure(f"{name} noise", text, share, error, -math.inf, ALPHA, count))
    return figures


# --- the whole ----------------------------------------------------------------------------------


def list_searches(tables: Sequence[TableSpace], runs: int) -> Iterator[tuple[str, World, str, int]]:
    """Give what is searched: the group that it counts to, a world, a sampler, a run."""
    worlds = [
        (f"tables, {num_seen} seed{'s' * (num_seen > 1)}", restrict(space, num_seen))
        for space in tables
        for num_seen in range(1, min(3, space.accuracies.shape[1]))
    ]
    for run in range(runs):
        for shape, seed_sd in product(SHAPES, SEED_SDS):
            world = simulate(shape, seed_sd, run)
            for sampler in ("random", "pareto"):
                yield f"simulated, {sampler}", world, sampler, run
        for group, world in worlds:
            yield group, world, "pareto", run


def judge_searches(
    tables: Sequence[TableSpace], runs: int, trainings: Sequence[int], path: Path
) -> pd.DataFrame:
    """Make all searches and return what is believed of all candidates; progress to stderr.

    Each search's rows are added to the file as it ends.
    """
    frames: list[pd.DataFrame] = []
    started = time.monotonic()
    path.unlink(missing_ok=True)
    for number, (group, world, sampler, run) in enumerate(list_searches(tables, runs), start=1):
        made = search(world, sampler, run, min(max(trainings), world.space.size))
        for count in trainings:
            frame = judge_search(made.first(count))
            frame.insert(0, "search", f"{world.name}, {sampler}, {run}")
            frame.insert(0, "trainings", count)
            frame.insert(0, "world", world.name)
            frame.insert(0, "group", group)
            frame.to_csv(path, mode="a", header=not frames, index=False)
            frames.append(frame)
        seconds = time.monotonic() - started
        print(f"{number}: {group}: {world.name}, run {run}, {seconds:.0f} s", file=sys.stderr)
    return pd.concat(frames, ignore_index=True)


def measure_all(frame: pd.DataFrame) -> list[Figure]:
    """Return the figures of each group, after each number of trainings."""
    return [
        figure
        for (group, trainings), own in frame.groupby(["group", "trainings"], sort=False)
        for figure in measure(f"{group}, {trainings} trainings", own)
    ]


def bin_all(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the reliability of each group after each number of trainings, a row a bin."""
    rows = []
    for (group, trainings), own in frame.groupby(["group", "trainings"], sort=False):
        for front, column in FRONTS.items():
            found = reliability_bins(own[column].to_numpy(), own[front].to_numpy(np.float64))
            rows += [(group, trainings, front, *one) for one in found.tolist()]
    columns = ["group", "trainings", "front", "predicted", "seen", "count"]
    return pd.DataFrame(rows, columns=columns)


def list_bins(bins: pd.DataFrame) -> dict[str, dict[int, list[tuple[float, float, int]]]]:
    """Return the bins of the true front by group and number of trainings."""
    panels: dict[str, dict[int, list[tuple[float, float, int]]]] = {}
    own = bins[bins["front"] == "true_front"]
    for row in own.to_dict("records"):
        found = panels.setdefault(row["group"], {}).setdefault(row["trainings"], [])
        found.append((row["predicted"], row["seen"], int(row["count"])))
    return panels


def read_nas_bench_se() -> TableSpace | None:
    """Return the table of this folder with as many seeds as 100 networks have; None: not yet."""
    table = NASBenchSE.read()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nas_bench_se.csv"
        for seeds in range(5, 1, -1):
            try:
                if table.to_benchmark_csv(path, epochs=2, seeds=seeds) >= FEWEST_IN_BIN:
                    return read_table(path)
            except QueryError:
                continue
    return None


def write_figures(path: Path, figures: Sequence[Figure]) -> None:
    """Write a row for each figure."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["group", "name", "value", "error", "low", "high", "count", "verdict"])
        for one in figures:
            row = (one.group, one.name, one.value, one.error, one.low, one.high, one.count)
            writer.writerow([*row, one.verdict])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure everything, print it and write it."""
    parser = argparse.ArgumentParser(description="Hold the statistics against the truth.")
    parser.add_argument("--table", type=Path, action="append", default=[], help="a CSV file")
    parser.add_argument("--runs", type=int, default=10, help="searches of each kind (10)")
    parser.add_argument("--trainings", type=int, nargs="+", default=TRAININGS)
    parser.add_argument("--claims", type=int, default=NUM_CLAIMS, help="of each kind (2000)")
    parser.add_argument("--output", type=Path, default=Path("calibration"), help="a folder")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    own = read_nas_bench_se()
    tables = [*map(read_table, options.table), *([own] if own else [])]
    noises = made_up_noises()
    for table in tables:
        noise = table_noise(table)
        noises[table.name] = noise, noise
    claims = measure_claims(noises, options.claims)
    print(*claims, sep="\n", flush=True)
    path = options.output / "candidates.csv"
    frame = judge_searches(tables, options.runs, options.trainings, path)
    figures = measure_all(frame)
    print(*figures, sep="\n")
    write_figures(options.output / "figures.csv", [*claims, *figures])
    bins = bin_all(frame)
    bins.to_csv(options.output / "reliability.csv", index=False)
    prepared = prepare_reliability(
        list_bins(bins),
        "Candidates on the front: how often, against how likely",
        "The true front where it is simulated, else that of the means over all seeds; bars are "
        "95 % intervals.",
    )
    save(draw_reliability(prepared), options.output / "reliability.png")


if __name__ == "__main__":
    main()
