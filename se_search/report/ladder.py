"""Reports what cheap scores are worth: the self-test of each rung, what it cost, and its order."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from statistics import fmean
from typing import Any

from rich.console import Console

from se_search.analysis.measured import Measured
from se_search.analysis.rung_test import RungTest, Verdict
from se_search.candidate import Candidate
from se_search.record import TrialRecord
from se_search.report.console import print_text
from se_search.report.format import count, duration, interval, number, significant
from se_search.report.table import Column, ResultTable
from se_search.score import Score
from se_search.space.bound import BoundSpace
from se_search.store.run_folder import RunFolder
from se_search.store.rung_tests import read_rung_tests
from se_search.store.supernets import (
    SupernetFiles,
    Supernets,
    read_supernet_scores,
    read_supernets,
)

VERDICTS: Mapping[Verdict, str] = {
    "used": "used",
    "off": "switched off",
    "untested": "not tested",
}
NUM_LISTED = 10  # candidates by their scores


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate with what supernets say of it.

    Attributes:
        candidate: its text form.
        placement: its short text form.
        score: mean over the supernets of its score less the plain network's, a share.
        low: the least of these differences.
        high: the greatest of these differences.
    """

    candidate: str
    placement: str
    score: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a run has besides trainings, and what it is worth.

    Attributes:
        supernets: of the run, with its probes and segments.
        tests: of each rung by trainings that no score has had a part in choosing.
        order: candidates that all supernets have scored, best first.
        budget: trainings' worth that the run was last asked for.
        num_trials: of the run that have ended.
        num_probed: trainings of probes among these.
        num_images: validation images by which a supernet scores a candidate.
        disagreement: by how much two supernets differ in what a candidate's score is above the
            plain network's: root mean square over candidates and pairs of supernets, a share; None:
            fewer than two have scored.
    """

    supernets: Supernets
    tests: tuple[RungTest, ...]
    order: tuple[Scored, ...]
    budget: int
    num_trials: int
    num_probed: int
    num_images: int
    disagreement: float | None

    @property
    def is_alone(self) -> bool:
        """Whether supernets have scored and no trial has ended."""
        return bool(self.order) and not self.num_trials

    @property
    def num_close(self) -> int:
        """How many candidates are below the first by no more than two supernets differ."""
        if self.disagreement is None or not self.order:
            return 0
        least = self.order[0].score - self.disagreement
        return sum(one.score >= least for one in self.order[1:])

    @property
    def is_untested(self) -> bool:
        """Whether there is an order by scores that no training has tested."""
        return bool(self.order) and all(test.verdict == "untested" for test in self.tests)

    @property
    def spent(self) -> float:
        """The trainings' worth that trials and supernets that have ended have taken."""
        return self.num_trials + self.supernets.spent


def read_evidence(
    folder: RunFolder,
    records: Sequence[TrialRecord],
    space: BoundSpace,
    budget: int,
    num_images: int,
) -> Evidence | None:
    """Return a run's evidence besides trainings; None: it was searched without supernets.

    Args:
        folder: of the run.
        records: all of its trials.
        space: that it searches.
        budget: trainings' worth that it was last asked for.
        num_images: validation images by which a supernet scores a candidate.

    Raises:
        RunError: a file of the run can't be read.
    """
    files = SupernetFiles(folder.path)
    if not files.json.is_file():
        return None
    supernets = read_supernets(files)
    scores = read_supernet_scores(files, supernets)
    tests = tuple(read_rung_tests(folder, records, space))
    ended = [record for record in records if record.state not in ("RUNNING", "WAITING")]
    num_probed = sum(record.role == "probe" for record in ended)
    rises = _list_rises(scores, space)
    order = _order(rises, space)
    known = len(ended), num_probed, num_images, _find_disagreement(rises, space)
    return Evidence(supernets, tests, order, budget, *known)


