"""Gives a run's candidate as a trained network: by the weights that were kept, or trained again.

What stands for a candidate is its longest training in the first replicate in which it was trained,
whatever its accuracy: who took the luckiest of several would hand out a promise that fresh images
do not keep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from se_search.candidate import Candidate
from se_search.errors import BackboneError, RunError, SESearchError, StoppedError
from se_search.execution.drive import drive
from se_search.execution.request import SessionRequest
from se_search.execution.session import OpenSession, Session, open_session
from se_search.execution.signals import StopSignals
from se_search.ground import Ground, list_differences
from se_search.models.own_source import look_in, read_own_source
from se_search.record import (
    ENDED_WELL,
    Assignment,
    Effort,
    EpochRow,
    Evaluation,
    Failure,
    TrialRecord,
)
from se_search.store.kept_weights import KeptFile, KeptWeights, read_kept_file, read_whole
from se_search.store.run_folder import RunFolder
from se_search.store.run_recipe import read_recorded_recipe
from se_search.store.run_trials import find_trials
from se_search.store.trials import read_records

Note = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainAgain:
    """How a candidate is trained again where its weights were not kept.

    Attributes:
        data_dir: folder that holds the data set; None: where the run found it.
        threads: CPU threads; None: the run's.
        accelerator: ``auto``, ``cpu``, ``cuda`` or ``mps``; None: the run's.
        timeout: seconds that the training may take; None: any number.
        allow_code: whether code of the user's own may be run.
    """

    data_dir: Path | None = None
    threads: int | None = None
    accelerator: str | None = None
    timeout: float | None = None
    allow_code: bool = False


def trained_network(
    folder: RunFolder,
    candidate: Candidate,
    how: TrainAgain = TrainAgain(),  # frozen
    note: Note = lambda _: None,
    open_session: OpenSession = open_session,
) -> Any:  # PyTorch's type belongs to models and training
    """Return a candidate's trained network, an ``nn.Module`` in evaluation mode on the CPU.

    Args:
        folder: of the run.
        candidate: of the run's backbone, described with ``allow_code`` if that is code.
        how: it is trained again where its weights were not kept.
        note: told before a training begins, and how it ended.
        open_session: finds what a training needs.

    Raises:
        StoppedError: a signal came while it was trained.
        SESearchError: the weights or the network are not as the run had them, or it can't be
            trained.
    """
    kept = find_or_train(folder, candidate, how, note, open_session)
    return load_kept(folder, candidate, kept, allow_code=how.allow_code)


def load_kept(
    folder: RunFolder, candidate: Candidate, kept: KeptFile, *, allow_code: bool = False
) -> Any:
    """Return the network of a candidate with the weights of a file, in evaluation mode.

    Raises:
        RunError: the file is damaged, or is of another candidate.
        BackboneError: the weights do not fit, or the network is code that has changed or may not be
            run.
    """
    from se_search.models.trained import load_trained  # imports PyTorch, which takes seconds

    find_code(folder.read_config(), allow_code=allow_code)
    if kept.candidate != str(candidate):
        raise RunError(f"{kept.path} holds the weights of {kept.candidate}, not of {candidate}")
    return load_trained(candidate, read_whole(kept))


def find_or_train(
    folder: RunFolder,
    candidate: Candidate,
    how: TrainAgain = TrainAgain(),  # frozen
    note: Note = lambda _: None,
    open_session: OpenSession = open_session,
    *,
    at: tuple[int, int] | None = None,
    into: Path | None = None,
) -> KeptFile:
    """Return the file of a candidate's trained weights; train it, and keep them, if there is none.

    ``at`` are replicate and epochs of the training, and None means those of the one that stands for
    the candidate. ``into`` is the folder in whose ``weights/`` they are kept, and None means the
    run's. See ``trained_network`` for the other arguments and the errors.
    """
    weights = KeptWeights(folder.path if into is None else into)
    try:
        found = weights.find(candidate)
        if found is not None:
            read_whole(found)
            return found
        why = "were not kept"
    except RunError as error:
        why = f"can't be used ({error})"
    config = folder.read_config()
    place = find_trials(folder)
    records = read_records(place) if place.exists() else []
    own = [record for record in records if at in (None, (record.seed, record.epochs))]
    record = find_first_training(candidate, own)
    with folder.lock():
        find_code(config, allow_code=how.allow_code)
        recipe = read_recorded_recipe(config)
        request = make_request(folder, config, how)
        if record is not None:
            at = record.seed, record.epochs
        seed, epochs = at or (config["identity"]["seed"], recipe.epochs)
        note(_announce(candidate, record, records, why, seed, epochs))
        session = open_session(request, note)
        refuse_changes(folder, config, session)
        differs = _compare(record, session.grounds)
        if differs:
            note(
                f"It was trained on other hardware or with other versions ({differs}), so that its "
                "numbers may differ a little from those of the search"
            )
        path = weights.path_for(candidate.key, seed, epochs).absolute()
        evaluation = _train(session, Assignment(candidate, seed, epochs, path), folder, note)
        weights.tidy()
        if evaluation.unkept is not None:
            raise RunError(f"the weights of {candidate.placement} are lost: {evaluation.unkept}")
        note(_tell_result(folder, record, seed, evaluation))
        return read_kept_file(path)


def find_first_training(candidate: Candidate, records: Sequence[TrialRecord]) -> TrialRecord | None:
    """Return the trial that stands for a candidate: the first of its longest trainings.

    None: no training of it has ended well.
    """
    own = [r for r in records if r.key == candidate.key and r.state in ENDED_WELL]
    return min(own, key=lambda record: (-record.epochs, record.number), default=None)


def estimate_seconds(record: TrialRecord | None, records: Sequence[TrialRecord]) -> float | None:
    """Return about how long a training takes: what it took, or the usual; None: not known."""
    if record is not None and record.seconds is not None:
        return record.seconds
    known = sorted(r.seconds for r in records if r.state == "COMPLETE" and r.seconds is not None)
    return known[len(known) // 2] if known else None


def _announce(
    candidate: Candidate,
    record: TrialRecord | None,
    records: Sequence[TrialRecord],
    why: str,
    seed: int,
    epochs: int,
) -> str:
    seconds = estimate_seconds(record, records)
    takes = "" if seconds is None else f": about {max(1, round(seconds)):,} s"
    length = "1 epoch" if epochs == 1 else f"{epochs} epochs"
    if record is None:
        lacking, place = f"The run has no training of {candidate.placement}", f"in replicate {seed}"
        if find_first_training(candidate, records) is not None:
            return f"{lacking} for {length} {place}. It is trained now{takes}"
        return f"{lacking}. It is trained now, for {length} {place}{takes}"
    return (
        f"The weights of {candidate.placement} {why}. It is trained again, as trial "
        f"{record.number} was: {length} in replicate {record.seed}{takes}"
    )


def find_code(config: Mapping[str, Any], *, allow_code: bool) -> None:
    """Let a user's own network be imported from where the run found it, if it is still the same.

    Raises:
        BackboneError: its code has changed since.
    """
    folder, backbone = config["search"].get("code"), config["identity"]["backbone"]
    if not folder or not allow_code:
        return
    look_in(Path(folder), first=True)
    source = read_own_source(backbone["name"])
    before, now = backbone.get("source") or {}, {} if source is None else source.digests
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if changed:
        raise BackboneError(
            f"the code of {backbone['name']} has changed since the run: {', '.join(changed)}; "
            "weights belong to the code of then"
        )


def make_request(folder: RunFolder, config: Mapping[str, Any], how: TrainAgain) -> SessionRequest:
    """Return what a session needs that trains one candidate of a run again."""
    identity, search = config["identity"], config["search"]
    data_dir = how.data_dir or (Path(search["data_dir"]) if search.get("data_dir") else None)
    return SessionRequest(
        data=search["data"],
        recipe=read_recorded_recipe(config),
        backbone=identity["backbone"]["name"],
        worker_log=folder.worker_log,
        data_dir=data_dir,
        weights=search.get("weights"),
        freeze_backbone=bool(identity["backbone"].get("frozen")),
        workers=1,
        threads=how.threads or search.get("threads", 1),
        accelerator=how.accelerator or search.get("accelerator", "auto"),
        timeout=how.timeout,
    )


def refuse_changes(folder: RunFolder, config: Mapping[str, Any], session: Session) -> None:
    """Refuse to go on with other images, or from other weights, than the run did.

    Raises:
        RunError: their digests differ.
    """
    identity = config["identity"]
    pairs = {
        "images": (identity["data"].get("fingerprint"), session.task.data.info.fingerprint),
        "weights": (identity["backbone"].get("weights"), session.weights_digest),
    }
    for what, (before, now) in pairs.items():
        if before != now:
            raise RunError(
                f"{folder.path} was made with other {what}: their digest was {before} and is {now} "
                "here, so that the candidate can't be trained again as it was"
            )


def _compare(record: TrialRecord | None, grounds: Sequence[Ground]) -> str:
    """Name what differs between what a training ran on and what it would run on now."""
    if record is None or record.ground is None:
        return ""
    before = record.ground.facts()
    return "; ".join(
        f"{name}: {before.get(name)} there, {ground.facts().get(name)} here"
        for ground in grounds
        for name in list_differences([record.ground, ground])
    )


def _train(
    session: Session, assignment: Assignment[Candidate], folder: RunFolder, note: Note
) -> Evaluation:
    work = _OneTraining(assignment)
    with StopSignals(note) as stop:
        drive(work, session.executor(), max_failures=None, stop=stop)
    if isinstance(work.outcome, Failure):
        raise SESearchError(
            f"{assignment.candidate.placement} can't be trained: {work.outcome.reason} (more in "
            f"{folder.worker_log})"
        )
    if work.outcome is None:
        assert stop.number is not None, "only a signal breaks it off"
        raise StoppedError("stopped; the same command goes on", stop.number)
    return work.outcome


class _OneTraining:
    """One assignment, as work for ``drive``.

    Attributes:
        outcome: how it ended; None: it was broken off.
    """

    def __init__(self, assignment: Assignment[Candidate]) -> None:
        self.outcome: Evaluation | Failure | None = None
        self._waiting = [assignment]

    def begin(self) -> tuple[int, Assignment[Candidate]] | None:
        return (0, self._waiting.pop()) if self._waiting else None

    def advance(self, number: int, row: EpochRow) -> None:
        """Take no notice: it is told when it ends."""

    def end(self, number: int, outcome: Evaluation | Failure) -> None:
        self.outcome = outcome

    def has_results(self) -> bool:
        return False

    def release(self, number: int, effort: Effort | None) -> None:
        """Leave the outcome open."""


def _tell_result(
    folder: RunFolder, record: TrialRecord | None, seed: int, evaluation: Evaluation
) -> str:
    """Say how a training ended, and whether it has the numbers that it had in the search."""
    now = evaluation.accuracy
    if record is None:
        return (
            f"Trained: {100 * now:.2f} % right; the search did not train this candidate in "
            f"replicate {seed}"
        )
    before = record.accuracy or 0.0
    path = folder.correct_file(record.number)
    is_equal = before == now and path.is_file() and path.read_bytes() == evaluation.correct
    trial = f"trial {record.number}"
    if is_equal:
        return f"Trained again: {100 * now:.2f} % right, the same images as in {trial}"
    return f"Trained again: {100 * now:.2f} % right, where {trial} had {100 * before:.2f} %"


__all__ = [
    "TrainAgain",
    "estimate_seconds",
    "find_code",
    "find_first_training",
    "find_or_train",
    "load_kept",
    "make_request",
    "refuse_changes",
    "trained_network",
]
