"""The trainings as they finish: a file that is only appended to, one JSON object a line.

The first line says what the trainings have in common; a line ``environment`` says what those after
it ran on. Each line is on disk before the next training counts. A line that was cut off by a crash
is dropped when the log is continued.
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

from se_search.errors import RunError

# What can change the numbers of a training that is otherwise the same.
COMPARED = ("torch", "numpy", "pytorch-lightning", "hardware", "accelerator", "threads")

TrainingId = tuple[str, int, int]
Environment = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Training:
    """One finished training.

    Attributes:
        key: of the candidate.
        candidate: its text form.
        epochs: the whole training; the schedule is compressed to it.
        environment: number of the environment that it ran in.
        history: a row for each epoch: epoch, train_loss, accuracy, loss, test_accuracy, test_loss.
        correct: one bit a validation image, 1 where the network is right after the last epoch.
        test_correct: the same for the test images.
        seconds: wall time with all evaluations.
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

    @property
    def id(self) -> TrainingId:
        """What no two trainings of a table have in common."""
        return self.key, self.epochs, self.seed


@dataclass(frozen=True, slots=True)
class LogContents:
    """What a log holds.

    Attributes:
        identity: what all trainings have in common.
        environments: what they ran on, in order of appearance.
        size: bytes of the whole lines; what follows was cut off.
    """

    identity: Mapping[str, Any]
    environments: tuple[Environment, ...]
    trainings: tuple[Training, ...]
    size: int


class TrainingLog:
    """A log that this process alone appends to, while entered.

    Args:
        path: the file; made if it is not there.
        identity: what all its trainings must have in common, as plain data.
        environment: what this process trains on, as plain data.
        mix: go on in an environment other than the last one.
        published: trainings that need not be made again; as if they were in the log.

    Attributes:
        done: which trainings there are, in the log or published.
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
            RunError: another process has it, or it, or what is published, was made for something
                else or elsewhere.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as cause:
            raise RunError(f"{self.path} is being written by another process") from cause
        try:
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
        """Write a training; when this returns it is on disk.

        Raises:
            RunError: the log has it.
        """
        if training.id in self.done:
            raise RunError(f"{self.path} has {training.candidate}, {training.id[1:]} already")
        self._write({"kind": "training", **_to_plain(training)})
        self.done.add(training.id)

    def _open(self) -> None:
        contents = read_log(self.path) if self.path.exists() else None
        parts = [part for part in (self._published, contents) if part is not None]
        for part in parts:
            self._check(part)
        self.done = {training.id for part in parts for training in part.trainings}
        environments = contents.environments if contents else ()
        self._file = self.path.open("ab")
        self._file.truncate(contents.size if contents else 0)
        if contents is None:
            self._write({"kind": "table", "identity": self._identity})
            _sync_folder(self.path.parent)
        if not environments or environments[-1] != self._environment:
            self._write({"kind": "environment", "environment": self._environment})
            environments = (*environments, self._environment)
        self.environment = len(environments) - 1

    def _check(self, contents: LogContents) -> None:
        if changes := _differences(contents.identity, self._identity):
            raise RunError(
                f"the trainings there are were made for something else; {'; '.join(changes)}. "
                "Trainings of another kind need a log of their own"
            )
        if self._mix or not contents.environments:
            return
        before = {name: contents.environments[-1].get(name) for name in COMPARED}
        now = {name: self._environment.get(name) for name in COMPARED}
        if changes := _differences(before, now):
            raise RunError(
                f"the trainings there are were made elsewhere; {'; '.join(changes)}. The same "
                "training may give slightly other numbers here; --mix-environments goes on, and "
                "the table says which training ran where"
            )

    def _write(self, fields: Mapping[str, Any]) -> None:
        self._file.write(json.dumps(fields, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def read_log(path: Path) -> LogContents | None:
    """Read a log, also while it is written; None if it has no whole line.

    Raises:
        RunError: a whole line is not one of a log.
    """
    identity: Mapping[str, Any] | None = None
    environments: list[Environment] = []
    trainings: list[Training] = []
    size = 0
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            break  # cut off by a crash, or being written
        try:
            fields = json.loads(line)
            kind = fields.pop("kind")
            if kind == "table":
                identity = fields["identity"]
            elif kind == "environment":
                environments.append(fields["environment"])
            else:
                trainings.append(_from_plain(fields))
        except (ValueError, KeyError, TypeError, AttributeError) as cause:
            raise RunError(f"{path}:{number} is not a line of a log of trainings") from cause
        size += len(line)
    if identity is None:
        return None
    return LogContents(identity, tuple(environments), tuple(trainings), size)


def _to_plain(training: Training) -> dict[str, Any]:
    bits = {
        "correct": base64.b64encode(training.correct).decode(),
        "test_correct": base64.b64encode(training.test_correct).decode(),
    }
    return asdict(training) | bits


def _from_plain(fields: Mapping[str, Any]) -> Training:
    bits = {name: base64.b64decode(fields[name]) for name in ("correct", "test_correct")}
    return Training(**{**fields, **bits, "history": tuple(fields["history"])})


def _differences(before: Mapping[str, Any], now: Mapping[str, Any], name: str = "") -> list[str]:
    """Say what differs, as ``recipe.batch_size was 64 and is 32``."""
    changes = []
    for key in dict.fromkeys((*before, *now)):
        was, is_ = before.get(key), now.get(key)
        if isinstance(was, Mapping) and isinstance(is_, Mapping):
            changes += _differences(was, is_, f"{name}{key}.")
        elif was != is_:
            changes.append(f"{name}{key} was {was} and is {is_}")
    return changes


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
