"""The supernets of a run in ``supernets.json``: which were decided on, and what became of them.

Beside them stand the probes, and the segments in which the run spends its budget. A decision is
written down before anything is made by it, so that a run that was killed goes on with it.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from se_search.errors import RunError
from se_search.record import RanOn, TrialRecord
from se_search.score import Score
from se_search.store.files import read_json, write_text
from se_search.store.scores import digest_scores, read_scores, write_scores

FORMAT = 1

SegmentKind = Literal["train", "supernets"]
SupernetState = Literal["DECIDED", "SCORED", "FAIL"]


@dataclass(frozen=True, slots=True)
class Probe:
    """A training that tests scores: a candidate, chosen without any result, in a replicate.

    Attributes:
        candidate: its text form.
        seed: of the replicate, which no other trial of the search has.
    """

    candidate: str
    seed: int


@dataclass(frozen=True, slots=True)
class Segment:
    """What a part of the budget is spent on.

    Attributes:
        kind: ``train``: trainings; ``supernets``: new supernets, and scores by all.
        begun: how many trials the run had when it was decided.
        until: how many it has at the end.
        seeds: of new supernets; empty for trainings.
        chosen: texts of candidates that the accuracy model would have scored, beside those that
            are drawn evenly or have been trained.
        train_gain: expected rise of the front, in accuracy, by trainings of a supernet's worth;
            None: the segment was prescribed.
        supernet_gain: expected rise of the front by a supernet; None likewise.
        rungs: names of the rungs by whose scores trainings are chosen; empty: by none.
    """

    kind: SegmentKind
    begun: int
    until: int
    seeds: tuple[int, ...] = ()
    chosen: tuple[str, ...] = ()
    train_gain: float | None = None
    supernet_gain: float | None = None
    rungs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SupernetRecord:
    """A supernet of a run.

    Attributes:
        seed: names it.
        begun: how many trials the run had when it was decided.
        state: DECIDED: it is not trained, or has not scored everything; SCORED: it has; FAIL: it
            failed by its own fault, as by a loss that is not finite.
        training_worth: what its training costs, in full trainings.
        scoring_worth: what its scoring costs, in full trainings, with what further segments have
            it score.
        num_scored: candidates that it has scored.
        digest: of its scores; None: there are none.
        train_seconds: wall time of its training; None: not known.
        score_seconds: of its scoring; None: not known.
        device_seconds: that it took devices in all, failed attempts included; None: not known.
        split_hash: of the images that train and validate.
        ran_on: hardware and versions; None: not known.
        reason: why it failed.
    """

    seed: int
    begun: int
    state: SupernetState = "DECIDED"
    training_worth: float = 0.0
    scoring_worth: float = 0.0
    num_scored: int = 0
    digest: str | None = None
    train_seconds: float | None = None
    score_seconds: float | None = None
    device_seconds: float | None = None
    split_hash: str | None = None
    ran_on: RanOn | None = None
    reason: str | None = None

    @property
    def worth(self) -> float:
        """What it costs in full trainings; one that failed has scored if it did so before."""
        has_scored = self.state != "FAIL" or self.num_scored > 0
        return self.training_worth + (self.scoring_worth if has_scored else 0.0)


@dataclass(frozen=True, slots=True)
class Supernets:
    """The supernets of a run, its probes and its segments; empty: the run has none.

    Attributes:
        probes: in their order.
        segments: in their order; all but the last one have ended.
        supernets: in the order in which they were decided.
    """

    probes: tuple[Probe, ...] = ()
    segments: tuple[Segment, ...] = ()
    supernets: tuple[SupernetRecord, ...] = ()

    @property
    def worth(self) -> float:
        """What all supernets cost in full trainings, failed ones included."""
        return sum(one.worth for one in self.supernets)

    @property
    def scored(self) -> tuple[SupernetRecord, ...]:
        """Those that have scored."""
        return tuple(one for one in self.supernets if one.state == "SCORED")

    @property
    def num_ended(self) -> int:
        """How many have scored or failed."""
        return sum(one.state != "DECIDED" for one in self.supernets)

    @property
    def spent(self) -> float:
        """What those that have scored or failed cost in full trainings."""
        return sum(one.worth for one in self.supernets if one.state != "DECIDED")

    @property
    def train_seconds(self) -> float:
        """Wall time of the trainings of those that have scored."""
        return sum(one.train_seconds or 0.0 for one in self.scored)

    def list_untouched(self, records: Iterable[TrialRecord]) -> list[TrialRecord]:
        """Return the trials that no score has had a part in choosing: those can test scores."""
        first = min((one.begun for one in self.segments if one.rungs), default=math.inf)
        return [record for record in records if record.number < first]

    def find(self, seed: int) -> SupernetRecord:
        """Return the supernet of a seed, which must be there."""
        return next(one for one in self.supernets if one.seed == seed)

    def number(self, seed: int) -> int:
        """Return which supernet of the run has a seed, counted from 1; it must be there."""
        return 1 + [one.seed for one in self.supernets].index(seed)

    def with_supernet(self, record: SupernetRecord) -> Supernets:
        """Return all with one in the place of that of its seed, or behind them."""
        if all(one.seed != record.seed for one in self.supernets):
            return replace(self, supernets=(*self.supernets, record))
        own = (record if one.seed == record.seed else one for one in self.supernets)
        return replace(self, supernets=tuple(own))


@dataclass(frozen=True, slots=True)
class SupernetFiles:
    """The files of supernets in a run's folder."""

    folder: Path

    @property
    def json(self) -> Path:
        """What is known of the supernets."""
        return self.folder / "supernets.json"

    @property
    def csv(self) -> Path:
        """A row for each score."""
        return self.folder / "scores.csv"

    def weights(self, seed: int) -> Path:
        """The weights of a supernet."""
        return self.folder / "supernets" / f"{seed}.safetensors"


