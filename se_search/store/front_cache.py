"""Keeps the posterior front of a run, and its history, in its folder: both are computed just once.

Fitting the accuracy model to 200 trainings takes seconds, reading a file milliseconds. A file
belongs to the trials, the space and the version of the model that it was computed from: for others
it is made anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, fields
from operator import attrgetter
from pathlib import Path
from typing import Any

from se_search.backbone_file import backbone_to_json
from se_search.errors import RunError
from se_search.record import TrialRecord
from se_search.space.bound import BoundSpace
from se_search.store.agreement import measure_least_noise
from se_search.store.files import read_json, write_text
from se_search.store.latency import read_latency
from se_search.store.run_folder import RunFolder
from se_search.store.rung_tests import read_used_scores
from se_search.surrogate.coded_trainings import Question
from se_search.surrogate.decision import TOLERANCE
from se_search.surrogate.fit_front import fit_front
from se_search.surrogate.history import History, trace_history
from se_search.surrogate.posterior_front import MODEL_VERSION, PosteriorFront

TraceHistory = Callable[
    [Sequence[TrialRecord], BoundSpace, Question, Sequence[Sequence[float]]], History | None
]
FitFront = Callable[[Iterable[TrialRecord], BoundSpace, Question], PosteriorFront]

# Of a record, whose fields are plain values: astuple, which copies them, takes ten times as long.
_fields_of = attrgetter(*(field.name for field in fields(TrialRecord)))


def read_posterior_front(
    folder: RunFolder,
    records: Sequence[TrialRecord],
    space: BoundSpace,
    fit: FitFront = fit_front,
    *,
    keeps: bool = True,
) -> PosteriorFront:
    """Return the posterior front of a run's trials, computed now or before: equal to the bit.

    Args:
        folder: the run's; ``posterior.json`` in it is read, and written where that is allowed and
            no other process has written one of more trainings meanwhile.
        records: all trials of the run.
        space: that the candidates are of.
        fit: what computes the front.
        keeps: whether a front that is computed now is written.
    """
    question = read_question(folder, records)
    path = _path(folder)
    digest = _digest(records, space, question)
    try:
        kept = read_json(path)
        if kept["digest"] == digest:
            return PosteriorFront.from_json(kept["front"])
    except (RunError, ValueError, KeyError, TypeError, AttributeError):
        pass  # not there, cut off or of another version: made anew
    before = read_kept_front(folder)
    front = fit(records, space, question)
    later = read_kept_front(folder)
    if later is not None and later != before and later.num_trainings > front.num_trainings:
        return front  # a search went on meanwhile, and has kept its own
    if keeps:
        _keep(path, {"digest": digest, "model": MODEL_VERSION, "front": front.to_json()})
    return front


def read_kept_front(folder: RunFolder) -> PosteriorFront | None:
    """Return the front as it was last computed, of the trials of then; None: there is none.

    Nothing is computed: for lists of many runs.
    """
    try:
        kept = read_json(_path(folder))
        if kept["model"] == MODEL_VERSION:
            return PosteriorFront.from_json(kept["front"])
    except (RunError, ValueError, KeyError, TypeError, AttributeError):
        pass  # not there, cut off or of another version
    return None


def is_kept_by_another_version(folder: RunFolder) -> bool:
    """Tell whether the front that a report has kept is of another version's model."""
    try:
        return bool(read_json(_path(folder))["model"] != MODEL_VERSION)
    except (RunError, ValueError, KeyError, TypeError, AttributeError):
        return False  # not there, or cut off


def read_history(
    folder: RunFolder,
    records: Sequence[TrialRecord],
    space: BoundSpace,
    front: PosteriorFront,
    trace: TraceHistory = trace_history,
    *,
    keeps: bool = True,
) -> History | None:
    """Return how a run came to what it knows, traced now or before; None: it can't be told.

    Args:
        folder: the run's; ``history.json`` in it is read, and written where that is allowed.
        records: all trials of the run.
        space: that the candidates are of.
        front: of these trials.
        trace: what traces the history.
        keeps: whether a history that is traced now is written.
    """
    question = read_question(folder, records)
    path = folder.path / "history.json"
    digest = _digest(records, space, question)
    try:
        kept = read_json(path)
        if kept["digest"] == digest:
            found = kept["history"]
            return None if found is None else History.from_json(found)
    except (RunError, ValueError, KeyError, TypeError, AttributeError):
        pass  # not there, cut off or of another version: made anew
    history = trace(records, space, question, front.kernels)
    if keeps:
        plain = None if history is None else history.to_json()
        _keep(path, {"digest": digest, "history": plain})
    return history


def read_question(folder: RunFolder, records: Sequence[TrialRecord] = ()) -> Question:
    """Return what a run asks of its trials, by its ``config.yaml``.

    Args:
        folder: of the run.
        records: its trials, by whose images the least noise is told, and which of them test scores;
            empty: neither is told, and no score counts.
    """
    config = folder.read_config()
    identity, search = config["identity"], config["search"]
    tolerance, latency = search.get("tolerance"), read_latency(folder)
    return Question(
        objectives=tuple(identity["objectives"]),
        full_epochs=identity["epochs"],
        chance=float(identity["data"].get("chance") or 0.0),
        num_validation=int(identity["data"]["validation"]),
        tolerance=TOLERANCE if tolerance is None else tolerance / 100,
        least_noise=measure_least_noise(
            folder, records, identity["epochs"], identity["data"]["validation"]
        ),
        latency=None if latency is None else latency.sums,
        scores=read_used_scores(folder, records),
    )


def _path(folder: RunFolder) -> Path:
    return folder.path / "posterior.json"


def _keep(path: Path, content: Mapping[str, Any]) -> None:
    with suppress(RunError):  # a folder that may not be written to can be read, too
        write_text(path, json.dumps(content))


def _digest(records: Sequence[TrialRecord], space: BoundSpace, question: Question) -> str:
    asked = [
        MODEL_VERSION,
        space.space.model_dump(mode="json"),
        backbone_to_json(space.backbone),
        astuple(question),
        [_fields_of(record) for record in records],
    ]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()
