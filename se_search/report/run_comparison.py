"""Two runs of one protocol side by side: their answers, their fronts, and paired differences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Console

from se_search.analysis.comparison import Interval
from se_search.analysis.paired_tests import sd_of
from se_search.analysis.replicates import Replicates, paired_differences, shared_replicates
from se_search.analysis.statistics import t_quantile
from se_search.errors import RunChangedError, RunError
from se_search.latency.table import LatencyTable
from se_search.record import TrialRecord
from se_search.report.answer import COST_NAMES, Answer, make_answer
from se_search.report.console import print_text
from se_search.report.event import list_columns
from se_search.report.format import count, gain
from se_search.report.front_table import list_front
from se_search.report.run_facts import read_facts
from se_search.report.table import Column, ResultTable
from se_search.store.confirmations import read_fresh, read_rounds
from se_search.store.identity import compare_identities
from se_search.store.run_folder import RunFolder
from se_search.store.run_space import read_space
from se_search.store.run_trials import find_trials
from se_search.store.trials import read_records
from se_search.surrogate.posterior_front import PosteriorCandidate, PosteriorFront
from se_search.terminal import one_line

# What two runs may differ in that are compared: which candidates they may train, and choose.
OWN = ("space", "seed", "objectives", "latency")
MAX_ROWS = 12
CAUTION = (
    "Paired differences are of the replicates that chose these candidates, and so may look larger "
    "than they are; confirm trains candidates in fresh replicates."
)


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """One of two runs.

    Attributes:
        run: its folder.
        space: that it searches.
        records: its trials.
        front: what they say of each candidate.
        answer: what follows.
        latency: what SE takes in time there; None: the run has measured none.
    """

    run: str
    space: str
    records: Sequence[TrialRecord]
    front: PosteriorFront
    answer: Answer
    latency: LatencyTable | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much one candidate is more accurate than another in the replicates of both, in shares.

    Attributes:
        mean: over the replicates.
        interval: of the mean, at 95 %, by Student's paired t; None: there is one replicate.
        seeds: of the replicates.
    """

    mean: float
    interval: Interval | None
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Level:
    """What each of two runs found best at a cost or less.

    Attributes:
        cost: the cost.
        a: the first run's candidate of the largest expected gain; None: it has none so cheap.
        b: that of the second run.
        difference: accuracy of the first less that of the second; None: they are one network, or
            share no replicate.
    """

    cost: int
    a: PosteriorCandidate | None
    b: PosteriorCandidate | None
    difference: Difference | None


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two runs side by side.

    Attributes:
        cost: ``params``, ``macs`` or ``latency``: by which fronts are compared.
        levels: a row for each cost of a listed candidate at which a front rises, cheapest first.
        num_repeated: trainings that both runs made: of one network, in one replicate.
        num_equal: how many of these have equal accuracies to the bit.
        without_latency: why latencies, which both minimise, are not compared; None: they are, or
            not both minimise them.
    """

    a: ComparedRun
    b: ComparedRun
    cost: str
    levels: tuple[Level, ...]
    num_repeated: int
    num_equal: int
    without_latency: str | None = None


def refuse_other_protocol(a: RunFolder, b: RunFolder) -> None:
    """Refuse to compare two runs whose trainings are of two kinds.

    Raises:
        RunError: they are one run.
        RunChangedError: they have another network, data, recipe, number of epochs or arithmetic;
            the message has a line for each difference.
    """
    if a.path.resolve() == b.path.resolve():
        raise RunError(f"{a.path} and {b.path} are one run: a comparison takes two")
    first, second = (_protocol(folder.read_config()["identity"]) for folder in (a, b))
    differences = compare_identities(first, second, (f"in {a.path}", f"in {b.path}"))
    if differences:
        lines = "\n".join(f"  {line}" for line in differences)
        raise RunChangedError(
            f"{a.path} and {b.path} can't be compared: their trainings are of two protocols, so "
            f"that a difference would not be SE's alone:\n{lines}"
        )


def _protocol(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes trainings of two runs comparable: all but where SE may go."""
    network = {k: v for k, v in identity["backbone"].items() if k != "sites"}
    return {k: v for k, v in identity.items() if k not in OWN} | {"backbone": network}