def _list_rises(scores: Sequence[Score], space: BoundSpace) -> dict[str, list[float]]:
    """Return by how much each supernet scores a candidate above the plain network, by its text.

    Candidates are those that all supernets have scored.
    """
    members: dict[int, dict[str, float]] = {}
    for score in scores:
        members.setdefault(score.member, {})[score.candidate] = score.value
    plain = str(Candidate.plain(space.backbone))
    tables = [own for own in members.values() if plain in own]
    shared = set.intersection(*map(set, tables)) if tables else set()
    return {text: [table[text] - table[plain] for table in tables] for text in shared}


def _order(rises: Mapping[str, Sequence[float]], space: BoundSpace) -> tuple[Scored, ...]:
    found = []
    for text, own in rises.items():
        placement = Candidate.parse(text, space.backbone).placement
        found.append(Scored(text, placement, fmean(own), min(own), max(own)))
    return tuple(sorted(found, key=lambda one: (-one.score, one.candidate)))


def _find_disagreement(rises: Mapping[str, Sequence[float]], space: BoundSpace) -> float | None:
    """Return the root mean square of what two supernets differ by; see ``Evidence``."""
    plain = str(Candidate.plain(space.backbone))  # by all supernets it is 0 above itself
    squares = [
        (first - second) ** 2
        for text, own in rises.items()
        if text != plain
        for first, second in combinations(own, 2)
    ]
    return math.sqrt(fmean(squares)) if squares else None


def describe_ladder(evidence: Evidence) -> Iterator[str]:
    """Yield sentences: the verdict of each rung, its biases, and what the budget went for."""
    for test in evidence.tests:
        yield describe_verdict(test)
        for bias in test.biases:
            if bias.points.low > 0 or bias.points.high < 0:
                word = "too well" if bias.points.value > 0 else "too badly"
                size = abs(bias.points.value)
                low, high = sorted((abs(bias.points.low), abs(bias.points.high)))
                yield (
                    f"They score SE in {bias.place.replace('stage', 'stage ')} {word}, by "
                    f"{size:.2f} points of accuracy ({interval(low, high, '.2f')})."
                )
    if evidence.is_untested:
        yield describe_resolution(evidence)
    for one in evidence.supernets.supernets:
        if one.state == "FAIL":
            name = f"Supernet {evidence.supernets.number(one.seed)} (seed {one.seed})"
            yield f"{name} failed: {one.reason}."
    yield describe_budget(evidence)


def describe_verdict(test: RungTest) -> str:
    """Say in a sentence whether a rung's scores are used, and why."""
    head = f"Scores by {_name(test)} are {VERDICTS[test.verdict]}, as {test.why}"
    if test.tau is None:
        return f"{head}."
    best, beside = test.best_baseline, ""
    if best is not None and best.tau is not None:
        beside = f"; that of the best cost, {best.name}, is {abs(best.tau.value):.2f}"
    return f"{head}. Their tau is {_measured(test.tau)}{beside}."


def describe_budget(evidence: Evidence) -> str:
    """Say what the trainings' worth of a run went for."""
    supernets = evidence.supernets
    ended = [one for one in supernets.supernets if one.state != "DECIDED"]
    training = sum(one.training_worth for one in ended)
    scoring = supernets.spent - training
    probes = ""
    if supernets.probes:
        probes = f" ({count(evidence.num_probed, 'training')} of probes among them)"
    return (
        f"Of a budget of {evidence.budget:,} trainings' worth the run has spent "
        f"{evidence.spent:.1f}: {evidence.num_trials:,} on trainings{probes}, {training:.1f} on "
        f"training {count(len(ended), 'supernet')}, and {scoring:.1f} on scoring candidates by "
        f"{'it' if len(ended) == 1 else 'them'}."
    )


