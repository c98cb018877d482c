"""Looks at the gates of a run's candidate: finds its networks, reads their gates, writes files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from se_search.analysis.gate_rows import list_places, tabulate
from se_search.analysis.gates import GateReading, GateStatistics
from se_search.candidate import Candidate
from se_search.commands.gates_options import GatesOptions
from se_search.errors import RunError, suggest_nearest
from se_search.execution.child import call_in_child
from se_search.execution.environment import read_versions
from se_search.execution.session import OpenSession, open_session
from se_search.export.trained import (
    TrainAgain,
    find_code,
    find_or_train,
    make_request,
    refuse_changes,
)
from se_search.record import ENDED_WELL
from se_search.report.figures.style import CYCLE
from se_search.report.format import count
from se_search.report.gates import choose_panels, make_profile, write_gate_files
from se_search.report.run import Run
from se_search.store.files import WrittenFiles
from se_search.store.gates_file import GatesFiles, GatesFound
from se_search.store.kept_weights import KeptFile, KeptWeights, read_whole
from se_search.store.run_folder import RunFolder
from se_search.store.run_space import read_backbone
from se_search.store.run_trials import find_trials
from se_search.store.trials import read_records
from se_search.training.class_names import name_classes
from se_search.training.gates_task import ReadGates

Note = Callable[[str], None]
NUM_CLASSES = 4  # of the paper's figures 6 and 7
MAX_CLASSES = len(CYCLE)


def look_at_gates(
    folder: RunFolder,
    options: GatesOptions,
    note: Note = lambda _: None,
    open_session: OpenSession = open_session,
    read: Callable[[ReadGates, Path], GateReading] = call_in_child,
) -> tuple[GatesFiles, GatesFound, WrittenFiles]:
    """Read the gates of a candidate's networks, and write what has been seen.

    Args:
        folder: of the run.
        options: what is looked at.
        note: told what goes on.
        open_session: finds the data and the devices.
        read: reads the gates of one network; is told which file takes what that prints.

    Returns:
        the files, what has been seen, and which files could be written.

    Raises:
        RunError: the candidate has no SE, or the run has too few replicates.
        SESearchError: the weights, the network or the images are not as the run had them, or the
            candidate can't be trained.
    """
    note = _once(note)  # each session says where the data lie
    config = folder.read_config()
    _refuse_target(options.to)
    find_code(config, allow_code=options.allow_code)
    candidate = _choose_candidate(folder, options)
    replicates = list_replicates(folder, config, options.replicates)
    how = TrainAgain(
        data_dir=options.data_dir,
        threads=options.threads,
        accelerator=options.accelerator,
        allow_code=options.allow_code,
    )
    session = open_session(make_request(folder, config, how), note)
    refuse_changes(folder, config, session)
    names = name_classes(session.task.data)
    choose_classes(options.classes, names, range(len(names)))  # an error comes before the work

    def find(**where: Any) -> KeptFile:
        return find_or_train(folder, candidate, how, note, open_session, **where)

    with TemporaryDirectory(prefix="se-search-") as elsewhere:
        was_kept = KeptWeights(folder.path).find(candidate) is not None
        first = find()
        others = [replicate for replicate in replicates if replicate != first.replicate]
        networks = [
            first,
            *(
                find(at=(replicate, first.epochs), into=Path(elsewhere) / str(replicate))
                for replicate in others[: options.replicates - 1]
            ),
        ]
        readings: dict[int, GateReading] = {}
        for kept in networks:
            note(f"Reading the gates of {candidate.placement} in replicate {kept.replicate:,}")
            task = ReadGates(
                candidate,
                read_whole(kept),
                session.task.data,
                session.task.recipe,
                kept.replicate,
                session.devices[0],
                options.images,
                tuple(dict.fromkeys(list_places(candidate).values())),
            )
            readings[kept.replicate] = read(task, folder.worker_log)
    blocks = readings[first.replicate].blocks
    found = _describe(
        candidate,
        readings,
        choose_classes(options.classes, names, _seen(blocks)),
        names,
        trained=tuple(readings)[was_kept:],
        epochs=first.epochs,
        num_train=min(options.images, session.task.data.info.num_used),
    )
    files = GatesFiles(folder.path if options.to is None else options.to)
    return files, found, write_gate_files(files, found, blocks, names)


def _refuse_target(folder: Path | None) -> None:
    """Refuse a folder that can't be made, before any work is done for it."""
    if folder is None:
        return
    for part in (folder, *folder.parents):
        if part.exists() and not part.is_dir():
            raise RunError(f"--to {folder}: {part} is a file, and gates are written into a folder")