def read_compared(folder: RunFolder, front: PosteriorFront) -> ComparedRun:
    """Return a run as it is compared.

    Args:
        folder: of the run.
        front: what its trials say of each candidate.

    Raises:
        RunError: a file of the run can't be read.
    """
    config = folder.read_config()
    records, rounds = read_records(find_trials(folder)), read_rounds(folder)
    facts = read_facts(folder.path, config, records, read_space(folder), read_fresh(folder))
    answer = make_answer(front, facts, rounds[-1] if rounds else None)
    return ComparedRun(
        *(str(folder.path), config["search"]["space"], records, front, answer),
        latency=facts.latency,
    )


def compare_fronts(a: ComparedRun, b: ComparedRun, costs: Sequence[str]) -> RunComparison:
    """Compare the fronts of two runs by the first of the costs that both minimise."""
    without = explain_other_latency(a, b) if "latency" in costs else None
    shared = [name for name in costs if name != "latency" or without is None]
    cost = shared[0] if shared else "params"
    levels: list[Level] = []
    for value in sorted({_cost(each, cost) for run in (a, b) for each in run.front.listed}):
        best = [_best(run.front, cost, value) for run in (a, b)]
        if levels and [levels[-1].a, levels[-1].b] == best:
            continue
        levels.append(Level(value, best[0], best[1], _difference(a, b, *best)))
    repeated = _repeated(a.records, b.records)
    num_equal = sum(x == y for x, y in repeated)
    return RunComparison(a, b, cost, tuple(levels), len(repeated), num_equal, without)


def explain_other_latency(a: ComparedRun, b: ComparedRun) -> str | None:
    """Say why latencies of two runs can't be compared; None: they were measured alike."""
    assert a.latency is not None
    assert b.latency is not None
    if a.latency.digest == b.latency.digest:
        return None
    grounds = [run.latency.ground.describe() for run in (a, b) if run.latency is not None]
    why = (
        f"A's are of {grounds[0]}; B's are of {grounds[1]}"
        if grounds[0] != grounds[1]
        else f"each run measured its own, on {grounds[0]}"
    )
    return f"Latencies are not compared: {why}."


def _cost(candidate: PosteriorCandidate, cost: str) -> int:
    value: int = getattr(candidate.summary, cost)
    return value


def _best(front: PosteriorFront, cost: str, value: int) -> PosteriorCandidate | None:
    cheap = [each for each in front.candidates if _cost(each, cost) <= value]
    return max(cheap, key=lambda each: each.gain, default=None)


def _difference(
    a: ComparedRun,
    b: ComparedRun,
    first: PosteriorCandidate | None,
    second: PosteriorCandidate | None,
) -> Difference | None:
    if first is None or second is None or first.summary.key == second.summary.key:
        return None
    sides = _on_common_images(
        _trainings(a.records, first.summary.key), _trainings(b.records, second.summary.key)
    )
    seeds = shared_replicates(*sides)
    if not seeds:
        return None
    differences = paired_differences(*sides)
    mean, n = float(differences.mean()), len(seeds)
    if n == 1:
        return Difference(mean, None, seeds)
    margin = t_quantile(0.975, n - 1) * sd_of(differences) / math.sqrt(n)
    return Difference(mean, Interval(mean - margin, mean + margin), seeds)


def _trainings(records: Sequence[TrialRecord], key: str) -> dict[int, TrialRecord]:
    """Return a candidate's full trainings by their replicate's seed."""
    return {r.seed: r for r in records if r.key == key and r.state == "COMPLETE"}


def _on_common_images(
    a: Mapping[int, TrialRecord], b: Mapping[int, TrialRecord]
) -> tuple[Replicates, Replicates]:
    """Return the trainings of replicates that train and validate on the same images."""
    seeds = [seed for seed in a if seed in b and a[seed].split_hash == b[seed].split_hash]
    first, second = (
        Replicates(tuple(seeds), np.array([side[seed].accuracy for seed in seeds], float))
        for side in (a, b)
    )
    return first, second


