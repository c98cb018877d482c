"""A log of finished trainings: a file that is only appended to, one JSON object a line.

The first line is the identity of the trainings. A line ``environment`` says what the trainings
after it ran on. Each line is on disk before its training counts as done. A line that a crash has
cut off is dropped when the log is continued.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from se_search.errors import RunChangedError, RunError, explain
from se_search.ground import PACKAGES
from se_search.record import Effort, RanOn
from se_search.store.files import explaining_write, parse_json
from se_search.store.identity import compare_identities

# The parts of an environment that can change a training's numbers; the threads do so on a CPU.
COMPARED = ("torch", *PACKAGES, "hardware", "accelerator", "precision", "threads")

TrainingId = tuple[str, int, int]
Environment = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Training:
    """One finished training.

    Attributes:
        key: of the candidate.
        candidate: the candidate's text form.
        epochs: the length of the training, to which the schedule is compressed.
        environment: number of the environment in the log.
        history: a row for each epoch: epoch, train_loss, accuracy, loss, test_accuracy, test_loss.
        seed: of the replicate.
        correct: packed bits: which validation images are right after the last epoch; those of two
            trainings are about the same images only if ``split_hash`` is equal.
        test_correct: packed bits: which test images are right after the last epoch.
        seconds: wall time with all evaluations.
        split_seed: seed of the permutation that drew the images which train and which validate;
            None: not recorded, as by protocols 1 and 2, where one split served all trainings.
        split_hash: twelve hexadecimal digits of these images, equal for equal splits; None: not
            recorded.
        ran_on: hardware and versions; None: not recorded.
        effort: what all attempts of one command took; None: not recorded.
    """

    key: str
    candidate: str
    epochs: int
    seed: int
    environment: int
    history: tuple[Mapping[str, float], ...]
    correct: bytes
    test_correct: bytes
    seconds: float
    split_seed: int | None = None
    split_hash: str | None = None
    ran_on: RanOn | None = None
    effort: Effort | None = None

    @property
    def id(self) -> TrainingId:
        """Candidate, epochs and seed: no two trainings of a log agree in all three."""
        return self.key, self.epochs, self.seed


@dataclass(frozen=True, slots=True)
class LogContents:
    """The contents of a log.

    Attributes:
        identity: backbone, space, recipe and data of all trainings, as plain data.
        environments: hardware and versions that trainings ran on, in order of appearance.
        trainings: in order of appearance.
        size: bytes of the whole lines; a line that was cut off follows them.
        lost: what trainings took that failed or were broken off.
    """

    identity: Mapping[str, Any]
    environments: tuple[Environment, ...]
    trainings: tuple[Training, ...]
    size: int
    lost: Effort = Effort()  # noqa: RUF009  # frozen


class TrainingLog:
    """A log that no other process can append to while this one has entered it.

    Args:
        path: the file; made if it is not there.
        identity: backbone, space, recipe and data that all trainings of the log must have.
        environment: hardware and versions of this process.
        mix: whether to go on in an environment that the log does not have.
        published: finished trainings that count as done without being in the log.

    Attributes:
        done: the trainings that are in the log or published.
        environment: number of this process's environment in the log.
    """

    def __init__(
        self,
        path: Path,
        identity: Mapping[str, Any],
        environment: Environment,
        mix: bool = False,
        published: LogContents | None = None,
    ) -> None:
        self.path = path
        self._identity = identity
        self._environment = environment
        self._mix = mix
        self._published = published
        self._lock = FileLock(path.with_name(f"{path.name}.lock"))

    def __enter__(self) -> TrainingLog:
        """Lock and check the log.

        Raises:
            RunError: the log can't be written, another process has it, or trainings in it or
                published ones have another identity.
            RunChangedError: they are of other environments.
        """
        with explaining_write(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=0)
            except Timeout as cause:
                raise RunError(f"{self.path} is being written by another process") from cause
        try:
            with explaining_write(self.path):
                self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._lock.release()

    def append(self, training: Training) -> None:
        """Write a training; when this returns, the training is on disk.

        Raises:
            RunError: the log has this training already, or can't be written.
        """
        if training.id in self.done:
            raise RunError(f"{self.path} has {training.candidate}, {training.id[1:]} already")
        self._write({"kind": "training", **_to_plain(training)})
        self.done.add(training.id)

    def note_loss(self, training: TrainingId, effort: Effort | None) -> None:
        """Write what a training took that failed or was broken off; None: nothing to tell.

        Raises:
            RunError: the log can't be written.
        """
        if effort is None:
            return
        key, epochs, seed = training
        fields = {"kind": "loss", "key": key, "epochs": epochs, "seed": seed, **asdict(effort)}
        self._write(fields)

    def _open(self) -> None:
        contents = read_log(self.path) if self.path.exists() else None
        parts = [part for part in (self._published, contents) if part is not None]
        for part in parts:
            self._check(part)
        self.done = {training.id for part in parts for training in part.trainings}
        environments = contents.environments if contents else ()
        self._size = contents.size if contents else 0
        # Without a buffer: what could not be written must not be written later by itself.
        self._file = self.path.open("ab", buffering=0)
        self._file.truncate(self._size)
        if contents is None:
            self._write({"kind": "table", "identity": self._identity})
            _sync_folder(self.path.parent)
        if not environments or environments[-1] != self._environment:
            self._write({"kind": "environment", "environment": self._environment})
            environments = (*environments, self._environment)
        self.environment = len(environments) - 1

    def _check(self, contents: LogContents) -> None:
        before, now = (part.get("protocol", 1) for part in (contents.identity, self._identity))
        if before != now:
            raise RunError(
                f"{self.path} would mix trainings of protocol {before}, which are finished, with "
                f"new ones of protocol {now}: images are split and shown, and networks initialised "
                "otherwise now, so that the two can't be compared. New trainings need a log of "
                "their own"
            )
        changes = compare_identities(contents.identity, self._identity, ("there", "asked for"))
        if changes:
            raise RunError(
                f"{self.path} is for trainings of another kind: {'; '.join(changes)}. They need "
                "a log of their own"
            )
        if self._mix or not contents.environments:
            return
        others = [self._compare_environment(before) for before in contents.environments]
        if all(others):
            raise RunChangedError(
                f"{self.path} has trainings of another environment: {'; '.join(others[-1])}. A "
                "training may give slightly other numbers here; --mix-environments goes on, and "
                "the log says which training ran where"
            )

    def _compare_environment(self, before: Environment) -> list[str]:
        """List the differences to an environment of the log, as far as it tells its parts."""
        names = [
            name
            for name in COMPARED
            if name in before and (name != "threads" or before.get("accelerator") == "cpu")
        ]
        now = {name: self._environment.get(name) for name in names}
        return compare_identities({name: before[name] for name in names}, now, ("there", "here"))

    def _write(self, fields: Mapping[str, Any]) -> None:
        line = json.dumps(fields, separators=(",", ":")).encode() + b"\n"
        with explaining_write(self.path, len(line)):
            self._file.truncate(self._size)  # of half a line, which a full disk has cut off
            rest = line
            while rest:
                rest = rest[self._file.write(rest) or 0 :]
            os.fsync(self._file.fileno())
        self._size += len(line)


def read_log(path: Path) -> LogContents | None:
    """Read a log, also while it is written; None if it has no whole line.

    Raises:
        RunError: the file can't be read, or a whole line is not one of a log.
    """
    identity: Mapping[str, Any] | None = None
    environments: list[Environment] = []
    trainings: list[Training] = []
    lost = Effort()
    size = 0
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except OSError as cause:
        raise RunError(f"{path} can't be read: {explain(cause)}") from cause
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            break  # cut off by a crash, or being written
        try:
            fields = parse_json(line)
            kind = fields.pop("kind")
            if kind == "table":
                identity = fields["identity"]
            elif kind == "environment":
                environments.append(fields["environment"])
            elif kind == "loss":
                lost += Effort(fields["attempts"], fields["wall_seconds"], fields["device_seconds"])
            else:
                trainings.append(_from_plain(fields))
        except (ValueError, KeyError, TypeError, AttributeError) as cause:
            raise RunError(f"{path}:{number} is not a line of a log of trainings") from cause
        size += len(line)
    if identity is None:
        return None
    return LogContents(identity, tuple(environments), tuple(trainings), size, lost)


def _to_plain(training: Training) -> dict[str, Any]:
    bits = {
        "correct": base64.b64encode(training.correct).decode(),
        "test_correct": base64.b64encode(training.test_correct).decode(),
    }
    return asdict(training) | bits


def _from_plain(fields: Mapping[str, Any]) -> Training:
    bits = {name: base64.b64decode(fields[name]) for name in ("correct", "test_correct")}
    parts = {
        name: make(**fields[name])
        for name, make in (("ran_on", RanOn), ("effort", Effort))
        if fields.get(name) is not None
    }
    return Training(**{**fields, **bits, **parts, "history": tuple(fields["history"])})


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
