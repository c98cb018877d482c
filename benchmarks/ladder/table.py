"""Reads the published evidence: trainings of probes, and what supernets say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from benchmarks.calibration.crossed_world import IMAGES, Cell, CrossedTable, read_crossed_table
from benchmarks.calibration.searches import make_record
from benchmarks.ladder.definition import PROBLEMS, Problem
from benchmarks.ladder.publish import PROBES, SCORES
from benchmarks.ladder.zero_cost import FILE as ZERO_COST_FILE
from se_search.record import TrialRecord
from se_search.score import Score, supernet_seed, zero_cost_seed
from se_search.store.training_log import TrainingId

RUNG = "supernet"
MEASURES = ("accuracy", "loss")  # by which a score's value is taken


@dataclass(frozen=True, slots=True)
class KindScores:
    """The scores of the supernets of a kind, or of a rung without training, and what they took.

    Attributes:
        scores: of all probes by all members.
        train_seconds: a supernet, on average; 0 without training.
        score_seconds: a candidate and member, on average.
        device: that they ran on.
    """

    scores: tuple[Score, ...]
    train_seconds: float
    score_seconds: float
    device: str


def read_probes(name: str, images: str) -> list[TrialRecord]:
    """Return the trainings of a problem's probes, in the replicates that have them all.

    Args:
        name: of the problem.
        images: ``validation`` or ``test``: whose accuracies the records have.
    """
    problem = PROBLEMS[name]
    rows = _read_crossed(problem, images) if problem.is_crossed else _read_study(problem, images)
    if problem.num_replicates:
        frame = pd.read_csv(PROBES)
        own = frame[frame["problem"] == name]
        rows = list(zip(own["key"], own["replicate"], own[f"{images}_accuracy"], strict=True))
    candidates = {candidate.key: candidate for candidate in problem.probes}
    seeds = [seed for _, seed, _ in rows]
    most = max((seeds.count(seed) for seed in set(seeds)), default=0)
    whole = {seed for seed in set(seeds) if seeds.count(seed) >= most - most // 4}
    shared = set.intersection(
        *({key for key, seed, _ in rows if seed == one} for one in whole), set(candidates)
    )
    records = [
        make_record(at, candidates[key], int(seed), problem.recipe.epochs, float(accuracy))
        for at, (key, seed, accuracy) in enumerate(
            row for row in rows if row[0] in shared and row[1] in whole
        )
    ]
    return [replace(record, role="probe") for record in records]


def read_problem_table(name: str) -> CrossedTable:
    """Return a problem's probes as a crossed table, in the replicates that have them all."""
    problem = PROBLEMS[name]
    cells: dict[TrainingId, Cell] = {}
    for one, other in zip(*(read_probes(name, images) for images in IMAGES), strict=True):
        assert one.accuracy is not None
        assert other.accuracy is not None
        cells[one.key, one.epochs, one.seed] = (one.accuracy, other.accuracy)
    trained = {key for key, _, _ in cells}
    networks = [network for network in problem.probes if network.key in trained]
    return CrossedTable.of_cells(cells, problem.space, networks)


def read_scores(name: str, kind: str, measure: str = "accuracy") -> KindScores | None:
    """Return what the supernets of a kind say of a problem's probes; None: there are none.

    Args:
        name: of the problem.
        kind: of the supernets; see ``supernets.KINDS``.
        measure: ``accuracy``, or ``loss``: a score's value is then its negative cross-entropy.
    """
    frame = pd.read_csv(SCORES, keep_default_na=False)
    own = frame[(frame["problem"] == name) & (frame["kind"] == kind)]
    if own.empty:
        return None
    own = own.assign(value=own["accuracy"] if measure == "accuracy" else -own["loss"])
    own = _level(own, PROBLEMS[name].probes[0].key)
    texts = {candidate.key: str(candidate) for candidate in PROBLEMS[name].probes}
    scores = tuple(
        Score(
            RUNG,
            supernet_seed(0, int(row.supernet)),
            texts[row.key],
            row.key,
            row.accuracy,
            row.loss,
            row.value,
            row.score_seconds,
        )
        for row in own.drop_duplicates(["supernet", "key"]).itertuples()
    )
    first = own.drop_duplicates(["supernet", "positions"])
    return KindScores(
        scores,
        float(first["train_seconds"].mean()),
        float(first["score_seconds"].mean()),
        " and ".join(sorted(set(own["device"]))),
    )


def _level(scores: pd.DataFrame, plain: str) -> pd.DataFrame:
    """Return scores in which all supernets of a number give the plain network one value.

    Where a number has a supernet for each group of positions, their levels differ.
    """
    is_plain = scores["key"] == plain
    known = scores[is_plain].set_index(["supernet", "positions"])["value"]
    own = known.loc[list(zip(scores["supernet"], scores["positions"], strict=True))].to_numpy()
    middle = known.groupby("supernet").mean().loc[scores["supernet"]].to_numpy()
    return scores.assign(value=scores["value"] + (middle - own))


def read_zero_cost(name: str, rung: str) -> KindScores | None:
    """Return what a rung that trains nothing says of a problem's probes; None: it has no scores.

    Args:
        name: of the problem.
        rung: ``snip``, ``synflow`` or ``naswot``.
    """
    frame = pd.read_csv(ZERO_COST_FILE)
    own = frame[(frame["problem"] == name) & (frame["rung"] == rung)]
    if own.empty:
        return None
    texts = {candidate.key: str(candidate) for candidate in PROBLEMS[name].probes}
    scores = tuple(
        Score(
            rung,
            zero_cost_seed(0, int(row.number)),
            texts[row.key],
            row.key,
            None,
            None,
            row.value,
            row.seconds,
        )
        for row in own.itertuples()
    )
    devices = " and ".join(sorted(set(own["device"])))
    return KindScores(scores, 0.0, float(own["seconds"].mean()), devices)


def _read_study(problem: Problem, images: str) -> list[tuple[str, int, float]]:
    name = "accuracy" if images == "validation" else f"{images}_accuracy"
    return [(one.key, one.seed, one.history[-1][name]) for one in problem.study_trainings]


def _read_crossed(problem: Problem, images: str) -> Sequence[tuple[str, int, float]]:
    table = read_crossed_table()
    values = table.accuracies[images][table.epochs]
    return [
        (network.key, seed, float(values[row, column]))
        for row, network in enumerate(table.networks)
        for column, seed in enumerate(table.replicates)
    ]