def _repeated(
    a: Sequence[TrialRecord], b: Sequence[TrialRecord]
) -> list[tuple[float | None, float | None]]:
    """Return the accuracies of each training that both runs made."""

    def by_training(records: Sequence[TrialRecord]) -> dict[tuple[object, ...], float | None]:
        return {
            (r.key, r.seed, r.epochs, r.split_hash): r.accuracy
            for r in records
            if r.state == "COMPLETE"
        }

    first, second = by_training(a), by_training(b)
    return [(first[training], second[training]) for training in first if training in second]


def print_comparison(console: Console, found: RunComparison) -> None:
    """Print both answers, the table of the fronts, and how far pairs can be trusted."""
    for letter, run in (("A", found.a), ("B", found.b)):
        trials = count(len(run.records), "trial")
        print_text(
            console, f"{letter}: {one_line(run.run)} (space {one_line(run.space)}, {trials})"
        )
        print_text(console, f"   {run.answer.what}")
    if found.levels:
        console.print(fronts_table(found))
    if found.without_latency:
        print_text(console, found.without_latency)
    print_text(console, describe_pairs(found))


def fronts_table(found: RunComparison) -> ResultTable:
    """Lay out what each run found best at a cost or less; of many costs the dearest ones."""
    shown = found.levels[-MAX_ROWS:]
    left_out = len(found.levels) - len(shown)
    table = ResultTable(
        [
            Column(f"{COST_NAMES[found.cost]} up to"),
            Column("best of A, gain in points (95 %)", is_number=False),
            Column("best of B, gain in points (95 %)", is_number=False),
            Column("A less B, paired (replicates)", is_number=False, rank=1),
        ],
        title="The best at a cost or less",
        caption=f"{count(left_out, 'cheaper row')} left out; --json has them." if left_out else "",
    )
    for level in shown:
        table.add_row(
            f"{level.cost / 1e6:.3f} ms" if found.cost == "latency" else f"{level.cost:,}",
            _describe_candidate(level.a),
            _describe_candidate(level.b),
            _describe_difference(level),
        )
    return table


def _describe_candidate(candidate: PosteriorCandidate | None) -> str:
    if candidate is None:
        return "-"
    if candidate.is_plain:
        return "no SE"
    told = gain(candidate.gain, candidate.low, candidate.high)
    return f"{candidate.summary.placement} {told}"


def _describe_difference(level: Level) -> str:
    if level.a is not None and level.b is not None and level.a.summary.key == level.b.summary.key:
        return "one network"
    if level.difference is None:
        return "no common replicate"
    low, high = level.difference.interval or (None, None)
    return f"{gain(level.difference.mean, low, high)} ({len(level.difference.seeds)})"


def describe_pairs(found: RunComparison) -> str:
    """Say whether trainings that both runs made agree, and what pairs can't tell."""
    if not found.num_repeated:
        return f"No training was made by both runs. {CAUTION}"
    made = count(found.num_repeated, "training")
    if found.num_equal == found.num_repeated:
        return f"{made} made by both runs: accuracies are equal to the bit. {CAUTION}"
    differing = found.num_repeated - found.num_equal
    return (
        f"{made} made by both runs, of which {differing} differ: hardware or versions differ, too "
        f"(checklist.md of both). {CAUTION}"
    )


def comparison_event(found: RunComparison) -> dict[str, Any]:
    """Return the comparison as plain data, for a program; gains and differences are shares."""
    return {
        "event": "compare",
        "runs": [_run_to_plain(run) for run in (found.a, found.b)],
        "cost": found.cost,
        "levels": [
            {
                "cost": level.cost,
                "a": None if level.a is None else list_columns(level.a),
                "b": None if level.b is None else list_columns(level.b),
                "difference": None if level.difference is None else _to_plain(level.difference),
            }
            for level in found.levels
        ],
        "num_repeated": found.num_repeated,
        "num_equal": found.num_equal,
        "without_latency": found.without_latency,
    }


def _run_to_plain(run: ComparedRun) -> dict[str, Any]:
    return {
        "run": run.run,
        "space": run.space,
        "num_trials": len(run.records),
        "answer": run.answer.to_json(),
        "front": [list_columns(each) for each in list_front(run.front)],
    }


def _to_plain(difference: Difference) -> dict[str, Any]:
    low, high = difference.interval or (None, None)
    return {"mean": difference.mean, "low": low, "high": high, "seeds": list(difference.seeds)}
