"""A run's folder: what lies in it, who may write to it, and the study it belongs to."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from se_search.errors import RunBusyError, RunChangedError, RunError
from se_search.store.files import read_yaml, write_yaml

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The folder of one run: ``runs/NAME``."""

    path: Path

    @classmethod
    def named(cls, runs_dir: Path, name: str) -> RunFolder:
        """Return the folder for a run's name, which need not be there yet.

        Raises:
            RunError: the name has characters that a folder's name should not have.
        """
        if not re.fullmatch(NAME_PATTERN, name):
            raise RunError(
                f"run name {name!r}: it takes up to 64 letters, digits, '.', '_' and '-', "
                "and starts with a letter or a digit"
            )
        return cls(runs_dir / name)

    @classmethod
    def existing(cls, path: Path, runs_dir: Path = Path("runs")) -> RunFolder:
        """Return the folder of a run that is there, by its path or by its name in ``runs_dir``.

        Raises:
            RunError: there is no run.
        """
        for folder in (path, runs_dir / path):
            if (folder / "config.yaml").is_file():
                return cls(folder)
        raise RunError(f"no run at {path} nor at {runs_dir / path}: there is no config.yaml")

    @property
    def database(self) -> Path:
        """The study in Optuna's format."""
        return self.path / "trials.db"

    @property
    def config_file(self) -> Path:
        """What the run is, with versions and hardware."""
        return self.path / "config.yaml"

    @property
    def backbone_file(self) -> Path:
        """The backbone as the run described it: sites, channels, costs."""
        return self.path / "backbone.json"

    @property
    def trials_csv(self) -> Path:
        """A row for each trial."""
        return self.path / "trials.csv"

    @property
    def pareto_csv(self) -> Path:
        """A row for each candidate on the front."""
        return self.path / "pareto.csv"

    @property
    def pareto_png(self) -> Path:
        """The front, drawn."""
        return self.path / "pareto.png"

    @property
    def rungs_csv(self) -> Path:
        """A row for each rung below the full training."""
        return self.path / "rungs.csv"

    @property
    def effects_csv(self) -> Path:
        """A row for each effect: what a stage, position or width contributes."""
        return self.path / "effects.csv"

    @property
    def effects_png(self) -> Path:
        """The effects with their intervals, drawn."""
        return self.path / "effects.png"

    @property
    def confirmation_log(self) -> Path:
        """The trainings with fresh seeds, as they finish."""
        return self.path / "confirmation.jsonl"

    @property
    def confirmation_file(self) -> Path:
        """What was confirmed when, with which seeds, and what came of it."""
        return self.path / "confirmation.yaml"

    @property
    def confirmation_csv(self) -> Path:
        """A row for each candidate that was trained again with fresh seeds."""
        return self.path / "confirmation.csv"

    @property
    def confirmation_png(self) -> Path:
        """The search's accuracies beside those of fresh seeds, drawn."""
        return self.path / "confirmation.png"

    @property
    def checklist(self) -> Path:
        """How the run keeps to the best practices of architecture search."""
        return self.path / "checklist.md"

    @property
    def worker_log(self) -> Path:
        """What trainings print, and the tracebacks of those that failed."""
        return self.path / "worker.log"

    def correct_file(self, number: int) -> Path:
        """Which validation images trial ``number`` has right: packed bits, for numpy.unpackbits."""
        return self.path / "correct" / f"{number:05d}.bits"

    def lock(self) -> AbstractContextManager[FileLock]:
        """Make the folder and take it for this process, until the ``with`` block ends.

        Raises:
            RunBusyError: another process has it.
            RunError: it can't be made.
        """
        try:
            (self.path / "correct").mkdir(parents=True, exist_ok=True)
            return FileLock(self.path / "run.lock").acquire(timeout=0)
        except Timeout as cause:
            raise RunBusyError(
                f"another se-search is working on {self.path}; wait for it, stop it, or take "
                "another --name"
            ) from cause
        except OSError as cause:
            raise RunError(f"{self.path} can't be made or written to: {cause}") from cause

    def read_config(self) -> dict[str, Any]:
        """Read ``config.yaml``; empty if the run has not started yet.

        Raises:
            RunError: the file can't be read.
        """
        if not self.config_file.is_file():
            return {}
        config = read_yaml(self.config_file)
        if not isinstance(config, dict) or not isinstance(config.get("identity"), dict):
            raise RunError(f"{self.config_file} is no configuration of a run: it has no 'identity'")
        return config

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Write ``config.yaml``, whole or not at all.

        Raises:
            RunError: it can't be written.
        """
        write_yaml(self.config_file, dict(config))

    def refuse_changes(self, identity: Mapping[str, Any]) -> None:
        """Refuse to continue the run as another study than it was started as.

        Raises:
            RunChangedError: something is different; the message lists what.
        """
        config = self.read_config()
        differences = compare_identities(config["identity"], identity) if config else []
        if differences:
            lines = "\n".join(f"  {line}" for line in differences)
            raise RunChangedError(
                f"{self.path} holds another study, and trials of the two can't be compared:\n"
                f"{lines}\nRun the command that it was started with, or take another --name."
            )


def compare_identities(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """List the differences of two identities, a line each; empty if there are none."""
    before, after = _flatten(old), _flatten(new)
    return [
        f"{key}: {before.get(key, 'nothing')} in the run, {after.get(key, 'nothing')} asked for"
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
    ]


def _flatten(value: Any, prefix: str = "") -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {prefix: json.dumps(value)}
    flat: dict[str, str] = {}
    for key, inner in value.items():
        flat.update(_flatten(inner, f"{prefix}.{key}" if prefix else str(key)))
    return flat
