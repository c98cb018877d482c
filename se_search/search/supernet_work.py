"""Supernets as work for ``drive``: each is trained, scores candidates, and is stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from se_search.candidate import Candidate
from se_search.record import Assignment, Effort, EpochRow, Evaluation, Failure
from se_search.store.supernets import (
    SupernetFiles,
    SupernetRecord,
    Supernets,
    store_scores,
    write_supernets,
)
from se_search.training.supernet_evaluation import SupernetEvaluation, SupernetName


@dataclass(slots=True)
class SupernetWork:
    """The supernets of a segment, new ones and those that score further candidates.

    Attributes:
        files: of the run.
        supernets: all of the run; changes as they end.
        missing: by seed, the candidates that a supernet is to score.
        epochs: of a supernet's training.
        has_earlier_results: whether any training of the run has ended well.
        observe: told of each supernet that has ended: all of the run, and the seed of this one.
        tell: told of each epoch of a supernet that is trained, with the supernet's number.
    """

    files: SupernetFiles
    supernets: Supernets
    missing: Mapping[int, Sequence[Candidate]]
    epochs: int
    has_earlier_results: bool
    observe: Callable[[Supernets, int], None] = lambda *_: None
    tell: Callable[[int, EpochRow], None] = lambda *_: None
    _begun: list[int] = field(default_factory=list)

    def begin(self) -> tuple[int, Assignment[SupernetName]] | None:
        """Begin the next supernet; its number is its position."""
        left = [seed for seed in self.missing if seed not in self._begun]
        if not left:
            return None
        self._begun.append(left[0])
        file = self.files.weights(left[0])
        name = SupernetName(self.supernets.number(left[0]))
        return len(self._begun) - 1, Assignment(name, left[0], self.epochs, file)

    def advance(self, number: int, row: EpochRow) -> None:
        """Tell how far a training has come."""
        self.tell(self.supernets.number(self._begun[number]), row)

    def end(self, number: int, outcome: Evaluation | Failure) -> None:
        """Store what a supernet has scored, or why it failed."""
        record = self.supernets.find(self._begun[number])
        seconds = (record.device_seconds or 0.0) + (outcome.effort or Effort()).device_seconds
        record = replace(record, device_seconds=round(seconds, 3))
        if isinstance(outcome, Failure):
            record = replace(record, state="FAIL", reason=outcome.reason)
            self._write(record)
        else:
            assert isinstance(outcome, SupernetEvaluation)
            scoring = sum(score.seconds for score in outcome.scores)
            record = replace(
                record,
                train_seconds=round(outcome.train_seconds, 3),
                score_seconds=round((record.score_seconds or 0.0) + scoring, 3),
                split_hash=outcome.split_hash,
                ran_on=outcome.ran_on,
            )
            self.supernets = store_scores(self.files, self.supernets, record, outcome.scores)
        self.observe(self.supernets, record.seed)

    def has_results(self) -> bool:
        """Tell whether any training or supernet has ended well."""
        return self.has_earlier_results or bool(self.supernets.scored)

    def release(self, number: int, effort: Effort | None) -> None:
        """Take back a supernet that was broken off; the next command goes on with it."""
        seconds = 0.0 if effort is None else effort.device_seconds
        record = self.supernets.find(self._begun[number])
        record = replace(record, device_seconds=round((record.device_seconds or 0) + seconds, 3))
        self._write(record)

    def _write(self, record: SupernetRecord) -> None:
        changed = self.supernets.with_supernet(record)
        write_supernets(self.files, changed)  # first: it may be called again after an error
        self.supernets = changed
