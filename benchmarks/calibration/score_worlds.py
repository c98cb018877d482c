"""What scores of supernets do to gains and their intervals, in worlds whose truth is known.

Run as ``python benchmarks/calibration/score_worlds.py --worlds 40``. A world (``worlds``) has 625
candidates, of which some are trained in rotating replicates, at random or as the default sampler
asks for (``--search``), and scores of all of them by some supernets. The model is fitted with the
scores and without, and its gains of all candidates are held against the truth. With ``--tested``
the first trainings are a ladder's probes, and the model is given scores only if they pass the
self-test by all trainings, as in a run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))  # the top of the checkout

from benchmarks.calibration.searches import make_record, search
from benchmarks.calibration.worlds import (
    AS_MEASURED,
    PLAIN_ACCURACY,
    POINTS,
    Array,
    World,
    draw_level_terms,
    simulate,
    sum_level_terms,
)
from se_search.analysis.rung_test import judge_scores
from se_search.candidate import Candidate
from se_search.cost import count_cost
from se_search.record import TrialRecord
from se_search.score import Score
from se_search.search.probes import Spread
from se_search.search.rotation import count_replicates
from se_search.search.segments import count_probes
from se_search.seeds import derive_seed
from se_search.surrogate.coded_trainings import Encoder, code_scores, code_trainings
from se_search.surrogate.fitted_model import FittedModel
from se_search.surrogate.trainings import Trainings

SHAPES_IN_TURN = ("additive", "pairs", "gain", "null", "harm")
COUNTS = (24, 50, 100)  # trainings, controls included
NUM_MEMBERS = 4
SLOPE = 0.35  # by which scores of supernets are shrunken (facts of the pilot)
# Standard deviations in points. Differences to no SE varied over supernets by 0.15.
MEMBER_SMOOTH, MEMBER_NOISE, BIAS = 0.12, 0.09, 0.03
MISLEADING = 0.1  # of a bias that alone makes up the scores
NUM_DRAWS = 400


@dataclass(frozen=True, slots=True)
class Kind:
    """How a rung's scores come about.

    Attributes:
        slope: of the true gains.
        bias: returns what all members get wrong alike, in points, ``(size,)``.
    """

    slope: float
    bias: Callable[[World, np.random.Generator], Array]


def _smooth(sd: float) -> Callable[[World, np.random.Generator], Array]:
    def draw(world: World, rng: np.random.Generator) -> Array:
        return sd * _standardise(sum_level_terms(draw_level_terms(rng)))

    return draw


def _against_the_count(world: World, rng: np.random.Generator) -> Array:
    """Return a bias that grows with the number of SE blocks where the truth falls with it."""
    count = _standardise((world.space.codes() > 0).sum(axis=1).astype(float))
    return -MISLEADING * float(np.sign(count @ world.gains) or 1.0) * count


KINDS: dict[str, Kind | None] = {
    "without": None,
    "good": Kind(SLOPE, _smooth(BIAS)),
    "worthless": Kind(0.0, _smooth(0.07)),
    "misleading": Kind(0.0, _against_the_count),
    "reversed": Kind(-SLOPE, _smooth(BIAS)),
}


def score_all(world: World, kind: Kind, seed: int, num_members: int = NUM_MEMBERS) -> list[Score]:
    """Return the scores of all candidates of a world by some supernets."""
    rng = np.random.default_rng(derive_seed("scores", world.shape, seed))
    bias = kind.slope * POINTS * world.gains + kind.bias(world, rng)
    members = [
        bias
        + rng.normal(0, 0.3)
        + MEMBER_SMOOTH * _standardise(sum_level_terms(draw_level_terms(rng)))
        + rng.normal(0, MEMBER_NOISE, world.space.size)
        for _ in range(num_members)
    ]
    texts = [(str(candidate), candidate.key) for candidate in world.space]
    return [
        Score("supernet", member, *names, None, None, PLAIN_ACCURACY + float(value) / POINTS, 0.0)
        for member, own in enumerate(members)
        for names, value in zip(texts, own, strict=True)
    ]


def train_some(world: World, seed: int, count: int) -> Trainings:
    """Return trainings of random candidates in rotating replicates, each with its control."""
    rng = np.random.default_rng(derive_seed("trained", world.shape, seed, count))
    num_replicates = count_replicates(count)
    others = 1 + rng.choice(world.space.size - 1, count - num_replicates, replace=False)
    rows = np.concatenate([np.zeros(num_replicates, np.int64), others])
    replicates = np.arange(count) % num_replicates
    accuracies = [world.accuracy(int(row), int(r)) for row, r in zip(rows, replicates, strict=True)]
    codes = world.space.codes()[rows]
    return Trainings(codes, np.zeros(count, np.int64), replicates, np.array(accuracies))


def train_tested(world: World, seed: int, count: int) -> tuple[Trainings, list[TrialRecord]]:
    """Return trainings of which the first are a ladder's probes, and their records.

    Probes have replicates of their own, the plain network in each; the other trainings are those of
    ``train_some``.
    """
    space = world.space
    spread = Spread(space, world.allowed, lambda one: [count_cost(one).params], seed)
    probes = spread.choose_probes(count_probes(count, spread.size))
    seeds = sorted({probe.seed for probe in probes})
    named = [(Candidate.plain(space.backbone), one) for one in seeds]
    named += [(space.parse(probe.candidate), probe.seed) for probe in probes]
    rows = [space.index_of(candidate) for candidate, _ in named]
    records = [
        replace(make_record(at, candidate, own, 1, world.accuracy(rows[at], own)), role="probe")
        for at, (candidate, own) in enumerate(named)
    ]
    rest = train_some(world, seed, count - len(records))
    first = Trainings(
        world.space.codes()[rows],
        np.zeros(len(rows), np.int64),
        np.array([own for _, own in named]),
        np.array([record.accuracy for record in records]),
    )
    both = zip(astuple(first), astuple(rest), strict=True)
    every = Trainings(*(np.concatenate(pair) for pair in both))
    for at in range(len(records), count):
        candidate, own = space.with_codes(every.codes[at]), int(every.replicates[at])
        records.append(make_record(at, candidate, own, 1, float(every.accuracies[at])))
    return every, records


def search_some(world: World, seed: int, count: int, scores: Sequence[Score]) -> Trainings:
    """Return the trainings that the default sampler asks for; it is given the scores."""
    records = search(world, "pareto", seed, count, scores=scores)
    return code_trainings(records, Encoder(world.space))[0]


def judge(world: World, model: FittedModel) -> dict[str, Any]:
    """Return how gains of all candidates, as a model tells them, compare with the truth."""
    codes = world.space.codes()
    drawn = model.draw(codes, NUM_DRAWS)
    gains = POINTS * (drawn - drawn[:, :1])[:, 1:]
    truth = POINTS * world.gains[1:]
    low, high = np.quantile(gains, [0.025, 0.975], axis=0)
    mean = gains.mean(axis=0)
    is_trained = (codes[1:, None] == model.trainings.codes).all(axis=2).any(axis=1)
    best = int(np.argmax(mean))
    is_better = mean[best] > 0
    trained = int(np.argmax(np.where(is_trained, mean, -np.inf)))
    found_gain = truth[trained] if mean[trained] > 0 else 0.0
    found = {
        "coverage": float(np.mean((low <= truth) & (truth <= high))),
        "width": float(np.mean(high - low)),
        "offset": float(np.mean(mean - truth)),
        "offset_sd": float(gains.mean(axis=1).std()),
        "rmse": float(np.sqrt(np.mean((mean - truth) ** 2))),
        "optimism": float(mean[best] - truth[best]) if is_better else 0.0,
        "regret": float(max(0.0, truth.max()) - (truth[best] if is_better else 0.0)),
        "regret_trained": float(max(0.0, truth.max()) - found_gain),
        "correlation": float(np.corrcoef(mean, truth)[0, 1]) if truth.any() else None,
    }
    if model.scores:
        names = model.kernels[0].names
        values = np.array([kernel.values for kernel in model.kernels])
        found |= {
            name: float(np.exp(np.median(values[:, number])))
            for number, name in enumerate(names)
            if name.startswith("rung_")
        }
    return found


def measure(
    seed: int,
    counts: Sequence[int],
    kinds: Sequence[str],
    num_kernels: int | None = None,
    *,
    searches: bool = False,
    is_tested: bool = False,
    num_members: int = NUM_MEMBERS,
) -> list[dict[str, Any]]:
    """Return a row for each number of trainings and kind of scores, in one world.

    Args:
        seed: number of the world.
        counts: numbers of trainings.
        kinds: names of ``KINDS``.
        num_kernels: of a model; None: as many as usual.
        searches: whether the default sampler chooses what is trained, and not chance.
        is_tested: whether scores are given to the model only if they pass the self-test.
        num_members: supernets that score.
    """
    world = simulate(SHAPES_IN_TURN[seed % len(SHAPES_IN_TURN)], AS_MEASURED, seed)
    encode = Encoder(world.space)
    rows = []
    for count in counts:
        drawn, records = train_some(world, seed, count), []
        if is_tested:
            drawn, records = train_tested(world, seed, count)
        without: dict[str, Any] | None = None
        for name in kinds:
            kind = KINDS[name]
            given = [] if kind is None else score_all(world, kind, seed, num_members)
            is_used = bool(given)
            if is_tested:
                is_used = any(test.is_used for test in judge_scores(given, records, world.space))
                given = given if is_used else []
            if given or without is None:
                trainings = search_some(world, seed, count, given) if searches else drawn
                scores = code_scores(given, encode.factors, encode)
                started = time.process_time()
                model = FittedModel.fit(encode.factors, trainings, [1], num_kernels, scores=scores)
                found = judge(world, model) | {"seconds": time.process_time() - started}
                without = without if given else found
            else:
                found = without  # no kind has other trainings
            rows.append(
                {"world": seed, "shape": world.shape, "trainings": count, "scores": name}
                | {"used": is_used}
                | found
            )
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and append a line for each fit to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--worlds", type=int, default=40, help="how many (40)")
    parser.add_argument("--first", type=int, default=0, help="number of the first world (0)")
    parser.add_argument("--trainings", type=int, nargs="*", default=COUNTS)
    parser.add_argument("--scores", choices=KINDS, nargs="*", default=[*KINDS])
    parser.add_argument("--kernels", type=int, help="kernels of a model (as many as usual)")
    parser.add_argument("--members", type=int, default=NUM_MEMBERS, help="supernets that score (4)")
    parser.add_argument("--tested", action="store_true", help="give only scores that pass")
    parser.add_argument("--search", action="store_true", help="train what the sampler asks for")
    parser.add_argument("--output", type=Path, help="gets a line of JSON for each fit")
    options = parser.parse_args(arguments)
    rows: list[dict[str, Any]] = []
    for seed in range(options.first, options.first + options.worlds):
        own = measure(
            *(seed, options.trainings, options.scores, options.kernels),
            searches=options.search,
            is_tested=options.tested,
            num_members=options.members,
        )
        if options.output is not None:
            with options.output.open("a") as file:
                file.writelines(json.dumps(row) + "\n" for row in own)
        rows += own
    print(tabulate(rows))
    return 0


def tabulate(rows: Sequence[dict[str, Any]]) -> str:
    """Return means over worlds, and the standard error of the coverage, as text."""
    lines = [
        "trainings scores      worlds used coverage (error) width  rmse  optimism regret  trained"
        "   secs"
    ]
    for count in dict.fromkeys(row["trainings"] for row in rows):
        for name in dict.fromkeys(row["scores"] for row in rows):
            own = [r for r in rows if (r["trainings"], r["scores"]) == (count, name)]
            if not own:
                continue
            mean = {
                key: float(np.mean([row[key] for row in own]))
                for key in (
                    "used",
                    "coverage",
                    "width",
                    "rmse",
                    "optimism",
                    "regret",
                    "seconds",
                    "regret_trained",
                )
            }
            error = float(np.std([row["coverage"] for row in own]) / np.sqrt(max(1, len(own) - 1)))
            lines.append(
                f"{count:9} {name:12} {len(own):5} {mean['used']:4.2f} "
                f"{mean['coverage']:8.3f} ({error:.3f}) "
                f"{mean['width']:6.3f} {mean['rmse']:6.3f} {mean['optimism']:8.3f} "
                f"{mean['regret']:6.3f} {mean['regret_trained']:8.3f} {mean['seconds']:7.1f}"
            )
    return "\n".join(lines)


def _standardise(values: Array) -> Array:
    return np.asarray((values - values.mean()) / values.std())


if __name__ == "__main__":
    sys.exit(main())