def _describe(
    candidate: Candidate,
    readings: Mapping[int, GateReading],
    shown: Sequence[int],
    names: Sequence[str],
    **known: Any,
) -> GatesFound:
    """Return what has been seen.

    Args:
        candidate: whose gates were read.
        readings: by replicate; the profiles are of the first.
        shown: numbers of the classes that have lines in the figure.
        names: of all classes.
        known: further attributes.
    """
    first = next(iter(readings.values()))
    accuracies = [float(reading.correct.mean()) for reading in readings.values()]
    return GatesFound(
        candidate=str(candidate),
        placement=candidate.placement,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        replicates=tuple(readings),
        accuracy=sum(accuracies) / len(accuracies),
        num_validation=len(first.correct),
        num_classes=len(names),
        rows=tuple(tabulate(readings, candidate)),
        profiles=tuple(
            make_profile(site, first.blocks[site], names, shown)
            for site in choose_panels(list(first.blocks))
        ),
        versions=read_versions(),
        **known,
    )


def _seen(blocks: Mapping[str, GateStatistics]) -> list[int]:
    """Return the numbers of the classes that have images."""
    means = next(iter(blocks.values())).class_means
    numbers: list[int] = np.flatnonzero(~np.isnan(means[:, 0])).tolist()
    return numbers


def _once(note: Note) -> Note:
    """Return what tells a text that has not been told before."""
    told: set[str] = set()

    def tell(text: str) -> None:
        if text not in told:
            told.add(text)
            note(text)

    return tell


def list_replicates(folder: RunFolder, config: Mapping[str, Any], number: int) -> list[int]:
    """Return the replicates of a run, ascending.

    Raises:
        RunError: there are fewer than ``number``.
    """
    place = find_trials(folder)
    records = read_records(place) if place.exists() else []
    ended = {record.seed for record in records if record.state in ENDED_WELL}
    replicates = sorted(ended or {config["identity"]["seed"]})
    if number > len(replicates):
        raise RunError(f"replicates {number}: the run has {count(len(replicates), 'replicate')}")
    return replicates


def choose_classes(text: str | None, names: Sequence[str], seen: Sequence[int]) -> list[int]:
    """Return the numbers of the classes that have lines in the figure.

    Args:
        text: names or numbers, with commas between them; None: four, spread evenly.
        names: of all classes.
        seen: numbers of the classes that have images, ascending.

    Raises:
        RunError: a class is not there or has no images, or there are more classes than lines can be
            told apart.
    """
    if text is None:
        places = np.linspace(0, len(seen) - 1, min(NUM_CLASSES, len(seen)))
        return [seen[int(place)] for place in places.round()]
    chosen = []
    for word in map(str.strip, text.split(",")):
        if word in names:
            chosen.append(names.index(word))
        elif word.isdigit() and int(word) < len(names):
            chosen.append(int(word))
        else:
            raise RunError(
                f"classes {text!r}: {word!r}{suggest_nearest(word, names)} is no class; they are "
                f"{', '.join(names[:12])}{', ...' if len(names) > 12 else ''}, or 0 to "
                f"{len(names) - 1}"
            )
    for number in chosen:
        if number not in seen:
            raise RunError(
                f"classes {text!r}: none of the images is of class {names[number]!r}; give more "
                "--images"
            )
    if len(set(chosen)) > MAX_CLASSES:
        raise RunError(f"classes {text!r}: more than {MAX_CLASSES} lines can't be told apart")
    return list(dict.fromkeys(chosen))


def _choose_candidate(folder: RunFolder, options: GatesOptions) -> Candidate:
    """Return the candidate, of a backbone that may be built.

    Raises:
        RunError: it has no SE, or none is recommended.
    """
    wanted = Run(folder).candidate(options.candidate)
    candidate = Candidate.parse(str(wanted), read_backbone(folder, allow_code=options.allow_code))
    if not any(candidate.blocks):
        raise RunError(
            f"{candidate.placement} has no gates to look at; name a candidate with SE, as "
            "--candidate s2:4"
        )
    return candidate