def write_supernets(files: SupernetFiles, supernets: Supernets) -> None:
    """Write ``supernets.json``, with a digest by which a changed file is found.

    Raises:
        UnwritableError: the file can't be written.
    """
    plain = asdict(supernets)
    content = {"format": FORMAT, "digest": _digest(plain), **plain}
    write_text(files.json, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_supernets(files: SupernetFiles) -> Supernets:
    """Read ``supernets.json``; empty if there is none, and nothing that it would be about.

    Raises:
        RunError: the file can't be read, is of another format, was changed by hand, or is gone.
    """
    if not files.json.is_file():
        if files.csv.exists():
            raise RunError(
                f"{files.json} is gone, which says what the scores in {files.csv.name} are of. Put "
                "it back from a copy, or take another --name"
            )
        return Supernets()
    try:
        return _from_plain(read_json(files.json))
    except (KeyError, TypeError, ValueError, AttributeError) as cause:
        raise RunError(
            f"{files.json} can't be read as the supernets of a run: {cause}. Put it back from a "
            "copy, or take another --name"
        ) from cause


def read_supernet_scores(files: SupernetFiles, supernets: Supernets) -> list[Score]:
    """Read the scores of the supernets that have scored, in the order of the supernets.

    Scores that ``supernets.json`` does not vouch for, as of a command that was killed, are left
    out.

    Raises:
        RunError: the file can't be read, or has other scores than the supernets gave.
    """
    by_member: dict[int, list[Score]] = {}
    for score in read_scores(files.csv) if supernets.scored else ():
        by_member.setdefault(score.member, []).append(score)
    found = []
    for record in supernets.scored:
        own = by_member.get(record.seed, [])[: record.num_scored]  # further rows came last
        if digest_scores(own) != record.digest:
            raise RunError(
                f"{files.csv} has other scores of supernet {supernets.number(record.seed)} (member "
                f"{record.seed}) than it gave: {len(own)} of {record.num_scored} rows are there. "
                "Put it back from a copy, or take another --name"
            )
        found += own
    return found


def store_scores(
    files: SupernetFiles, supernets: Supernets, record: SupernetRecord, scores: Sequence[Score]
) -> Supernets:
    """Add what a supernet has scored to its earlier scores, and return all with its record.

    ``scores.csv`` comes first: rows that ``supernets.json`` does not vouch for are left out.

    Raises:
        UnwritableError: a file can't be written.
    """
    before = read_supernet_scores(files, supernets)
    own = {s.key: s for s in (*(s for s in before if s.member == record.seed), *scores)}
    others = [score for score in before if score.member != record.seed]
    write_scores(files.csv, [*others, *own.values()])
    digest = digest_scores(list(own.values()))
    stored = replace(record, state="SCORED", num_scored=len(own), digest=digest)
    changed = supernets.with_supernet(stored)
    write_supernets(files, changed)
    return changed


def _digest(plain: dict[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _from_plain(content: dict[str, Any]) -> Supernets:
    number, digest = content.pop("format"), content.pop("digest")
    if number != FORMAT:
        raise ValueError(f"it has format {number}, and this version reads format {FORMAT}")
    if digest != _digest(content):
        raise ValueError("it was changed by hand, or is damaged: its digest is of other contents")
    return Supernets(
        tuple(Probe(**each) for each in content["probes"]),
        tuple(
            Segment(
                **each | {name: tuple(each.get(name, ())) for name in ("seeds", "chosen", "rungs")}
            )
            for each in content["segments"]
        ),
        tuple(
            SupernetRecord(
                **each | {"ran_on": None if each["ran_on"] is None else RanOn(**each["ran_on"])}
            )
            for each in content["supernets"]
        ),
    )