def ladder_table(evidence: Evidence) -> ResultTable:
    """Lay out how well each rung, and what costs nothing, orders what was trained."""
    table = ResultTable(
        [
            Column("by", is_number=False, is_name=True),
            Column("compared", rank=1),
            Column("tau (95 %)"),
            Column("ceiling", rank=3),
            Column("tau / ceiling", rank=2),
            Column("slope (95 %)", rank=4),
            Column("agreement", rank=5),
            Column("s a candidate", rank=6),
            Column("time in all", rank=1),
            Column("scores", is_number=False),
        ],
        title="Do cheap scores order candidates as trainings of their own do?",
        caption="compared: candidates that were scored, and trained without a score's part in it; "
        "agreement: median tau between two supernets",
    )
    for test in evidence.tests:
        table.add_row(
            _name(test),
            f"{test.num_compared:,}",
            _measured(test.tau),
            number(test.ceiling),
            number(test.tau_star),
            _measured(test.slope),
            number(test.agreement),
            significant(test.seconds_each),
            duration(test.seconds),
            VERDICTS[test.verdict],
        )
    shown = next((test for test in evidence.tests if test.baselines), None)
    if shown is not None:
        table.add_section()
        for baseline in shown.baselines:
            known = "", "", "", "", "0", "0", "known"
            table.add_row(baseline.name, "", _measured(baseline.tau), *known)
    return table


def bias_table(test: RungTest) -> ResultTable:
    """Lay out by how much a rung scores SE in each place too well."""
    table = ResultTable(
        [Column("SE in", is_number=False, is_name=True), Column("scored too well, points (95 %)")],
        title=f"Biases of {test.name}",
    )
    for bias in test.biases:
        table.add_row(bias.place, _measured(bias.points, "+z.2f"))
    return table


def order_table(evidence: Evidence) -> ResultTable:
    """Lay out the candidates that supernets score best: an order, and no gains."""
    members = len(evidence.supernets.scored)
    table = ResultTable(
        [
            Column("SE (stage:squeeze width)", is_number=False, is_name=True),
            Column("score less the plain network's, points"),
            Column("least and greatest", rank=1),
        ],
        title=f"The order by {count(members, 'supernet')}: {NUM_LISTED} of "
        f"{len(evidence.order):,} candidates",
        caption="points of a supernet's accuracy, which are no gains",
    )
    for one in evidence.order[:NUM_LISTED]:
        table.add_row(
            one.placement,
            f"{100 * one.score:+z.2f}",
            interval(100 * one.low, 100 * one.high),
        )
    return table


def ladder_fields(evidence: Evidence) -> dict[str, Any]:
    """Return the evidence as plain data, for a program; scores and seconds in their own units."""
    return {
        "rungs": [{**asdict(test), "tau_star": test.tau_star} for test in evidence.tests],
        "supernets": [asdict(one) for one in evidence.supernets.supernets],
        "segments": [asdict(one) for one in evidence.supernets.segments],
        "probes": [asdict(one) for one in evidence.supernets.probes],
        "order": [asdict(one) for one in evidence.order],
        "budget": evidence.budget,
        "spent": evidence.spent,
        "num_images": evidence.num_images,
        "disagreement": evidence.disagreement,
        "sentences": list(describe_ladder(evidence)),
    }


def describe_resolution(evidence: Evidence) -> str:
    """Say how far scores can be told apart: by the images, and by how supernets differ."""
    images = f"{evidence.num_images:,} images"
    one = f"One of the {images} that score is {100 / evidence.num_images:.2f} points"
    if evidence.disagreement is None:
        return f"{one}; by how much supernets differ is not known of a single one."
    return (
        f"{one}, and two supernets differ by {100 * evidence.disagreement:.2f} points (root mean "
        f"square) in how far they put a candidate above the plain network: {evidence.num_close:,} "
        f"of the {len(evidence.order) - 1:,} others are no further than that below the first."
    )


def print_ladder(console: Console, evidence: Evidence) -> None:
    """Print the self-test, the order if nothing tests it, and what the budget went for."""
    if evidence.tests and not evidence.is_untested:
        console.print(ladder_table(evidence))
    for test in evidence.tests:
        if test.biases:
            console.print(bias_table(test))
    if evidence.is_untested:
        console.print(order_table(evidence))
    for line in describe_ladder(evidence):
        print_text(console, line)


def _name(test: RungTest) -> str:
    return count(test.num_members, test.name) if test.name == "supernet" else test.name


def _measured(value: Measured | None, form: str = ".2f") -> str:
    if value is None:
        return number(None)
    return f"{value.value:{form}} ({interval(value.low, value.high, form)})"
